"""What commands print: data on stdout as table or JSON, everything beside it on stderr."""

from __future__ import annotations

import enum
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, NoReturn

import orjson
import typer
from pydantic import BaseModel, JsonValue
from rich import box
from rich.console import Console, RenderableType
from rich.markup import escape as without_markup
from rich.table import Column, Table

from symfed_wire.cli import INTERRUPTED

_CONTROLS = {
    code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if code not in b"\n\t"
}
_ENDLESS = 10_000
"""Columns of a pipe, which has no width: nothing may be cut off."""


class Output(enum.StrEnum):
    """How a command prints its data."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to print the data.")]


def visible(text: str) -> str:
    """Text that others chose, such as a member's name: nothing in it commands the terminal."""
    return text.translate(_CONTROLS)


def escape(text: str) -> str:
    """Such text as a cell of a table, where it is no markup either."""
    return without_markup(visible(text))


def fail(line: str, status: int = 1) -> NoReturn:
    """Print an error line and end."""
    _beside().print(f"[bold red]error:[/] {escape(line)}")
    raise typer.Exit(status)


def interrupted(more: str = "") -> NoReturn:
    """End after Ctrl-C, on a line of its own below the terminal's `^C`."""
    note(("\n" if sys.stderr.isatty() else "") + f"interrupted{more}")
    raise typer.Exit(INTERRUPTED)


def note(line: str) -> None:
    """Say something beside the data, on stderr."""
    _beside().print(escape(line))


def say(line: str) -> None:
    """Print a line of data or a result."""
    typer.echo(visible(line))


def is_terminal() -> bool:
    """Whether somebody can answer a prompt."""
    return sys.stdin.isatty() and sys.stderr.isatty()


@contextmanager
def working(text: str) -> Iterator[Callable[[str], None]]:
    """A spinner on stderr, on a terminal only; what it gives changes the text."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status(escape(text)) as spinner:
        yield lambda changed: spinner.update(escape(changed))


def show(output: Output, data: object, table: Callable[[], RenderableType]) -> None:
    """Print `data` as JSON, or the table made of it."""
    if output is Output.JSON:
        typer.echo(orjson.dumps(plain(data), option=orjson.OPT_INDENT_2).decode())
        return
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(table())
        return
    endless = Console(highlight=False, width=_ENDLESS)
    with endless.capture() as captured:
        endless.print(table())
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())


def plain(data: object) -> JsonValue:
    """Data as JSON: results as maps, numbers that are not finite as the texts that the wire has for them."""
    if isinstance(data, BaseModel):
        return plain(data.model_dump(mode="json"))
    if isinstance(data, dict):
        return {str(name): plain(value) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [plain(value) for value in data]
    if isinstance(data, float) and not math.isfinite(data):
        return "NaN" if math.isnan(data) else "Infinity" if data > 0 else "-Infinity"
    if data is None or isinstance(data, str | int | float):
        return data
    raise TypeError(f"{type(data).__name__} is not printed as JSON")


def new_table(*columns: Column | str, title: str | None = None, caption: str | None = None) -> Table:
    """A table in the one style."""
    return Table(
        *columns,
        title=title,
        caption=caption,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )


def numbers(*names: str) -> list[Column]:
    """Columns of figures, aligned at the right."""
    return [Column(name, justify="right", no_wrap=True) for name in names]


def facts(pairs: Sequence[tuple[str, str]]) -> Table:
    """Names and what they are, a pair a line."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(name, escape(value))
    return table


def figure(value: float | str | None) -> str:
    """A figure for a person; `--output json` has every digit."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)


def age(seconds: float | None) -> str:
    """A time span in its largest unit."""
    if seconds is None:
        return ""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def short(digest: str | None) -> str:
    """The beginning of a digest, enough to compare by eye."""
    return (digest or "")[:16]


def _beside() -> Console:
    return Console(stderr=True, soft_wrap=True, highlight=False)
