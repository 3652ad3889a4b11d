"""Commands about attributes: explore, density."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.table import Table

from symfed_wire.cli.arguments import LocalOption, PeerOption, ProjectArgument
from symfed_wire.cli.connection import client_of
from symfed_wire.cli.output import Output, OutputOption, escape, facts, figure, new_table, numbers, show
from symfed_wire.cli.reading import uuid_of
from symfed_wire.client.results import Density, Explored
from symfed_wire.errors import MalformedError

_OVERVIEWS = (
    ("count", "mean", "stddev", "min", "median", "max"),
    ("covar", "linCorr", "condCount", "condMean", "biCi95Down", "biCi95Up"),
)
"""What a table of several attributes has room for in 80 columns, of uni and of bi."""
_BAR = 40
_LARGEST_WHOLE = 1e9
"""Whole numbers below it are shown with every digit: they are counts more often than not."""


def explore(
    ctx: typer.Context,
    project: ProjectArgument,
    attributes: Annotated[
        list[str] | None, typer.Argument(metavar="[ATTRIBUTE]...", help="Default: all.")
    ] = None,
    other: Annotated[
        str | None, typer.Option("--with", metavar="ATTRIBUTE", help="Each beside this one.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="Another metric of the server than uni, or bi with --with.")
    ] = None,
    local: LocalOption = False,
    peer: PeerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Print figures about attributes: mean, standard deviation, median …, or how two go together."""
    with client_of(ctx) as client:
        uuid = uuid_of(client, project, peer)
        known = attributes or [a for a in client.project(project).attribute_names if a != other]
        if not known:
            raise MalformedError(f"{project} has no attributes yet: it has learnt nothing")
        found = client.explore(project, known, other, metric=metric, use_local=local, peer=uuid)
    data: list[JsonValue] = [
        {"attribute": entry.attribute, "with": entry.other, **entry.figures} for entry in found
    ]
    show(output, data, lambda: _figures_of_one(found[0]) if len(found) == 1 else _figures_table(found))


def density(
    ctx: typer.Context,
    project: ProjectArgument,
    attribute: Annotated[str, typer.Argument(help="The attribute.")],
    bins: Annotated[int | None, typer.Option(min=1, help="How many bins.")] = None,
    low: Annotated[float | None, typer.Option("--min", help="Where the first bin begins.")] = None,
    high: Annotated[float | None, typer.Option("--max", help="Where the last bin ends.")] = None,
    local: LocalOption = False,
    peer: PeerOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Print how the values of an attribute are distributed."""
    with client_of(ctx) as client:
        uuid = uuid_of(client, project, peer)
        found = client.density(
            project, [attribute], bins=bins, low=low, high=high, use_local=local, peer=uuid
        )
    if not found:
        raise MalformedError(f"{project}: the answer has no density of {attribute}")
    show(output, found[0], lambda: _histogram(found[0]))


def _figures_of_one(entry: Explored) -> Table:
    title = entry.attribute if entry.other is None else f"{entry.attribute} with {entry.other}"
    return facts([("attribute", title), *((name, _exact(value)) for name, value in entry.figures.items())])


def _figures_table(found: Sequence[Explored]) -> Table:
    all_names = dict.fromkeys(name for entry in found for name in entry.figures)
    names = next((names for names in _OVERVIEWS if all_names.keys() >= set(names)), tuple(all_names))
    other = found[0].other
    table = new_table("attribute", *numbers(*names), title=None if other is None else escape(f"with {other}"))
    for entry in found:
        table.add_row(escape(entry.attribute), *(_short(entry.figures.get(name)) for name in names))
    return table


def _histogram(density: Density) -> Table:
    """A line a bin; the longest bar has 40 columns."""
    longest = max(density.histogram, default=0.0)
    table = new_table(*numbers("from", "to", "count"), "", title=escape(density.attr_name))
    for number, count in enumerate(density.histogram):
        start = density.min + number * density.width
        bar = "█" * round(_BAR * count / longest) if longest else ""
        table.add_row(_short(start), _short(start + density.width), _exact(count), bar)
    return table


def _short(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value.is_integer() and abs(value) < _LARGEST_WHOLE else f"{value:.5g}"


def _exact(value: float) -> str:
    return f"{value:.0f}" if value.is_integer() and abs(value) < 2**53 else figure(value)
