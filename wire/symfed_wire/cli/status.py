"""The command status: a federation on one screen."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from multiprocessing.pool import ThreadPool
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from symfed_wire.cli.connection import client_of
from symfed_wire.cli.errors import UsageError, explain
from symfed_wire.cli.federation_state import FederationState, OwnState, Seen, group, judge
from symfed_wire.cli.output import (
    Output,
    OutputOption,
    age,
    escape,
    new_table,
    numbers,
    short,
    show,
    visible,
    working,
)
from symfed_wire.cli.reading import federation_of, or_not_ready
from symfed_wire.client import Client
from symfed_wire.errors import MalformedError, SymfedError

_AT_ONCE = 8


def status(
    ctx: typer.Context,
    project: Annotated[
        str | None, typer.Argument(help="A project of the federation; default: all federations.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look again and again, until Ctrl-C.")] = False,
    interval: Annotated[float, typer.Option(min=0.5, help="With --watch: seconds between looks.")] = 2.0,
    output: OutputOption = Output.TABLE,
) -> None:
    """Print how federations stand. Ends with 0 if all is well, else with 1.

    Well is: each own project is ready, each member is in the sum, all sums are equal, no condition is False.

    Logged errors are shown, and do not count: they stay until they are cleared.
    """
    with client_of(ctx, patience=0) as client:
        if watch:
            _watch(client, project, interval, output)
        with working("asking the projects"):
            found = look(client, project)
    show(output, [state.model_dump(mode="json") for state in found], lambda: _screen(found))
    raise typer.Exit(0 if all(state.well for state in found) else 1)


def look(client: Client, project: str | None) -> list[FederationState]:
    """The federations of all the customer's projects, or of one. Raises MalformedError for none."""
    names = client.projects()
    if project is not None and project not in names:
        raise MalformedError(f"there is no project {project}; `symfed projects` lists those there are")
    with ThreadPool(_AT_ONCE) as pool:  # its threads are daemons, so that Ctrl-C waits for no answer
        seen = [one for one in pool.map(lambda name: _see(client, name), names) if one is not None]
    groups = group(seen)
    if project is None:
        return [judge(members) for members in groups]
    wanted = [members for members in groups if any(one.project == project for one in members)]
    if not wanted:
        raise MalformedError(f"{project} belongs to no federation; see `symfed info {project}`")
    return [judge(wanted[0])]


def _see(client: Client, name: str) -> Seen | None:
    info = federation_of(client, name)
    return None if info is None else Seen(name, info, or_not_ready(lambda: client.sync_stats(name)))


def _watch(client: Client, project: str | None, interval: float, output: Output) -> None:
    """Draw the screen anew until Ctrl-C; a look that fails is shown, and the next one may go well."""
    if not sys.stdout.isatty() or output is not Output.TABLE:
        raise UsageError("--watch needs a terminal, and prints tables only")
    with Live(console=Console(highlight=False), screen=True, auto_refresh=False) as live:
        while True:
            live.update(_look_or_error(client, project), refresh=True)
            time.sleep(interval)


def _look_or_error(client: Client, project: str | None) -> RenderableType:
    try:
        return _screen(look(client, project), verdict_first=True)  # a terminal cuts the screen off below
    except SymfedError as error:
        return Text.assemble(("error: ", "bold red"), visible(explain(error)))


def _screen(found: Sequence[FederationState], *, verdict_first: bool = False) -> RenderableType:
    if not found:
        return Text("none of the projects is in a federation")
    if verdict_first:
        found = sorted(found, key=lambda state: state.well)
    parts = [part for state in found for part in (Text(), *_federation(state, verdict_first=verdict_first))]
    return Group(*parts[1:])  # an empty line between two federations


def _federation(state: FederationState, *, verdict_first: bool) -> list[RenderableType]:
    title = Text.assemble("federation ", (visible(state.name), "bold"), f", every {visible(state.schedule)}")
    verdict = _verdict(state)
    if verdict_first:
        return [title, *verdict, Text(), *_details(state)]
    return [title, Text(), *_details(state), *verdict]


def _details(state: FederationState) -> list[RenderableType]:
    return [
        _members_table(state),
        Text(),
        _own_table(state.projects),
        Text(),
        *_last_errors(state.projects),
    ]


def _members_table(state: FederationState) -> RenderableType:
    if not state.members:
        return Text("its members are not known: none of the projects below answers", style="red")
    table = new_table("member", "uuid", *numbers("epoch", "rows", "age"), "in the sum")
    for member in state.members:
        table.add_row(
            escape(member.name),
            member.uuid[:8],
            str(member.epoch) if member.merged else "",
            str(member.rows) if member.merged else "",
            age(member.age_seconds),
            "[green]yes[/]" if member.merged else "[red]no[/]",
        )
    return table


def _own_table(projects: Sequence[OwnState]) -> Table:
    table = new_table("own project", "uuid", *numbers("rows of sum"), "digest of sum", "state")
    for project in projects:
        paused = "" if project.pulsing else ", [yellow]stopped[/]"
        table.add_row(
            escape(project.project),
            project.uuid[:8],
            str(project.rows) if project.ready else "",
            short(project.digest),
            ("[green]ready[/]" if project.ready else "[red]not ready[/]") + paused,
        )
    return table


def _last_errors(projects: Sequence[OwnState]) -> list[RenderableType]:
    lines = [Text(visible(f"{p.project}: {line}")) for p in projects for line in p.last_errors]
    return [Text("last errors", style="bold"), *lines, Text()] if lines else []


def _verdict(state: FederationState) -> list[RenderableType]:
    if state.well:
        equal = "; digests equal" if state.digests == "equal" else ""
        return [Text.assemble(("all is well", "green"), equal)]
    return [Text.assemble(("not well: ", "red"), visible(fault)) for fault in state.faults]
