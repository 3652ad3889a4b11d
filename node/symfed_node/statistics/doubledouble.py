"""Numbers of twice the precision of float64, as unevaluated sums of two, on whole arrays.

Every operation is a fixed sequence of separate float64 additions and multiplications (no BLAS, no fused
multiply-add), so the same input gives the same bytes on every CPU. Algorithms: Dekker 1971; Joldes, Muller
and Popescu, "Tight and rigorous error bounds for basic building blocks of double-word arithmetic", 2017.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]

_SPLITTER = 134217729.0  # 2^27 + 1 cuts the 53 bits of a float64 into two halves of at most 26
_BLOCK = 8192


def two_sum(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The rounded sum of `a` and `b` and, exactly, what the rounding lost."""
    total = a + b
    of_b = total - a
    of_a = total - of_b
    return total, (a - of_a) + (b - of_b)


def quick_two_sum(large: FloatArray, small: FloatArray) -> tuple[FloatArray, FloatArray]:
    """`two_sum` in half the operations where |large| >= |small| or large is 0."""
    total = large + small
    return total, small - (total - large)


def two_prod(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The rounded product of `a` and `b` and, exactly, what the rounding lost.

    Exact for factors below 2^996 and products between 2^-969 and 2^1023 (Veltkamp's split, Dekker's product).
    """
    product = a * b
    a_high, a_low = _split(a)
    b_high, b_low = _split(b)
    lost = a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)
    return product, lost


def _split(a: FloatArray) -> tuple[FloatArray, FloatArray]:
    scaled = a * _SPLITTER
    high = scaled - (scaled - a)
    return high, a - high


@dataclass(frozen=True, eq=False)
class DoubleDouble:
    """An array of numbers hi + lo, where lo is at most half a unit in the last place of hi."""

    hi: FloatArray
    lo: FloatArray

    @staticmethod
    def of(values: FloatArray) -> DoubleDouble:
        """The float64 `values` with nothing behind them."""
        return DoubleDouble(values, np.zeros_like(values))

    @staticmethod
    def zeros(size: int) -> DoubleDouble:
        """`size` zeros."""
        return DoubleDouble.of(np.zeros(size))

    def add(self, other: DoubleDouble) -> DoubleDouble:
        """Elementwise sum, relative error below 3·2^-106 of |self| + |other|."""
        high, high_lost = two_sum(self.hi, other.hi)
        low, low_lost = two_sum(self.lo, other.lo)
        high, low = quick_two_sum(high, high_lost + low)
        return DoubleDouble(*quick_two_sum(high, low + low_lost))

    def add_float(self, values: FloatArray) -> DoubleDouble:
        """Elementwise sum with plain float64 values, relative error below 2^-105."""
        high, lost = two_sum(self.hi, values)
        return DoubleDouble(*quick_two_sum(high, lost + self.lo))

    def negative(self) -> DoubleDouble:
        """The same with the other sign, exactly."""
        return DoubleDouble(-self.hi, -self.lo)

    def subtract(self, other: DoubleDouble) -> DoubleDouble:
        """Elementwise difference."""
        return self.add(other.negative())

    def scale(self, factor: float | FloatArray) -> DoubleDouble:
        """Elementwise product with float64 `factor` (a number or an array of the same shape)."""
        values = np.broadcast_to(np.asarray(factor, dtype=np.float64), self.hi.shape)
        high, lost = two_prod(self.hi, values)
        return DoubleDouble(*quick_two_sum(high, lost + self.lo * values))

    def multiply(self, other: DoubleDouble) -> DoubleDouble:
        """Elementwise product, relative error below 2^-102."""
        high, lost = two_prod(self.hi, other.hi)
        return DoubleDouble(*quick_two_sum(high, lost + (self.hi * other.lo + self.lo * other.hi)))

    def cut(self, part: slice) -> DoubleDouble:
        """A view of the elements in `part`."""
        return DoubleDouble(self.hi[part], self.lo[part])

    def put(self, part: slice, values: DoubleDouble) -> None:
        """Writes `values` into the elements in `part`; for who fills an array of its own piece by piece."""
        self.hi[part], self.lo[part] = values.hi, values.lo

    def take(self, positions: npt.NDArray[np.intp]) -> DoubleDouble:
        """The elements at `positions`."""
        return DoubleDouble(self.hi[positions], self.lo[positions])


def blocks(size: int) -> Iterator[slice]:
    """Cuts `size` elements into pieces small enough for intermediate results to stay in the cache."""
    return (slice(start, min(start + _BLOCK, size)) for start in range(0, size, _BLOCK))
