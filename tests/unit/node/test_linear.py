"""mlr against statsmodels on iris, against exact fractions far from zero, and what it refuses."""

import math
from dataclasses import astuple
from fractions import Fraction

import numpy as np
import pytest
import statsmodels.api as sm
from sklearn.datasets import load_iris

from symfed_node.models.errors import CollinearError, ConstantFeatureError, ModelError, TooFewRowsError
from symfed_node.models.linear import ILL_CONDITIONED, INTERCEPT, LinearModel, fit_linear
from symfed_node.statistics.accumulate import accumulate, choose_shift
from symfed_node.statistics.doubledouble import FloatArray
from symfed_node.statistics.errors import GapsNotSupportedError
from symfed_node.statistics.merge import digest, merge_snapshots
from symfed_node.statistics.published import publishable
from symfed_node.statistics.state import Feature, Statistics

IRIS: FloatArray = load_iris().data.T
NAMES = ("sepal_length", "sepal_width", "petal_length", "petal_width")


def features(p: int) -> list[Feature]:
    return [Feature(f"x{i}", "C") for i in range(p)]


def learnt(columns: FloatArray) -> Statistics:
    return accumulate(columns, features(len(columns)), choose_shift(columns))


def iris(*ends: int) -> Statistics:
    """Iris as the sum of the snapshots of peers with the rows between `ends`."""
    schema = [Feature(name, "C") for name in NAMES]
    parts = np.split(IRIS, ends, axis=1)
    return merge_snapshots(
        [publishable(accumulate(part, schema, choose_shift(part))) for part in parts], schema
    )


@pytest.mark.parametrize("ends", [(), (20, 90), (40, 60, 130)])
def test_iris_agrees_with_statsmodels(ends: tuple[int, ...]) -> None:
    model = fit_linear(iris(*ends), [1, 2, 3], 0)
    reference = sm.OLS(IRIS[0], sm.add_constant(IRIS[1:].T)).fit()
    table = model.coefficients
    assert [line.attribute for line in table] == [INTERCEPT, *NAMES[1:]]
    np.testing.assert_allclose([line.coefficient for line in table], reference.params, rtol=1e-10, atol=0.0)
    np.testing.assert_allclose([line.std_error for line in table], reference.bse, rtol=1e-10, atol=0.0)
    np.testing.assert_allclose([line.t for line in table], reference.tvalues, rtol=1e-10, atol=0.0)
    np.testing.assert_allclose([line.p_value for line in table], reference.pvalues, rtol=1e-8)
    np.testing.assert_allclose(
        [(line.ci_low, line.ci_high) for line in table], reference.conf_int(), rtol=1e-9
    )
    assert (model.rows, model.degrees_of_freedom) == (150, 146)
    assert model.r_squared == pytest.approx(reference.rsquared, rel=1e-10)
    assert model.adjusted_r_squared == pytest.approx(reference.rsquared_adj, rel=1e-10)
    assert model.residual_variance == pytest.approx(reference.mse_resid, rel=1e-10)
    assert model.f_statistic == pytest.approx(reference.fvalue, rel=1e-10)
    assert model.f_p_value == pytest.approx(reference.f_pvalue, rel=1e-8)
    assert model.target_mean == 5.843333333333334
    assert model.condition_number == pytest.approx(np.linalg.cond(np.corrcoef(IRIS[1:])), rel=1e-9)


def test_the_same_statistics_give_the_same_bits_and_say_which_they_were() -> None:
    stats = iris(20, 90)
    first, second = fit_linear(stats, [1, 2, 3], 0), fit_linear(iris(20, 90), [1, 2, 3], 0)
    assert astuple(first) == astuple(second)
    assert first.statistics_digest == digest(stats)


def exact_least_squares(columns: FloatArray) -> tuple[list[Fraction], list[float]]:
    """Coefficients and standard errors of the last column on the others, in fractions."""
    design = [[Fraction(1), *map(Fraction, row[:-1])] for row in columns.T.tolist()]
    target = [Fraction(row[-1]) for row in columns.T.tolist()]
    k, n = len(design[0]), len(design)
    left = [[sum((row[i] * row[j] for row in design), Fraction(0)) for j in range(k)] for i in range(k)]
    work = [[*left[i], *(Fraction(int(i == j)) for j in range(k))] for i in range(k)]
    for i in range(k):
        work[i] = [value / work[i][i] for value in work[i]]
        for other in range(k):
            if other != i:
                work[other] = [a - work[other][i] * b for a, b in zip(work[other], work[i], strict=True)]
    inverse = [row[k:] for row in work]
    right = [sum((row[i] * y for row, y in zip(design, target, strict=True)), Fraction(0)) for i in range(k)]
    beta = [sum((a * b for a, b in zip(row, right, strict=True)), Fraction(0)) for row in inverse]
    rest = [
        y - sum(a * b for a, b in zip(row, beta, strict=True)) for row, y in zip(design, target, strict=True)
    ]
    variance = sum(value * value for value in rest) / (n - k)
    return beta, [math.sqrt(variance * inverse[i][i]) for i in range(k)]


def assert_agrees_exactly(model: LinearModel, columns: FloatArray, rtol: float) -> None:
    coefficients, errors = exact_least_squares(columns)
    np.testing.assert_allclose(
        [line.coefficient for line in model.coefficients], [float(b) for b in coefficients], rtol=rtol, atol=0
    )
    np.testing.assert_allclose([line.std_error for line in model.coefficients], errors, rtol=rtol, atol=0)


def far_from_zero() -> FloatArray:
    random = np.random.default_rng(5)
    x = random.normal(1e6, 1.0, size=(3, 60))
    return np.vstack([x, 2.0 * x[0] - x[1] + 0.5 * x[2] + random.normal(size=60)])


def test_digits_are_kept_where_the_mean_is_a_million_deviations() -> None:
    columns = far_from_zero()
    assert_agrees_exactly(fit_linear(learnt(columns), [0, 1, 2], 3), columns, 1e-11)


def test_even_the_rounding_of_the_means_is_taken_out() -> None:
    random = np.random.default_rng(10)
    x = random.normal(1e12, 1.0, size=60)
    columns = np.vstack([x, random.normal(size=60) + (x - 1e12)])
    assert_agrees_exactly(fit_linear(learnt(columns), [0], 1), columns, 1e-10)


def test_peers_with_means_of_their_own_keep_them_too() -> None:
    columns = far_from_zero()
    columns[:, 30:] += 50.0
    parts = [publishable(learnt(part)) for part in np.split(columns, [30], axis=1)]
    assert_agrees_exactly(fit_linear(merge_snapshots(parts, features(4)), [0, 1, 2], 3), columns, 1e-9)


def test_an_ill_conditioned_model_is_solved_and_says_so() -> None:
    random = np.random.default_rng(6)
    a, noise = random.normal(size=(2, 80))
    columns = np.vstack([a, a + 2e-4 * noise, a + random.normal(size=80)])
    model = fit_linear(learnt(columns), [0, 1], 2)
    assert model.condition_number > ILL_CONDITIONED
    assert_agrees_exactly(model, columns, 1e-7)


def test_collinear_inputs_are_named() -> None:
    a, b, c, y = np.random.default_rng(7).normal(size=(4, 50))
    with pytest.raises(CollinearError, match="x0, x1, x3 are linear combinations"):
        fit_linear(learnt(np.vstack([a, b, c, a - 2 * b, y])), [0, 1, 2, 3], 4)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 + 1 / 3])
def test_a_constant_feature_is_named(value: float) -> None:
    a, y = np.random.default_rng(8).normal(size=(2, 5000))
    columns = np.vstack([a, np.full(5000, value), y])
    shift = choose_shift(columns) + np.array([0.0, 3.0, 0.0])  # as where another peer set the shift
    stats = accumulate(columns, features(3), shift)
    with pytest.raises(ConstantFeatureError, match="x1 has the same value in all 5000 rows"):
        fit_linear(stats, [0, 1], 2)
    with pytest.raises(ConstantFeatureError, match="x1"):
        fit_linear(stats, [0, 2], 1)


def test_a_perfect_fit_has_no_error() -> None:
    a = np.arange(20.0)
    model = fit_linear(learnt(np.vstack([a, 3 * a + 1])), [0], 1)
    assert model.r_squared == pytest.approx(1.0, rel=1e-14)
    assert [line.coefficient for line in model.coefficients] == pytest.approx([1.0, 3.0], rel=1e-12)


def test_too_few_rows_are_counted() -> None:
    columns = np.random.default_rng(9).normal(size=(3, 3))
    with pytest.raises(TooFewRowsError, match="3 rows are too few for 2 inputs: at least 4"):
        fit_linear(learnt(columns), [0, 1], 2)
    fit_linear(learnt(np.random.default_rng(9).normal(size=(3, 4))), [0, 1], 2)


@pytest.mark.parametrize(
    ("inputs", "target", "message"),
    [
        ([], 0, "at least one input"),
        ([4], 0, "no feature with index 4: the project has 4"),
        ([1], -1, "no feature with index -1"),
        ([1, 1], 0, "each feature can be used once"),
        ([0, 1], 0, "each feature can be used once"),
    ],
)
def test_a_request_that_makes_no_model_is_refused(inputs: list[int], target: int, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        fit_linear(iris(), inputs, target)


def test_a_feature_that_some_peers_lack_gives_no_model() -> None:
    part = learnt(IRIS[:, :70])
    other = learnt(IRIS[:3, 70:])
    merged = merge_snapshots([part, other], features(4))
    fit_linear(merged, [1, 2], 0)
    with pytest.raises(GapsNotSupportedError, match="x3"):
        fit_linear(merged, [1, 3], 0)
