"""Double-double arithmetic against exact fractions."""

from fractions import Fraction

import numpy as np

from symfed_node.statistics.doubledouble import DoubleDouble, two_prod, two_sum

RANDOM = np.random.default_rng(1)
A = RANDOM.normal(size=500) * 2.0 ** RANDOM.integers(-60, 60, 500)
B = RANDOM.normal(size=500) * 2.0 ** RANDOM.integers(-60, 60, 500)


def exact(number: DoubleDouble) -> list[Fraction]:
    return [Fraction(hi) + Fraction(lo) for hi, lo in zip(number.hi, number.lo, strict=True)]


def assert_close(number: DoubleDouble, expected: list[Fraction], bits: int) -> None:
    for got, wanted in zip(exact(number), expected, strict=True):
        assert abs(got - wanted) <= abs(wanted) * Fraction(1, 2**bits)


def test_two_sum_loses_nothing() -> None:
    high, low = two_sum(A, B)
    assert np.array_equal(high, A + B)
    assert exact(DoubleDouble(high, low)) == [Fraction(a) + Fraction(b) for a, b in zip(A, B, strict=True)]


def test_two_prod_loses_nothing() -> None:
    high, low = two_prod(A, B)
    assert np.array_equal(high, A * B)
    assert exact(DoubleDouble(high, low)) == [Fraction(a) * Fraction(b) for a, b in zip(A, B, strict=True)]


def test_arithmetic_has_twice_the_digits() -> None:
    x, y = DoubleDouble(*two_sum(A, A * 2.0**-60)), DoubleDouble(*two_sum(B, B * 2.0**-58))
    pairs = list(zip(exact(x), exact(y), strict=True))
    assert_close(x.multiply(y), [a * b for a, b in pairs], 102)
    assert_close(x.scale(B), [a * Fraction(b) for a, b in zip(exact(x), B, strict=True)], 103)
    for got, (a, b) in zip(exact(x.add(y)), pairs, strict=True):
        assert abs(got - (a + b)) <= (abs(a) + abs(b)) * Fraction(3, 2**106)
    for got, (a, b) in zip(exact(x.subtract(y)), pairs, strict=True):
        assert abs(got - (a - b)) <= (abs(a) + abs(b)) * Fraction(3, 2**106)


def test_a_sum_that_cancels_keeps_what_float64_loses() -> None:
    values = [1e16, np.pi, -1e16, 1e-9]
    total = DoubleDouble.zeros(1)
    for value in values:
        total = total.add_float(np.array([value]))
    assert abs(exact(total)[0] - sum(map(Fraction, values))) <= Fraction(10**16, 2**100)
    assert abs(sum(values) - (np.pi + 1e-9)) > 0.1  # float64 does lose it


def test_a_long_sum_is_exact_to_its_bound() -> None:
    values = RANDOM.normal(size=2000)
    total = DoubleDouble.zeros(1)
    for value in values:
        total = total.add_float(np.array([value]))
    largest = max(abs(partial) for partial in np.cumsum(values))
    assert abs(exact(total)[0] - sum(map(Fraction, values))) <= Fraction(largest) / 2**93
