"""From rows to statistics."""

from fractions import Fraction

import numpy as np
import pytest
from sklearn.datasets import load_iris

from symfed_node.statistics.accumulate import accumulate, choose_shift, complete_rows
from symfed_node.statistics.device import CPU
from symfed_node.statistics.doubledouble import DoubleDouble, FloatArray
from symfed_node.statistics.errors import SchemaMismatchError, ValueOutOfRangeError
from symfed_node.statistics.merge import add, rebase
from symfed_node.statistics.moments import means, variances
from symfed_node.statistics.state import Feature, Statistics, triangle


def features(p: int) -> list[Feature]:
    return [Feature(f"x{i}", "C") for i in range(p)]


def exact(number: DoubleDouble) -> list[Fraction]:
    return [Fraction(hi) + Fraction(lo) for hi, lo in zip(number.hi, number.lo, strict=True)]


def iris() -> Statistics:
    columns = load_iris().data.T
    return accumulate(columns, features(4), choose_shift(columns))


@pytest.mark.parametrize(("p", "n"), [(1, 1), (3, 7), (30, 5000), (60, 4100), (201, 2050)])
def test_sums_are_those_of_the_rows(p: int, n: int) -> None:
    columns = np.random.default_rng(p).normal(3.0, 2.0, size=(p, n))
    shift = choose_shift(columns)
    stats = accumulate(columns, features(p), shift)
    x = columns - shift[:, None]
    rows, of_columns = triangle(p)
    np.testing.assert_allclose(stats.sum.hi, x.sum(axis=1), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(stats.gram.hi, (x @ x.T)[rows, of_columns], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(stats.m3.hi, (x**3).sum(axis=1), rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(stats.m4.hi, (x**4).sum(axis=1), rtol=1e-9)
    assert np.array_equal(stats.minimum, columns.min(axis=1))
    assert np.array_equal(stats.maximum, columns.max(axis=1))
    assert stats.rows == n
    assert np.array_equal(stats.count, np.full(p, n))


def test_whole_numbers_are_summed_exactly_over_many_chunks() -> None:
    n = 3 * CPU.chunk_rows(2) + 5
    columns = np.random.default_rng(2).integers(-(2**20), 2**20, size=(2, n)).astype(np.float64)
    stats = accumulate(columns, features(2), np.zeros(2))
    a, b = ([int(value) for value in column] for column in columns)
    assert exact(stats.sum) == [sum(a), sum(b)]
    assert exact(stats.gram) == [
        sum(x * x for x in a),
        sum(x * y for x, y in zip(a, b, strict=True)),
        sum(y * y for y in b),
    ]


def test_no_rows_are_no_statistics_but_a_neutral_one() -> None:
    none = accumulate(np.empty((2, 0)), features(2), np.array([1.0, 2.0]))
    some = accumulate(np.array([[1.0, 2.5], [3.0, 4.0]]), features(2), np.array([1.0, 2.0]))
    both = add(none, some)
    assert none.rows == 0
    for a, b in ((both.sum, some.sum), (both.gram, some.gram), (both.m4, some.m4)):
        assert a.hi.tobytes() + a.lo.tobytes() == b.hi.tobytes() + b.lo.tobytes()
    assert np.array_equal(both.minimum, [1.0, 3.0])


def test_the_published_figures_of_iris() -> None:
    stats = iris()
    assert stats.count[0] == 150
    assert means(stats)[0] == 5.843333333333334
    assert variances(stats)[0] == pytest.approx(0.6811222222222204, rel=1e-14)
    deviation = np.sqrt(variances(stats)[0])
    assert deviation == pytest.approx(0.8253012917851398, rel=1e-14)
    third = rebase(stats, means(stats)).m3.hi[0]
    assert 150 / (149 * 148) * third / deviation**3 == pytest.approx(0.31808651443435426, rel=1e-12)


def test_variance_keeps_its_digits_far_from_zero() -> None:
    columns: FloatArray = 1e6 + np.arange(1000.0).reshape(1, -1) / 1000 * 2
    values = [Fraction(value) for value in columns[0]]
    mean = sum(values) / 1000
    expected = float(sum((value - mean) ** 2 for value in values) / 1000)
    stats = accumulate(columns, features(1), choose_shift(columns))
    assert variances(stats)[0] == pytest.approx(expected, rel=1e-14)


def test_rows_with_missing_values_are_told() -> None:
    columns = np.array([[1.0, np.nan, 3.0, 4.0], [1.0, 2.0, np.nan, 4.0]])
    assert complete_rows(columns).tolist() == [True, False, False, True]


@pytest.mark.parametrize("value", [np.inf, np.nan, 1e80])
def test_a_value_that_no_sum_can_take_is_refused_by_name(value: float) -> None:
    with pytest.raises(ValueOutOfRangeError, match="x1: a value"):
        accumulate(np.array([[1.0, 2.0], [value, 2.0]]), features(2), np.zeros(2))


def test_columns_and_features_must_agree() -> None:
    with pytest.raises(SchemaMismatchError, match="3 columns were given for 2 features"):
        accumulate(np.zeros((3, 2)), features(2), np.zeros(2))


def test_the_shift_lies_on_a_coarse_grid_near_the_mean() -> None:
    columns = load_iris().data.T
    shift, deviation = choose_shift(columns), columns.std(axis=1)
    for c, sd, mean, column in zip(shift, deviation, columns.mean(axis=1), columns, strict=True):
        grid = 2.0 ** np.ceil(np.log2(sd / 4))
        assert c % grid == 0
        assert abs(c - mean) <= sd / 2
        assert c != column[0]


@pytest.mark.parametrize("value", [0.0, 7.3, -1e6 - 1 / 3])
def test_the_shift_of_a_constant_column_is_close_to_it(value: float) -> None:
    [shift] = choose_shift(np.full((1, 9), value))
    assert abs(shift - value) <= abs(value) * 2.0**-32
