"""Taking rows out again, if the sums can have had them."""

import numpy as np

from symfed_node.statistics.errors import NeverLearntError
from symfed_node.statistics.histogram import BoolArray
from symfed_node.statistics.merge import subtract
from symfed_node.statistics.state import Statistics, diagonal, empty

_ROUNDING = 2.0**-30  # of the sums: rows that come in other batches than they were learnt in round otherwise


def without(stats: Statistics, batch: Statistics) -> Statistics:
    """`stats` without the rows of `batch`; without any row left the features stay, and sums of exactly 0."""
    after = subtract(stats, batch)
    return after if after.rows else empty(stats.features, stats.shift)


def check_forgettable(stats: Statistics, batch: Statistics) -> None:
    """Raises NeverLearntError when `stats` cannot have had the rows of `batch`, StatisticsError for too many.

    It cannot when a bin would hold fewer than no rows, a value lies beyond the extremes, or a variance would
    be below zero. So rows that are like those that were learnt may pass: their owner has to know them.
    """
    impossible = _impossible(stats, batch, subtract(stats, batch))
    if impossible.any():
        names = [name for name, is_bad in zip(stats.names, impossible, strict=True) if is_bad]
        raise NeverLearntError(
            f"{', '.join(names)}: not all of these rows were learnt, or some were forgotten before; "
            "nothing was forgotten"
        )


def _impossible(stats: Statistics, batch: Statistics, after: Statistics) -> BoolArray:
    """Which features show it, (p,)."""
    squares_at = diagonal(len(stats.features))
    before, squares = stats.gram.hi[squares_at], after.gram.hi[squares_at]
    tolerance = _ROUNDING * (before + batch.gram.hi[squares_at])
    if after.rows:
        impossible = squares - after.sum.hi**2 / after.rows < -tolerance
    else:
        largest_sum = np.sqrt(_ROUNDING * tolerance * stats.rows)
        impossible = (np.abs(squares) > tolerance) | (np.abs(after.sum.hi) > largest_sum)
    impossible |= (batch.minimum < stats.minimum) | (batch.maximum > stats.maximum) | (after.count < 0)
    impossible[after.histograms.feature[after.histograms.count < 0]] = True
    return impossible
