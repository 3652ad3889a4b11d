"""The statistics of a set of rows: all that is kept of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from symfed_node.statistics.doubledouble import DoubleDouble, FloatArray
from symfed_node.statistics.errors import SchemaMismatchError
from symfed_node.statistics.histogram import Histograms, no_rows

IntArray: TypeAlias = npt.NDArray[np.int64]
Positions: TypeAlias = npt.NDArray[np.intp]


LARGEST_VALUE: Final = 1e70
"""so that fourth powers stay finite around every shift, and summed over all rows of all peers"""


@dataclass(frozen=True)
class Feature:
    """A column: its name and its type on the wire (`C` continuous, `B` binary)."""

    name: str
    type: str


@dataclass(frozen=True, eq=False)
class Statistics:
    """Sums over rows x around one shift c per feature; p features.

    A quantity that is not known is NaN: `minimum` and `maximum` in what came from another peer or when the
    row that had them may be gone, `m3` and `m4` when a snapshot did not bring them.
    """

    features: tuple[Feature, ...]
    rows: int
    shift: FloatArray
    """c, (p,)"""
    count: IntArray
    """rows in which the feature is known, (p,)"""
    sum: DoubleDouble
    """Σ(x−c), (p,)"""
    gram: DoubleDouble
    """Σ(x−c)(x−c)ᵀ, lower triangle row by row, (p(p+1)/2,)"""
    m3: DoubleDouble
    """Σ(x−c)³, (p,)"""
    m4: DoubleDouble
    """Σ(x−c)⁴, (p,)"""
    minimum: FloatArray
    """smallest value, not shifted, (p,); +inf without rows"""
    maximum: FloatArray
    """largest value, not shifted, (p,); −inf without rows"""
    histograms: Histograms

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names in order."""
        return tuple(feature.name for feature in self.features)

    def index(self, name: str) -> int:
        """Position of the feature `name`; SchemaMismatchError when there is none."""
        if name not in self.names:
            raise SchemaMismatchError(f"no feature is named {name!r}; there are {', '.join(self.names)}")
        return self.names.index(name)


def empty(features: Sequence[Feature], shift: FloatArray) -> Statistics:
    """The statistics of no rows."""
    p = len(features)
    return Statistics(
        features=tuple(features),
        rows=0,
        shift=np.array(shift, dtype=np.float64),
        count=np.zeros(p, dtype=np.int64),
        sum=DoubleDouble.zeros(p),
        gram=DoubleDouble.zeros(triangle_size(p)),
        m3=DoubleDouble.zeros(p),
        m4=DoubleDouble.zeros(p),
        minimum=np.full(p, np.inf),
        maximum=np.full(p, -np.inf),
        histograms=no_rows(p),
    )


def select(stats: Statistics, positions: Sequence[int]) -> Statistics:
    """The statistics of the features at `positions`, in that order."""
    chosen = np.asarray(positions, dtype=np.intp)
    rows, columns = triangle(len(chosen))
    pairs = position_in_triangle(chosen[rows], chosen[columns])
    return Statistics(
        features=tuple(stats.features[position] for position in positions),
        rows=stats.rows,
        shift=stats.shift[chosen],
        count=stats.count[chosen],
        sum=stats.sum.take(chosen),
        gram=stats.gram.take(pairs),
        m3=stats.m3.take(chosen),
        m4=stats.m4.take(chosen),
        minimum=stats.minimum[chosen],
        maximum=stats.maximum[chosen],
        histograms=stats.histograms.select(chosen),
    )


def triangle_size(p: int) -> int:
    """Number of elements of a lower triangle with its diagonal."""
    return p * (p + 1) // 2


@lru_cache(maxsize=16)
def triangle(p: int) -> tuple[Positions, Positions]:
    """Row and column of each element of a packed lower triangle; read-only."""
    rows, columns = np.tril_indices(p)
    rows.flags.writeable = columns.flags.writeable = False
    return rows, columns


def position_in_triangle(i: Positions, j: Positions) -> Positions:
    """Where the pair (i, j) lies in a packed lower triangle."""
    row, column = np.maximum(i, j), np.minimum(i, j)
    positions: Positions = row * (row + 1) // 2 + column
    return positions


def diagonal(p: int) -> Positions:
    """Where the diagonal lies in a packed lower triangle."""
    i = np.arange(p, dtype=np.intp)
    return position_in_triangle(i, i)
