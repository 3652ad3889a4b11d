"""Histograms on the float's own bits: integers, so they add and subtract exactly.

Which numbers share a bin, and why: `symfed_wire.snapshot_histogram`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from symfed_wire.snapshot_histogram import BIN_SHIFT, IntArray

FloatArray: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

FEWEST_ROWS: Final = 5  # in a bin that others may see
_FIRST_BITS: Final = 64 - BIN_SHIFT  # sign, exponent and the mantissa's first bits
_NEGATIVE: Final = 1 << (_FIRST_BITS - 1)
_TABLE_ROWS: Final = 4096  # from here on a table of a feature's bins is cheaper than sorting,
_TABLE_FILL: Final = 4  # unless it has more than so many bins a row
_FEATURE: Final = 32  # bits of a key below the feature's position
_ZERO_BIN: Final = 1 << 31  # added to a bin's number, so that keys are positive


@dataclass(frozen=True, eq=False)
class Histograms:
    """Rows per bin of p features; k bins together have rows. Both arrays of k are read together.

    Bins are kept by feature, then by number, which is the order of their values.
    """

    known: BoolArray
    """whether the feature's bins are known, (p,); one without rows is known to have none"""
    key: IntArray
    """position of the feature and number of the bin in one, ascending, (k,)"""
    count: IntArray
    """rows in the bin, (k,)"""

    @property
    def feature(self) -> IntArray:
        """Position of each bin's feature, (k,)."""
        return self.key >> _FEATURE

    @property
    def bin(self) -> IntArray:
        """Number of each bin, (k,)."""
        return (self.key & ((1 << _FEATURE) - 1)) - _ZERO_BIN

    def add(self, other: Histograms) -> Histograms:
        """The bins of both; a feature is known where both know it."""
        known = self.known & other.known
        keys, counts = np.concatenate([self.key, other.key]), np.concatenate([self.count, other.count])
        return _sorted_bins(known, keys, counts)

    def subtract(self, other: Histograms) -> Histograms:
        """The bins without those of `other`; a bin that never had so many rows comes out below zero."""
        return self.add(Histograms(other.known, other.key, -other.count))

    def select(self, positions: npt.NDArray[np.intp]) -> Histograms:
        """The histograms of the features at `positions`, in that order."""
        starts = np.searchsorted(self.feature, [positions, positions + 1])
        lengths = starts[1] - starts[0]
        new = np.repeat(np.arange(len(positions)), lengths)
        old = np.arange(len(new)) + np.repeat(starts[0] - (np.cumsum(lengths) - lengths), lengths)
        return Histograms(self.known[positions], _keys(new, self.bin[old]), self.count[old])

    def widen(self, p: int) -> Histograms:
        """The same with features without rows behind, `p` together."""
        absent = np.ones(p - len(self.known), dtype=np.bool_)
        return Histograms(np.concatenate([self.known, absent]), self.key, self.count)

    def rows_apart(self, other: Histograms) -> int:
        """At least so many rows are in one of the two sets of rows and not in the other.

        Each of them changes one bin of a feature by one. So it holds in whichever batches rows were learnt
        and forgotten; unknown features tell nothing.
        """
        difference = self.subtract(other)
        rows = np.zeros(len(difference.known), dtype=np.int64)
        np.add.at(rows, difference.feature, np.abs(difference.count))
        return int(rows.max(initial=0))

    def pooled(self) -> Histograms:
        """The same with at least FEWEST_ROWS rows in every bin; a feature that has fewer is not known.

        From the lowest bin on, bins go together until they have enough rows; what is left above joins the
        last ones. They go under the number of the bin with their middle row, so a lone extreme is not told.
        """
        ends = np.searchsorted(self.feature, np.arange(len(self.known)), side="right")
        known, keys, counts = self.known.copy(), list[int](), list[int]()
        for position, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
            groups = _groups(self.count[start:end].tolist())
            known[position] &= not (end > start and not groups)
            for first, last in groups:
                rows = np.cumsum(self.count[start + first : start + last])
                middle = np.searchsorted(rows, (rows[-1] + 1) // 2)
                keys.append(int(self.key[start + first + middle]))
                counts.append(int(rows[-1]))
        return Histograms(known, np.array(keys, dtype=np.int64), np.array(counts, dtype=np.int64))


def no_rows(p: int) -> Histograms:
    """The histograms of `p` features without rows."""
    none = np.empty(0, dtype=np.int64)
    return Histograms(np.ones(p, dtype=np.bool_), none, none)


def not_known(has_rows: BoolArray) -> Histograms:
    """Histograms that nobody kept of features that have rows or not, (p,)."""
    return Histograms(~has_rows, *2 * (np.empty(0, dtype=np.int64),))


def of_bins(known: BoolArray, feature: IntArray, number: IntArray, count: IntArray) -> Histograms:
    """Histograms from the bins of each feature in order."""
    return Histograms(known, _keys(feature, number), count)


def count_values(columns: FloatArray) -> Histograms:
    """The histograms of the finite values in `columns` (p, n)."""
    p, n = columns.shape
    bits = columns.view(np.int64)
    first, rows, lengths = _count_in_tables(bits) if n >= _TABLE_ROWS else _count_sorted(bits)
    number = np.where(first < 0, ~(first & (_NEGATIVE - 1)), first)
    return _sorted_bins(np.ones(p, dtype=np.bool_), _keys(np.repeat(np.arange(p), lengths), number), rows)


def edges(number: IntArray) -> tuple[FloatArray, FloatArray]:
    """The smallest and the largest end of each bin; the end away from zero does not belong to it."""
    magnitude = np.where(number < 0, ~number, number)
    near, far = ((bits << BIN_SHIFT).view(np.float64) for bits in (magnitude, magnitude + 1))
    return np.where(number < 0, -far, near), np.where(number < 0, -near, far)


def _count_in_tables(bits: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """First bits that occur, the rows of each, and how many a feature has; `bits` (p, n) of the values."""
    found, rows = list[IntArray](), list[IntArray]()
    first = np.empty(bits.shape[1], dtype=np.int64)
    for row in bits:
        np.right_shift(row, BIN_SHIFT, out=first)
        least = first.min()
        np.subtract(first, least, out=first)
        if first.max() < _TABLE_FILL * len(first):
            table = np.bincount(first)
            occurring = np.flatnonzero(table.astype(np.bool_))
            counted = table[occurring]
        else:
            occurring, counted = np.unique_counts(first)
        found.append(occurring + least)
        rows.append(counted)
    lengths = np.array([len(each) for each in found], dtype=np.int64)
    return np.concatenate(found), np.concatenate(rows), lengths


def _count_sorted(bits: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """The same for few rows."""
    p, n = bits.shape
    first = np.sort(bits >> BIN_SHIFT, axis=1)
    is_new = np.ones((p, n), dtype=np.bool_)
    np.not_equal(first[:, 1:], first[:, :-1], out=is_new[:, 1:])
    starts = np.flatnonzero(is_new)
    return first.ravel()[starts], np.diff(starts, append=p * n), is_new.sum(axis=1)


def _sorted_bins(known: BoolArray, keys: IntArray, counts: IntArray) -> Histograms:
    """Bins of known features in order, each once, without those that have no rows."""
    is_known = known[keys >> _FEATURE]
    keys, counts = keys[is_known], counts[is_known]
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], counts[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    sums = np.add.reduceat(counts, starts) if len(starts) else counts
    has_rows = sums != 0
    return Histograms(known, keys[starts][has_rows], sums[has_rows])


def _keys(feature: npt.NDArray[np.signedinteger], number: IntArray) -> IntArray:
    return (feature.astype(np.int64) << _FEATURE) + (number + _ZERO_BIN)


def _groups(counts: Sequence[int]) -> list[tuple[int, int]]:
    """Where each run of bins with enough rows starts and ends."""
    groups, start, rows = list[tuple[int, int]](), 0, 0
    for end, count in enumerate(counts, start=1):
        rows += count
        if rows >= FEWEST_ROWS:
            groups.append((start, end))
            start, rows = end, 0
    if groups:
        groups[-1] = (groups[-1][0], len(counts))
    return groups
