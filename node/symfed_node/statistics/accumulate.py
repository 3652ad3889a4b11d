"""From rows to statistics: the one way in for every batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from symfed_node.statistics.device import CPU, Device
from symfed_node.statistics.doubledouble import FloatArray
from symfed_node.statistics.errors import SchemaMismatchError, ValueOutOfRangeError
from symfed_node.statistics.histogram import count_values
from symfed_node.statistics.shift import grid_shift
from symfed_node.statistics.state import LARGEST_VALUE, Feature, Positions, Statistics, empty, triangle

_BLOCK = 24 * 4096  # cells that, shifted and squared, stay in the second-level cache


def complete_rows(columns: FloatArray) -> npt.NDArray[np.bool_]:
    """Which of the n rows of `columns` (p, n) have a value in every column, (n,)."""
    complete: npt.NDArray[np.bool_] = np.logical_and.reduce(~np.isnan(columns), axis=0)
    return complete


def choose_shift(columns: FloatArray) -> FloatArray:
    """A shift near the mean of each column of (p, n): see `grid_shift`."""
    if columns.shape[1] == 0:
        return np.zeros(columns.shape[0])
    return grid_shift(columns.mean(axis=1), columns.std(axis=1))


def accumulate(
    columns: FloatArray, features: Sequence[Feature], shift: FloatArray, device: Device = CPU
) -> Statistics:
    """The statistics of the n rows in `columns` (p, n) around `shift` (p,).

    Rows with missing values are to be left out before (`complete_rows`). Each chunk is one float64 matrix
    product on the `device`; the chunks are added in double-double. Raises ValueOutOfRangeError for values
    beyond LARGEST_VALUE, SchemaMismatchError when the number of columns is not that of the features, and
    GpuError.
    """
    p, n = columns.shape
    if p != len(features):
        raise SchemaMismatchError(f"{p} columns were given for {len(features)} features")
    stats = empty(features, shift)
    if n == 0:
        return stats
    total, gram, m3, m4 = stats.sum, stats.gram, stats.m3, stats.m4
    minimum, maximum = stats.minimum, stats.maximum
    rows, of_columns = triangle(p)
    lower: Positions = rows * p + of_columns
    with np.errstate(over="ignore", invalid="ignore"):  # _check_range names the feature afterwards
        for chunk in _chunks(columns, stats.shift, device.chunk_rows(p)):
            minimum = np.minimum(minimum, chunk.minimum)
            maximum = np.maximum(maximum, chunk.maximum)
            total = total.add_float(chunk.sum)
            m3 = m3.add_float(chunk.m3)
            m4 = m4.add_float(chunk.m4)
            gram = gram.add_float(device.gram(chunk.x).ravel()[lower])
    _check_range(features, minimum, maximum)
    return replace(
        stats,
        rows=n,
        count=np.full(p, n, dtype=np.int64),
        sum=total,
        gram=gram,
        m3=m3,
        m4=m4,
        minimum=minimum,
        maximum=maximum,
        histograms=count_values(columns),
    )


def _check_range(features: Sequence[Feature], minimum: FloatArray, maximum: FloatArray) -> None:
    """Raises ValueOutOfRangeError naming the features with extremes (p,) that are too large or missing."""
    is_bad = ~((minimum >= -LARGEST_VALUE) & (maximum <= LARGEST_VALUE))
    if is_bad.any():
        names = [feature.name for feature, bad in zip(features, is_bad, strict=True) if bad]
        raise ValueOutOfRangeError(
            f"{', '.join(names)}: a value is missing, infinite or beyond ±{LARGEST_VALUE:.0e}; "
            "leave such rows out"
        )


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Some rows of all columns: `x` is valid until the next chunk, the others are (p,)."""

    x: FloatArray
    """the columns without the shift, (p, rows)"""
    sum: FloatArray
    m3: FloatArray
    m4: FloatArray
    minimum: FloatArray
    maximum: FloatArray


def _chunks(columns: FloatArray, shift: FloatArray, rows: int) -> Iterator[_Chunk]:
    """`columns` (p, n) by chunks of `rows`; the work per element goes by blocks of features, in the cache."""
    p, n = columns.shape
    size = min(n, rows)
    features = min(p, max(1, _BLOCK // size))
    # Rows a power of two apart would compete for the same lines of the cache, hence the eight more.
    centred = np.empty((p, size + 8))
    squares = np.empty((features, size + 8))
    for start in range(0, n, size):
        values = columns[:, start : start + size]
        x = centred[:, : values.shape[1]]
        total, m3, m4, minimum, maximum = np.empty((5, p))
        for first in range(0, p, features):
            block = slice(first, min(first + features, p))
            np.subtract(values[block], shift[block, None], out=x[block])
            np.minimum.reduce(values[block], axis=1, out=minimum[block])
            np.maximum.reduce(values[block], axis=1, out=maximum[block])
            np.add.reduce(x[block], axis=1, out=total[block])
            x2 = squares[: block.stop - first, : values.shape[1]]
            np.multiply(x[block], x[block], out=x2)
            np.vecdot(x2, x[block], out=m3[block])
            np.vecdot(x2, x2, out=m4[block])
        yield _Chunk(x, total, m3, m4, minimum, maximum)
