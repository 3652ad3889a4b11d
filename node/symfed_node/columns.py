"""From a DataFrame's cells to float64 columns."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import numpy as np

from symfed_node.errors import BadCellError, NoInputError, NotSupportedError
from symfed_node.statistics.accumulate import complete_rows
from symfed_node.statistics.doubledouble import FloatArray
from symfed_node.statistics.state import Feature
from symfed_wire.frames import BINARY, CONTINUOUS, IGNORED, Cell, DataFrame, is_missing

_NUMERIC: Final = (CONTINUOUS, BINARY)
_PLAIN: Final = frozenset({float, int, type(None)})


@dataclass(frozen=True, eq=False)
class Columns:
    """The numeric columns of a frame, in its order, rows with missing values left out."""

    features: tuple[Feature, ...]
    values: FloatArray
    """(p, n)"""
    skipped: int
    """rows left out"""


def numeric_columns(frame: DataFrame) -> Columns:
    """The columns of types C and B; those of type X are ignored.

    Raises NotSupportedError for other types, and BadCellError naming row (from 1) and column for a cell that
    is no number, infinite, or neither 0 nor 1 in a binary column.
    """
    positions = [i for i, kind in enumerate(frame.attribute_types) if kind != IGNORED]
    features = tuple(_numeric(frame, i) for i in positions)
    if not positions:
        raise NotSupportedError("all attributes have type X: there is nothing to learn")
    values = np.empty((len(positions), len(frame.data)))
    for row, (i, feature) in enumerate(zip(positions, features, strict=True)):
        values[row] = _column([cells[i] for cells in frame.data], feature) + 0.0  # turns -0.0 into 0.0
    complete = complete_rows(values)
    kept = values if complete.all() else np.ascontiguousarray(values[:, complete])
    return Columns(features, kept, skipped=int((~complete).sum()))


def input_columns(frame: DataFrame, names: Sequence[str]) -> FloatArray:
    """The columns `names` of a frame, (p, n): NaN where a cell, or a whole column, is missing or of type X.

    Raises NoInputError when the frame has none of them; else as `numeric_columns`, for these columns alone.
    """
    kinds = zip(frame.attribute_names, frame.attribute_types, strict=True)
    positions = {name: i for i, (name, kind) in enumerate(kinds) if kind != IGNORED}
    if positions.keys().isdisjoint(names):
        raise NoInputError(f"the DataFrame has none of the model's inputs {', '.join(names)}")
    values = np.full((len(names), len(frame.data)), np.nan)
    for row, name in enumerate(names):
        if (i := positions.get(name)) is not None:
            values[row] = _column([cells[i] for cells in frame.data], _numeric(frame, i))
    return values


def _numeric(frame: DataFrame, position: int) -> Feature:
    name, kind = frame.attribute_names[position], frame.attribute_types[position]
    if kind not in _NUMERIC:
        raise NotSupportedError(f"attribute {name!r} has type {kind}: not supported yet")
    return Feature(name, kind)


def _column(cells: Sequence[Cell], feature: Feature) -> FloatArray:
    values = _numbers(cells, feature)
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        raise BadCellError(f"{_where(int(infinite[0]) + 1, feature)} is infinite")
    if feature.type == BINARY:
        other = np.flatnonzero(~(np.isnan(values) | (values == 0) | (values == 1)))
        if other.size:
            raise BadCellError(f"{_where(int(other[0]) + 1, feature)} is neither 0 nor 1 (type B)")
    return values


def _numbers(cells: Sequence[Cell], feature: Feature) -> FloatArray:
    if _PLAIN.issuperset(map(type, cells)):
        with suppress(OverflowError):
            return np.array(cells, dtype=np.float64)  # None becomes NaN
    return np.array([_number(cell, row, feature) for row, cell in enumerate(cells, start=1)])


def _number(cell: Cell, row: int, feature: Feature) -> float:
    if cell is None:
        return np.nan
    text = cell.strip() if isinstance(cell, str) else ""
    try:
        if "_" in text or not text.isascii():
            raise ValueError  # Python's own spellings of numbers, which nobody else reads so
        return float(cell)
    except OverflowError:
        return np.inf  # an integer beyond float64
    except ValueError:
        if is_missing(cell):
            return np.nan
        raise BadCellError(f"{_where(row, feature)} is not a number (type {feature.type})") from None


def _where(row: int, feature: Feature) -> str:
    return f"row {row}, column {feature.name!r}"
