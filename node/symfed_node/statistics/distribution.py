"""How the values of one feature are distributed, read from its histogram. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from symfed_node.statistics.doubledouble import FloatArray
from symfed_node.statistics.histogram import edges
from symfed_node.statistics.state import IntArray, Statistics
from symfed_wire.frames import BINARY

_NEXT_TO_ZERO: Final = edges(np.array([0]))[1]


@dataclass(frozen=True, eq=False)
class Distribution:
    """Rows between the ends of each of k bins, in order; within a bin they count as evenly spread.

    A bin whose ends are one value holds that value alone.
    """

    low: FloatArray
    """(k,)"""
    high: FloatArray
    """(k,)"""
    rows: IntArray
    """(k,)"""

    @property
    def median(self) -> float:
        """Where half of the rows are below, within its bin by interpolation."""
        reached = np.cumsum(self.rows)
        half = reached[-1] / 2
        at = int(np.searchsorted(reached, half))
        before = float(reached[at] - self.rows[at])
        share = (half - before) / float(self.rows[at])
        return float(self.low[at] + share * (self.high[at] - self.low[at]))

    def between(self, ends: FloatArray) -> FloatArray:
        """Rows from each of `ends` (m + 1,) to the next, (m,); the last end belongs to its bin."""
        is_point = self.low == self.high
        points, _ = np.histogram(self.low[is_point], ends, weights=self.rows[is_point].astype(np.float64))
        spread = np.where(is_point, 0.0, self.rows)
        reached = np.concatenate([[0.0], np.cumsum(spread)])
        at = np.stack([self.low, self.high], axis=1).ravel()
        below = np.interp(ends, at, np.repeat(reached, 2)[1:-1])
        result: FloatArray = points + np.diff(below)
        return result


def extremes(stats: Statistics, position: int) -> tuple[float, float] | None:
    """The least and the largest value where they are known, else the ends of the outermost bins.

    None when the histogram is not known either, or there are no rows.
    """
    if stats.count[position] == 0:
        return None
    least, most = float(stats.minimum[position]), float(stats.maximum[position])
    if np.isnan(least) or np.isnan(most):
        bins = _bins(stats, position)
        if bins is None:
            return None
        least = float(_ends(bins.low)[0]) if np.isnan(least) else least
        most = float(_ends(bins.high)[-1]) if np.isnan(most) else most
    return least, most


def distribution(stats: Statistics, position: int) -> Distribution | None:
    """The distribution of a feature; None when its histogram is not known, or there are no rows."""
    bins = _bins(stats, position)
    if bins is None:
        return None
    least, most = (
        stats.minimum[position],
        stats.maximum[position],
    )  # what is not known is NaN and cuts nothing
    return Distribution(_ends(np.fmax(bins.low, least)), _ends(np.fmin(bins.high, most)), bins.rows)


def _ends(of_bins: FloatArray) -> FloatArray:
    """Zero is meant by what shares its bins, numbers below 2^-1028."""
    ends: FloatArray = np.where(np.abs(of_bins) <= _NEXT_TO_ZERO, 0.0, of_bins)
    return ends


def _bins(stats: Statistics, position: int) -> Distribution | None:
    histograms = stats.histograms
    if not histograms.known[position] or stats.count[position] == 0:
        return None
    of = histograms.feature == position
    low, high = edges(histograms.bin[of])
    if stats.features[position].type == BINARY:  # 0 and 1 are all there is in their bins
        low, high = np.rint(low), np.rint(high)
    return Distribution(low, high, histograms.count[of])
