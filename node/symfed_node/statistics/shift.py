"""The shift around which a peer's sums are taken, coarse enough to reveal no row."""

import numpy as np

from symfed_node.statistics.doubledouble import FloatArray

_FINEST = 2.0**-32  # of the mean


def grid_shift(mean: FloatArray, deviation: FloatArray) -> FloatArray:
    """`mean` (p,) rounded to a power-of-two grid no finer than a quarter of `deviation` (p,).

    On so coarse a grid the mean of many rows says nothing about one of them, and it stays within half a
    standard deviation, where the sums lose no digits. A constant column has no deviation; its grid is 2^-32
    of the mean, which hides nothing that count and sum would not show anyway.
    """
    finest = np.maximum(deviation / 4, np.abs(mean) * _FINEST)
    _, exponent = np.frexp(finest)
    grid = np.ldexp(1.0, exponent)  # the power of two above `finest`; 1 where that is 0
    return np.rint(mean / grid) * grid + 0.0  # + 0.0 turns -0.0 into 0.0
