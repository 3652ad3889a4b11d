"""A CSV file as batches of rows."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.console import Console
from rich.progress import Progress

from symfed_wire.errors import MalformedError
from symfed_wire.frames import BINARY, CONTINUOUS, IGNORED, TYPES, Cell, DataFrame, is_missing

_NUMERIC = frozenset({CONTINUOUS, BINARY})
_ENCODING = "utf-8-sig"  # spreadsheets write a mark at the beginning
_OTHER_SEPARATORS = frozenset(";\t|")

FileArgument = Annotated[
    Path,
    typer.Argument(help="CSV file whose first line names the columns; - reads stdin.", dir_okay=False),
]
BatchOption = Annotated[int, typer.Option("--batch-rows", min=1, help="Rows to send at once.")]


class NotANumberError(MalformedError):
    """A cell of a numeric column is no number."""

    def __init__(self, where: str, column: str, kind: str) -> None:
        super().__init__(f"{where}, column {column} is not {'0 or 1' if kind == BINARY else 'a number'}")
        self.column = column


@dataclass(frozen=True)
class Columns:
    """A file's columns and the types they are sent as."""

    names: tuple[str, ...]
    types: tuple[str, ...]


def name_of(file: Path) -> str:
    """What messages call the file."""
    return "stdin" if str(file) == "-" else str(file)


@contextmanager
def open_rows(file: Path, *, with_bar: bool = False) -> Iterator[TextIO]:
    """The open file, or stdin for `-`; on a terminal with a bar by the bytes read, if wanted."""
    if str(file) == "-":
        sys.stdin.reconfigure(  # type: ignore[union-attr]  # a text file of the process
            encoding=_ENCODING, errors="strict", newline=""
        )
        yield sys.stdin
        return
    console = Console(stderr=True)
    is_hidden = not (with_bar and console.is_terminal)
    with (
        Progress(console=console, transient=True, disable=is_hidden) as progress,
        progress.open(file, "r", encoding=_ENCODING, newline="", description=file.name) as source,
    ):
        yield source


def read_lines(source: Iterable[str], file: str) -> Iterator[list[str]]:
    """The file's lines as lists of cells; blank lines are left out. Raises MalformedError."""
    reader = csv.reader(source)
    try:
        yield from (cells for cells in reader if cells)
    except (csv.Error, UnicodeDecodeError) as error:
        what = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise MalformedError(f"{file}: after line {reader.line_num}: {what}") from None


def check_header(names: Sequence[str], file: str, faults: Sequence[str] = ()) -> tuple[str, ...]:
    """The columns' names. Raises MalformedError for empty or repeated ones, with `faults` found elsewhere."""
    if len(names) == 1 and (others := sorted(_OTHER_SEPARATORS.intersection(names[0]))):
        raise MalformedError(f"{file}: the columns are separated by {others[0]!r}; symfed reads commas")
    names = [name.strip() for name in names]
    found = [f"column {number} has no name" for number, name in enumerate(names, 1) if not name]
    found += [f"column {name} comes twice" for name in sorted({n for n in names if names.count(n) > 1})]
    found += faults
    if not names:
        raise MalformedError(f"{file}: the file is empty; the first line must name the columns")
    if found:
        shown = ", ".join(names)
        raise MalformedError(f"{file}: {'; '.join(found)}; the first line must name the columns: {shown}")
    return tuple(names)


def choose_types(
    header: Sequence[str], ignored: Collection[str], types: Mapping[str, str], file: str
) -> Columns:
    """The header's names; type C for every column but those in `ignored` (X) and `types`.

    Raises MalformedError for a header with an empty or repeated name, and for options that name no column.
    """
    present = {name.strip() for name in header}
    faults = [f"there is no column {name}" for name in (*ignored, *types) if name not in present]
    faults += [f"{kind} is no type" for kind in types.values() if kind not in TYPES]
    names = check_header(header, file, faults)
    wanted = dict.fromkeys(ignored, IGNORED) | dict(types)
    return Columns(names, tuple(wanted.get(name, CONTINUOUS) for name in names))


def read_batches(
    lines: Iterator[list[str]], width: int, rows: int, file: str, first: int = 1
) -> Iterator[tuple[int, list[list[str]]]]:
    """The remaining lines in lists of at most `rows`, each with the number of its first data row.

    `first` is the number of the next data row. Raises MalformedError for a row that has not `width` cells.
    """
    while batch := list(islice(lines, rows)):
        for number, cells in enumerate(batch, first):
            if len(cells) != width:
                raise MalformedError(f"{file}: row {number} has {len(cells)} cells for {width} columns")
        yield first, batch
        first += len(batch)


def to_frame(batch: Sequence[Sequence[str]], columns: Columns, file: str, first: int) -> DataFrame:
    """Rows of text as a frame. Raises NotANumberError that names row and column, without the cell itself."""
    data = [
        [
            _cell(cell, name, kind, f"{file}: row {number}")
            for cell, name, kind in zip(cells, columns.names, columns.types, strict=True)
        ]
        for number, cells in enumerate(batch, first)
    ]
    return DataFrame(columns.names, columns.types, data)


def _cell(cell: str, name: str, kind: str, where: str) -> Cell:
    if kind == IGNORED or is_missing(cell):
        return None
    if kind not in _NUMERIC:
        return cell
    try:
        number = float(cell)
    except ValueError:
        number = math.inf
    if math.isinf(number):
        raise NotANumberError(where, name, kind)
    return number
