"""From a DataFrame's cells to float64 columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from symfed_node.errors import BadCellError, NotSupportedError
from symfed_node.statistics.accumulate import complete_rows
from symfed_node.statistics.doubledouble import FloatArray
from symfed_node.statistics.state import Feature
from symfed_wire.frames import BINARY, CONTINUOUS, IGNORED, Cell, DataFrame, is_missing

_NUMERIC: Final = (CONTINUOUS, BINARY)


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
    for i in positions:
        if frame.attribute_types[i] not in _NUMERIC:
            name, kind = frame.attribute_names[i], frame.attribute_types[i]
            raise NotSupportedError(f"attribute {name!r} has type {kind}: not supported yet")
    if not positions:
        raise NotSupportedError("all attributes have type X: there is nothing to learn")
    features = tuple(Feature(frame.attribute_names[i], frame.attribute_types[i]) for i in positions)
    values = np.empty((len(positions), len(frame.data)))
    for row, (i, feature) in enumerate(zip(positions, features, strict=True)):
        values[row] = _column([cells[i] for cells in frame.data], feature)
    complete = complete_rows(values)
    kept = values if complete.all() else np.ascontiguousarray(values[:, complete])
    return Columns(features, kept, skipped=int((~complete).sum()))


def _column(cells: Sequence[Cell], feature: Feature) -> FloatArray:
    values = np.array([_number(cell, row, feature) for row, cell in enumerate(cells, start=1)])
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        raise BadCellError(f"{_where(int(infinite[0]) + 1, feature)} is infinite")
    if feature.type == BINARY:
        other = np.flatnonzero(~(np.isnan(values) | (values == 0) | (values == 1)))
        if other.size:
            raise BadCellError(f"{_where(int(other[0]) + 1, feature)} is neither 0 nor 1 (type B)")
    return values


def _number(cell: Cell, row: int, feature: Feature) -> float:
    if is_missing(cell):
        return np.nan
    text = cell.strip() if isinstance(cell, str) else None
    try:
        if text is not None and ("_" in text or not text.isascii()):
            raise ValueError(text)  # Python's own spellings of numbers, which nobody else reads so
        return float(cell if text is None else text)  # type: ignore[arg-type]  # None is missing
    except OverflowError:
        return np.inf  # an integer beyond float64
    except ValueError:
        raise BadCellError(f"{_where(row, feature)} is not a number (type {feature.type})") from None


def _where(row: int, feature: Feature) -> str:
    return f"row {row}, column {feature.name!r}"
