"""Commands that change how a peer takes part: pulse, schedule, allow-explore."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from symfed_wire.cli.arguments import ProjectArgument
from symfed_wire.cli.connection import client_of
from symfed_wire.cli.output import say


class Pulse(enum.StrEnum):
    """Whether a peer takes part."""

    START = "start"
    STOP = "stop"


class Switch(enum.StrEnum):
    """On or off."""

    ON = "on"
    OFF = "off"


def pulse(
    ctx: typer.Context,
    project: ProjectArgument,
    state: Annotated[Pulse, typer.Argument(help="Take part, or not.")],
) -> None:
    """Let a peer take part in its federation's schedule, or neither publish nor merge."""
    with client_of(ctx) as client:
        if state is Pulse.START:
            client.start_pulse(project)
            say(f"{project} takes part in the schedule")
        else:
            client.stop_pulse(project)
            say(f"{project} neither publishes nor merges until `symfed pulse {project} start`")


def schedule(
    ctx: typer.Context,
    project: Annotated[str, typer.Argument(help="Project id of the admin's peer.")],
    every: Annotated[str, typer.Argument(help="How often peers exchange: m30, h3, d7.")],
) -> None:
    """Change how often the peers of a federation exchange. The admin only."""
    with client_of(ctx) as client:
        client.new_schedule(project, every)
    say(f"the peers of {project}'s federation exchange every {every}")


def allow_explore(
    ctx: typer.Context,
    project: ProjectArgument,
    state: Annotated[Switch, typer.Argument(help="They may, or not.")],
) -> None:
    """Allow the other peers to explore this peer's own statistics, or no longer."""
    with client_of(ctx) as client:
        client.allow_explore(project, state is Switch.ON)
    say(f"the other peers may {'' if state is Switch.ON else 'not '}explore {project}'s own statistics")
