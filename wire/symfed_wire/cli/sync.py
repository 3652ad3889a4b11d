"""The command sync: ask for an exchange, and wait for what comes of it."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.table import Table

from symfed_wire.cli.connection import client_of
from symfed_wire.cli.output import (
    Output,
    OutputOption,
    age,
    escape,
    new_table,
    note,
    numbers,
    short,
    show,
    working,
)
from symfed_wire.client import Client, DeadlineError
from symfed_wire.client.results import SyncStats

_POLL_SECONDS = 0.5
_SETTLE_SECONDS = 3.0


def sync(
    ctx: typer.Context,
    project: Annotated[str, typer.Argument(help="Project id.")],
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the sum has settled, show the peers.")
    ] = False,
    peers: Annotated[int, typer.Option(min=1, help="With --wait: at least so many peers.")] = 1,
    rows: Annotated[int, typer.Option(min=0, help="With --wait: at least so many rows in the sum.")] = 0,
    deadline: Annotated[float, typer.Option(min=0, help="With --wait: seconds to wait at most.")] = 120.0,
    output: OutputOption = Output.TABLE,
) -> None:
    """Ask every peer to send its statistics now."""
    with client_of(ctx) as client:
        client.sync(project)
        if not wait:
            note(f"every peer of {project} is asked to send now")
            return
        stats = wait_for_sum(client, project, peers, rows, deadline)
    show(output, stats, lambda: peers_table(stats))


def wait_for_sum(client: Client, project: str, peers: int, rows: int, deadline: float) -> SyncStats:
    """The statistics once enough peers and rows are in the sum and nothing has changed for a while.

    A peer whose rows have not changed sends nothing, so a new epoch cannot be waited for: the sum is taken
    as settled when it stays the same. Raises DeadlineError that says what is missing.
    """
    started = changed = time.monotonic()
    last: object = None
    with working("waiting for the peers") as say_so:
        while True:
            stats = client.sync_stats(project)
            now = time.monotonic()
            state = [(uuid, peer.epoch, peer.digest) for uuid, peer in stats.peers.items()]
            if state != last:
                last, changed = state, now
            missing = what_is_missing(stats, peers, rows)
            if missing is None and now - changed >= _SETTLE_SECONDS:
                return stats
            if now - started >= deadline:
                reason = missing or "the peers' statistics still change"
                raise DeadlineError(f"{project} after {deadline:g} s: {reason}; ask again with `symfed sync`")
            say_so(f"waiting: {missing or 'is the sum settled?'}")
            time.sleep(_POLL_SECONDS)


def what_is_missing(stats: SyncStats, peers: int, rows: int) -> str | None:
    """Why the sum is not complete, or None."""
    if len(stats.peers) < peers:
        return f"{len(stats.peers)} of {peers} peers are known"
    silent = [peer.name or uuid for uuid, peer in stats.peers.items() if peer.epoch == 0]
    if silent:
        return f"nothing has come from {', '.join(silent)} (a peer with few rows sends nothing)"
    published = sum(peer.rows for peer in stats.peers.values())
    if stats.merged.rows != published:
        return f"{stats.merged.rows} of {published} published rows are in the sum"
    if stats.merged.rows < rows:
        return f"{stats.merged.rows} of {rows} rows are in the sum"
    return None


def peers_table(stats: SyncStats) -> Table:
    """A line a peer, and the sum."""
    table = new_table("peer", *numbers("epoch", "rows", "age"), "digest")
    for uuid, peer in sorted(stats.peers.items(), key=lambda item: (item[1].name, item[0])):
        table.add_row(
            escape(peer.name or uuid),
            str(peer.epoch),
            str(peer.rows),
            age(peer.age_seconds),
            short(peer.digest),
        )
    table.add_section()
    table.add_row("sum", str(stats.merged.epoch_sum), str(stats.merged.rows), "", short(stats.merged.digest))
    return table
