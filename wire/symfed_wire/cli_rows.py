"""A CSV file as batches of rows to learn."""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from symfed_wire.errors import MalformedError
from symfed_wire.frames import BINARY, CONTINUOUS, IGNORED, TYPES, Cell, DataFrame, is_missing

_NUMERIC = frozenset({CONTINUOUS, BINARY})


@dataclass(frozen=True)
class Columns:
    """A file's columns and the types they are learnt as."""

    names: tuple[str, ...]
    types: tuple[str, ...]


def choose_types(
    names: Sequence[str], ignored: Collection[str], types: Mapping[str, str], file: str
) -> Columns:
    """The header's names; type C for every column but those in `ignored` (X) and `types`.

    Raises MalformedError for a header with an empty or repeated name, and for options that name no column.
    """
    names = [name.strip() for name in names]
    faults = [f"column {number} has no name" for number, name in enumerate(names, 1) if not name]
    faults += [f"column {name} comes twice" for name in sorted({n for n in names if names.count(n) > 1})]
    faults += [f"there is no column {name}" for name in (*ignored, *types) if name not in names]
    faults += [f"{kind} is no type" for kind in types.values() if kind not in TYPES]
    if faults or not names:
        shown = "; ".join(faults) or "the file is empty"
        raise MalformedError(f"{file}: {shown}; the first line must name the columns: {', '.join(names)}")
    wanted = dict.fromkeys(ignored, IGNORED) | dict(types)
    return Columns(tuple(names), tuple(wanted.get(name, CONTINUOUS) for name in names))


def read_lines(source: Iterable[str], file: str) -> Iterator[list[str]]:
    """The file's lines as lists of cells; blank lines are left out. Raises MalformedError."""
    reader = csv.reader(source)
    try:
        yield from (cells for cells in reader if cells)
    except (csv.Error, UnicodeDecodeError) as error:
        what = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise MalformedError(f"{file}: after line {reader.line_num}: {what}") from None


def read_batches(
    lines: Iterator[list[str]], columns: Columns, rows: int, file: str, first: int = 1
) -> Iterator[DataFrame]:
    """The remaining lines as frames of at most `rows` rows; `first` is the number of the next data row.

    Raises MalformedError that names row and column of what is no number, without the cell itself.
    """
    for start in itertools.count(first, rows):
        data = [
            _cells(cells, columns, f"{file}: row {number}")
            for number, cells in enumerate(itertools.islice(lines, rows), start)
        ]
        if not data:
            return
        yield DataFrame(columns.names, columns.types, data)


def _cells(cells: Sequence[str], columns: Columns, where: str) -> list[Cell]:
    if len(cells) != len(columns.names):
        raise MalformedError(f"{where} has {len(cells)} cells for {len(columns.names)} columns")
    named = zip(cells, columns.names, columns.types, strict=True)
    return [_cell(cell, name, kind, where) for cell, name, kind in named]


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
        raise MalformedError(
            f"{where}, column {name} is not a number; leave the column out with --ignore {name}"
        )
    return number
