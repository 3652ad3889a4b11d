"""Figures about one feature or two, from the sums: in exact fractions, rounded once at the end. Pure.

The conventions are those of the vendor's published samples: variance and stddev are the biased ones (divided
by n), and so is the stddev inside skewness and kurtosis. What the sums do not give is left out.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final

import numpy as np

from symfed_node.errors import NoRowsError
from symfed_node.statistics.distribution import distribution, extremes
from symfed_node.statistics.doubledouble import DoubleDouble
from symfed_node.statistics.errors import GapsNotSupportedError
from symfed_node.statistics.state import Statistics, position_in_triangle
from symfed_wire.frames import BINARY

Figures = dict[str, float]

_Z95: Final = 1.96


def univariate(stats: Statistics, position: int) -> Figures:
    """The metric `uni`. Raises NoRowsError.

    With s the biased stddev and z = (x − mean)/s: skewness = n/((n−1)(n−2)) Σz³, kurtosis (of the excess) =
    n(n+1)/((n−1)(n−2)(n−3)) Σz⁴ − 3(n−1)²/((n−2)(n−3)); stderr = s/√n, meanMarginErrorC95 = 1.96 stderr.
    NaN where too few rows or a constant feature leave them undefined.
    """
    check_rows(stats, position)
    n = int(stats.count[position])
    shift, total, squares = _around_shift(stats, position)
    d = total / n
    second = squares / n - d * d
    deviation = math.sqrt(max(second, Fraction(0)))
    figures = {
        "count": float(n),
        "mean": float(shift + d),
        "variance": float(max(second, Fraction(0))),
        "stddev": deviation,
        "stderr": deviation / math.sqrt(n),
        "meanMarginErrorC95": _Z95 * deviation / math.sqrt(n),
    }
    third, fourth = (_fraction(values, position) for values in (stats.m3, stats.m4))
    if third is not None:
        cubes = third - 3 * d * squares + 3 * d * d * total - n * d**3
        figures["skewness"] = _skewness(n, cubes, second)
        if fourth is not None:
            quartics = fourth - 4 * d * third + 6 * d * d * squares - 4 * d**3 * total + n * d**4
            figures["kurtosis"] = _kurtosis(n, quartics, second)
    if (ends := extremes(stats, position)) is not None:
        figures["min"], figures["max"] = ends
    if (found := distribution(stats, position)) is not None:
        figures["median"] = found.median
    return figures


def bivariate(stats: Statistics, first: int, second: int) -> Figures:
    """The metric `bi`: two features, the second one also as the weight of the first (cond…).

    biCi95Down and biCi95Up are Fisher's interval of linCorr. condVariance needs Σa²b: the sums have it only
    where both are binary, since there a² = a. Raises NoRowsError, and GapsNotSupportedError when a feature is
    known in some rows only.
    """
    for position in (first, second):
        check_rows(stats, position)
    gaps = [stats.names[i] for i in (first, second) if stats.count[i] != stats.rows]
    if gaps:
        raise GapsNotSupportedError(
            f"{', '.join(gaps)}: known in some of the {stats.rows} rows only, so pairs are not known"
        )
    n = stats.rows
    shift_a, sum_a, squares_a = _around_shift(stats, first)
    shift_b, sum_b, squares_b = _around_shift(stats, second)
    crossed = _product(stats, first, second)
    covariance = crossed / n - (sum_a / n) * (sum_b / n)
    correlation = _correlation(covariance, squares_a / n - (sum_a / n) ** 2, squares_b / n - (sum_b / n) ** 2)
    weight = sum_b + n * shift_b
    weighted = crossed + shift_a * sum_b + shift_b * sum_a + n * shift_a * shift_b
    figures = {
        "covar": float(covariance),
        "linCorr": correlation,
        "condCount": float(weight),
        "condSum": float(weighted),
        "condMean": _rounded(weighted / weight) if weight else math.nan,
    }
    figures["biCi95Down"], figures["biCi95Up"] = _interval(correlation, n)
    if stats.features[first].type == stats.features[second].type == BINARY:
        mean = weighted / weight if weight else None
        variance = math.nan if mean is None else float(max(mean - mean * mean, Fraction(0)))
        figures |= {"condVariance": variance, "condStddev": math.sqrt(variance)}
    return figures


def check_rows(stats: Statistics, position: int) -> None:
    """Raises NoRowsError when no row has a value of the feature."""
    if stats.count[position] == 0:
        raise NoRowsError(f"no row has a value of {stats.names[position]}")


def _around_shift(stats: Statistics, position: int) -> tuple[Fraction, Fraction, Fraction]:
    """The shift, and the sums of x and of x² around it."""
    total = _exact(stats.sum, position)
    return Fraction(float(stats.shift[position])), total, _product(stats, position, position)


def _product(stats: Statistics, first: int, second: int) -> Fraction:
    [at] = position_in_triangle(np.array([first]), np.array([second]))
    return _exact(stats.gram, int(at))


def _exact(values: DoubleDouble, position: int) -> Fraction:
    return Fraction(float(values.hi[position])) + Fraction(float(values.lo[position]))


def _fraction(values: DoubleDouble, position: int) -> Fraction | None:
    return None if math.isnan(values.hi[position]) else _exact(values, position)


def _skewness(n: int, cubes: Fraction, variance: Fraction) -> float:
    if n < 3 or variance <= 0:
        return math.nan
    size = math.sqrt(_rounded(cubes**2 / variance**3))
    return float(Fraction(n, (n - 1) * (n - 2))) * math.copysign(size, cubes)


def _kurtosis(n: int, quartics: Fraction, variance: Fraction) -> float:
    if n < 4 or variance <= 0:
        return math.nan
    scale = Fraction(n * (n + 1), (n - 1) * (n - 2) * (n - 3))
    return _rounded(scale * quartics / variance**2 - Fraction(3 * (n - 1) ** 2, (n - 2) * (n - 3)))


def _correlation(covariance: Fraction, variance_a: Fraction, variance_b: Fraction) -> float:
    if variance_a <= 0 or variance_b <= 0:
        return math.nan
    size = math.sqrt(min(covariance**2 / (variance_a * variance_b), Fraction(1)))
    return math.copysign(size, covariance)


def _rounded(figure: Fraction) -> float:
    """The nearest float64; infinite beyond them, where only a member's false statistics can lead."""
    try:
        return float(figure)
    except OverflowError:
        return math.inf if figure > 0 else -math.inf


def _interval(correlation: float, n: int) -> tuple[float, float]:
    """Fisher's interval at 95 %."""
    if math.isnan(correlation) or n <= 3:
        return math.nan, math.nan
    if abs(correlation) == 1:
        return correlation, correlation
    z, margin = math.atanh(correlation), _Z95 / math.sqrt(n - 3)
    return math.tanh(z - margin), math.tanh(z + margin)
