"""Commands that print what an exchange did and what failed: log, errors."""

from __future__ import annotations

from typing import Annotated

import typer

from symfed_wire.cli.arguments import ProjectArgument
from symfed_wire.cli.connection import client_of
from symfed_wire.cli.output import Output, OutputOption, new_table, note, say, show


def log(ctx: typer.Context, project: ProjectArgument, output: OutputOption = Output.TABLE) -> None:
    """Print what the exchange of a peer did last, oldest first."""
    with client_of(ctx) as client:
        _print(output, client.sync_log(project), f"{project} has exchanged nothing since its node started")


def errors(
    ctx: typer.Context,
    project: ProjectArgument,
    clear: Annotated[bool, typer.Option("--clear", help="Empty the list instead.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Print the last errors of a peer's exchange, oldest first. They stay after a repair, until --clear."""
    with client_of(ctx) as client:
        if clear:
            client.clear_error_log(project)
            say(f"the errors of {project} are cleared")
            return
        _print(output, client.error_log(project), f"{project} has no errors")


def _print(output: Output, lines: list[str], nothing: str) -> None:
    if output is Output.JSON:
        show(output, lines, new_table)
        return
    for line in lines:
        say(line)
    if not lines:
        note(nothing)
