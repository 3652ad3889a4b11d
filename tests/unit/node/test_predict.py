"""Predictions against statsmodels and exact fractions, and missing inputs against regressions on the rows."""

import math
from fractions import Fraction

import numpy as np
import pytest
import statsmodels.api as sm
from tests.unit.node.test_linear import IRIS, exact_least_squares, features, iris, learnt

from symfed_node.models.linear import fit_linear
from symfed_node.models.predict import LinearPredictor, linear_predictor, predict
from symfed_node.statistics.doubledouble import FloatArray
from symfed_node.statistics.merge import merge_snapshots
from symfed_node.statistics.published import publishable
from symfed_node.statistics.state import Statistics

RNG = np.random.default_rng(11)


def built(stats: Statistics, inputs: list[int], target: int) -> LinearPredictor:
    return linear_predictor(fit_linear(stats, inputs, target), stats)


def gaps(inputs: FloatArray, share: float = 0.4) -> FloatArray:
    """`inputs` with cells taken out."""
    return np.where(RNG.random(inputs.shape) < share, np.nan, inputs)


def regressed(row: FloatArray, rows: FloatArray) -> FloatArray:
    """A row (p,) with each missing input from its least-squares regression in `rows` (p, n) on the others."""
    known = ~np.isnan(row)
    if known.all() or not known.any():
        return np.where(known, row, rows.mean(axis=1))
    centre = rows.mean(axis=1, keepdims=True)
    weights = np.linalg.lstsq((rows - centre)[known].T, (rows - centre)[~known].T)[0]
    filled = row.copy()
    filled[~known] = centre[~known, 0] + (row - centre[:, 0])[known] @ weights
    return filled


@pytest.mark.parametrize("ends", [(), (20, 90), (40, 60, 130)])
@pytest.mark.parametrize("impute", [False, True])
def test_iris_agrees_with_statsmodels(ends: tuple[int, ...], impute: bool) -> None:
    predictor = built(iris(*ends), [1, 2, 3], 0)
    reference = sm.OLS(IRIS[0], sm.add_constant(IRIS[1:].T)).fit()
    np.testing.assert_allclose(
        predict(predictor, IRIS[1:], impute=impute), reference.predict(), rtol=1e-13, atol=0.0
    )


def test_a_missing_input_is_its_mean() -> None:
    given = gaps(IRIS[1:])
    filled = np.where(np.isnan(given), IRIS[1:].mean(axis=1, keepdims=True), given)
    reference = sm.OLS(IRIS[0], sm.add_constant(IRIS[1:].T)).fit().predict(sm.add_constant(filled.T))
    found = predict(built(iris(20, 90), [1, 2, 3], 0), given, impute=False)
    np.testing.assert_allclose(found, reference, rtol=1e-13, atol=0.0)


def test_an_imputed_input_is_its_regression_on_those_that_are_there() -> None:
    given = gaps(IRIS[1:])
    assert len(np.unique(np.isnan(given), axis=1).T) == 8, "every pattern of three inputs"
    filled = np.array([regressed(row, IRIS[1:]) for row in given.T])
    reference = sm.OLS(IRIS[0], sm.add_constant(IRIS[1:].T)).fit().predict(sm.add_constant(filled))
    found = predict(built(iris(20, 90), [1, 2, 3], 0), given, impute=True)
    np.testing.assert_allclose(found, reference, rtol=1e-12, atol=0.0)
    assert not np.allclose(found, predict(built(iris(), [1, 2, 3], 0), given, impute=False), rtol=1e-3)


def test_more_than_a_byte_of_inputs_and_a_column_that_nobody_has() -> None:
    columns = RNG.normal(size=(12, 12)) @ RNG.normal(size=(12, 400)) + RNG.normal(5.0, 3.0, size=(12, 1))
    given = gaps(columns[:11], 0.2)
    given[10] = np.nan
    filled = np.array([regressed(row, columns[:11]) for row in given.T])
    coefficients = np.linalg.lstsq(sm.add_constant(columns[:11].T), columns[11])[0]
    found = predict(built(learnt(columns), list(range(11)), 11), given, impute=True)
    np.testing.assert_allclose(found, sm.add_constant(filled) @ coefficients, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("impute", [False, True])
def test_without_any_input_it_is_the_mean_of_the_target(impute: bool) -> None:
    found = predict(built(iris(), [1, 2, 3], 0), np.full((3, 2), np.nan), impute=impute)
    assert found.tolist() == [5.843333333333334] * 2


@pytest.mark.parametrize("impute", [False, True])
def test_no_rows_get_no_answers(impute: bool) -> None:
    assert predict(built(iris(), [1, 2, 3], 0), np.empty((3, 0)), impute=impute).shape == (0,)


@pytest.mark.parametrize("impute", [False, True])
def test_a_row_gets_the_same_bytes_whatever_is_beside_it(impute: bool) -> None:
    predictor, given = built(iris(), [1, 2, 3], 0), gaps(IRIS[1:])
    alone = [predict(predictor, given[:, [row]], impute=impute)[0] for row in range(150)]
    assert predict(predictor, given, impute=impute).tolist() == alone


def test_digits_are_kept_where_the_mean_is_a_million_deviations() -> None:
    x = RNG.normal(1e6, 1.0, size=(2, 60))
    columns = np.vstack([x, x[0] - x[1] + RNG.normal(size=60)])
    columns[:, 30:] += np.array([[40.0], [40.0], [0.0]])
    parts = [publishable(learnt(part)) for part in np.split(columns, [30], axis=1)]
    intercept, *slopes = exact_least_squares(columns)[0]
    exact = [
        intercept + sum(slope * Fraction(cell) for slope, cell in zip(slopes, row, strict=True))
        for row in columns[:2].T.tolist()
    ]
    found = predict(built(merge_snapshots(parts, features(3)), [0, 1], 2), columns[:2], impute=False)
    np.testing.assert_allclose(found, [float(value) for value in exact], rtol=0.0, atol=1e-12)


def test_inputs_that_rounding_made_collinear_are_imputed_all_the_same() -> None:
    """Their moments have no inverse; by the shortest solution both halves say the same."""
    moments = np.array([1.0, 1.0, 1.0, 0.5, 0.5, 1.0])
    predictor = LinearPredictor(("a", "b", "c"), 7.0, np.array([0.0, 0.0, 2.0]), np.zeros(3), moments)
    [found] = predict(predictor, np.array([[3.0], [3.0], [np.nan]]), impute=True)
    assert found == pytest.approx(7.0 + 2.0 * 0.5 * 3.0, rel=1e-12)


def test_too_large_an_input_gives_no_finite_number() -> None:
    predictor = LinearPredictor(("a",), 0.0, np.array([1e10]), np.zeros(1), np.ones(1))
    assert math.isinf(predict(predictor, np.array([[1e300]]), impute=True)[0])
