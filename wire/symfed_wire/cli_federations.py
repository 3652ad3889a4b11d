"""Commands about federations: create, invite, join, sync."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.console import Console
from rich.table import Table

from symfed_wire.cli_app import (
    Output,
    OutputOption,
    UsageError,
    app,
    client_of,
    is_terminal,
    note,
    say,
    show,
)
from symfed_wire.client import Client, DeadlineError, generate_password
from symfed_wire.client_results import PeerStats, SyncStats

_POLL_SECONDS = 0.5
_SETTLE_SECONDS = 3.0

PasswordOption = Annotated[
    str | None,
    typer.Option(
        envvar="SYMFED_PASSWORD", help="The invitation's password. Better by SYMFED_PASSWORD or the prompt."
    ),
]
GpuOption = Annotated[bool, typer.Option("--gpu", help="Compute on a GPU.")]
EphemeralOption = Annotated[bool, typer.Option("--ephemeral", help="Keep nothing on a volume.")]


@app.command(
    epilog="Example: symfed create hospital-a --name study --schedule m30 --nats nats://nats.example:4222"
)
def create(
    ctx: typer.Context,
    project: Annotated[str, typer.Argument(help="Project id of the admin's peer.")],
    name: Annotated[str | None, typer.Option(help="Name of the federation.")] = None,
    schedule: Annotated[str, typer.Option(help="How often peers exchange: m30, h3, d7.")] = "h1",
    nats: Annotated[
        str | None, typer.Option(envvar="SYMFED_NATS", help="NATS addresses, comma separated.")
    ] = None,
    gpu: GpuOption = False,
    encrypt: Annotated[bool, typer.Option("--encrypt", help="Seal snapshots for the members.")] = False,
    ephemeral: EphemeralOption = False,
    stream_bytes: Annotated[
        int | None, typer.Option(min=1, help="How much a peer may store in NATS, bytes.")
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="A plain project instead, in no federation.")
    ] = False,
) -> None:
    """Create a federation with its admin's project, or with --local a plain project."""
    with client_of(ctx) as client:
        if local:
            client.create_project(project, "gpu" if gpu else "cpu", persist=not ephemeral)
            say(f"project {project} is created")
            return
        if name is None or nats is None:
            raise UsageError("a federation needs --name and --nats (SYMFED_NATS); a plain project --local")
        settings: dict[str, JsonValue] = {"nats_hosts": nats, "fed_local_type": "gpu" if gpu else "cpu"}
        if encrypt:
            settings["fed_encrypt"] = True
        if stream_bytes is not None:
            settings["nats_stream_max_memory"] = stream_bytes
        client.create(project, name, schedule, settings, persist=not ephemeral)
    say(f"federation {name} is created; {project} is its admin's project")


@app.command(epilog="Example: symfed invite hospital-a --password 'correct horse' > invitation.txt")
def invite(
    ctx: typer.Context,
    project: Annotated[str, typer.Argument(help="Project id of the admin's peer.")],
    password: PasswordOption = None,
    host: Annotated[
        str | None, typer.Option(help="The gateway's address as the peer reaches it; default: --url.")
    ] = None,
    hours: Annotated[int | None, typer.Option(min=1, help="How long it can be used; default 2.")] = None,
) -> None:
    """Print an invitation for one peer. Tell the peer the password by another way."""
    with client_of(ctx) as client:
        if password is None and is_terminal():
            password = typer.prompt(
                "Password (empty: make one)", default="", show_default=False, hide_input=True, err=True
            )
        chosen = password or generate_password()
        invitation = client.invitation(project, chosen, rest_host=host, token_hours=hours)
    if not password:
        note(f"password: {chosen}")
    say(invitation)


@app.command(epilog="Example: symfed join - --project hospital-b < invitation.txt")
def join(
    ctx: typer.Context,
    invitation: Annotated[str, typer.Argument(help="The invitation's text; - reads it from stdin.")],
    password: PasswordOption = None,
    project: Annotated[
        str | None, typer.Option(help="Project id of the new peer; default: after the federation.")
    ] = None,
    gpu: GpuOption = False,
    ephemeral: EphemeralOption = False,
) -> None:
    """Join a federation with an invitation."""
    with client_of(ctx) as client:
        text = (sys.stdin.read() if invitation == "-" else invitation).strip()
        if password is None:
            if invitation == "-" or not is_terminal():
                raise UsageError("an invitation needs its password: set SYMFED_PASSWORD, or use --password")
            password = typer.prompt("Password", hide_input=True, err=True)
        keys = client.open_invitation(text, password)
        client.join(keys, {"fed_local_type": "gpu" if gpu else "cpu"}, pid=project, persist=not ephemeral)
    name = keys.get("fed_name")
    say(
        f"{project} has joined federation {name}"
        if project
        else f"a new project has joined federation {name}"
    )


@app.command(epilog="Example: symfed sync hospital-a --wait --peers 3")
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
    with Console(stderr=True).status("waiting for the peers") as spinner:
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
            spinner.update(f"waiting: {missing or 'is the sum settled?'}")
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
    table = Table("peer", "epoch", "rows", "age", "digest")
    for uuid, peer in stats.peers.items():
        table.add_row(peer.name or uuid, str(peer.epoch), str(peer.rows), _age(peer), _short(peer.digest))
    table.add_section()
    table.add_row("sum", str(stats.merged.epoch_sum), str(stats.merged.rows), "", _short(stats.merged.digest))
    return table


def _age(peer: PeerStats) -> str:
    return "" if peer.age_seconds is None else f"{peer.age_seconds:.0f} s"


def _short(digest: str | None) -> str:
    return (digest or "")[:16]
