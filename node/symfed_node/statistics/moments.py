"""Means and centred sums, taken in double-double before anything is rounded to float64."""

import numpy as np

from symfed_node.statistics.doubledouble import DoubleDouble, FloatArray
from symfed_node.statistics.merge import rebase
from symfed_node.statistics.state import Statistics, diagonal


def means(stats: Statistics) -> FloatArray:
    """Mean of each feature over the rows in which it is known, (p,); NaN without any."""
    count = stats.count.astype(np.float64)
    total = stats.sum.add(DoubleDouble.of(stats.shift).scale(count)).hi
    mean: FloatArray = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return mean


def centred(stats: Statistics) -> Statistics:
    """The same rows around their own means. Raises GapsNotSupportedError as `rebase` does."""
    return rebase(stats, np.nan_to_num(means(stats)))


def variances(stats: Statistics) -> FloatArray:
    """Biased variance (divided by n) of each feature, (p,); 0 without rows."""
    around_mean = centred(stats)
    n = np.maximum(stats.count, 1).astype(np.float64)
    squares = around_mean.gram.hi[diagonal(len(stats.features))]
    return np.maximum(squares - around_mean.sum.hi**2 / n, 0.0) / n
