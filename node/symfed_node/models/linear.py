"""Multiple linear regression (`mlr`) by least squares, from second moments alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg
from scipy.special import fdtrc, stdtr, stdtrit

from symfed_node.models.errors import CollinearError, ConstantFeatureError, ModelError, TooFewRowsError
from symfed_node.statistics.doubledouble import FloatArray
from symfed_node.statistics.merge import digest
from symfed_node.statistics.moments import centred, means
from symfed_node.statistics.state import Statistics, select, triangle

INTERCEPT = "intercept"

ILL_CONDITIONED = 1e6
"""Condition number above which a model is solved by eigenvalues and deserves a warning."""

_COLLINEAR = 1e13  # the moments' own rounding is this share of the largest eigenvalue: nothing left to solve
_CONSTANT = 2.0**-40  # a variance below this share of the sum of squares is rounding


@dataclass(frozen=True)
class Coefficient:
    """One line of the model's table."""

    attribute: str
    coefficient: float
    std_error: float
    t: float
    p_value: float
    """two-sided"""
    ci_low: float
    ci_high: float
    """95 % interval"""


@dataclass(frozen=True)
class LinearModel:
    """target = intercept + Σ coefficient · input, with what is known about its errors."""

    inputs: tuple[str, ...]
    target: str
    coefficients: tuple[Coefficient, ...]
    """the intercept first, then the inputs in order"""
    rows: int
    degrees_of_freedom: int
    """of the residuals: rows − inputs − 1"""
    r_squared: float
    adjusted_r_squared: float
    residual_variance: float
    f_statistic: float
    """inf for a perfect fit"""
    f_p_value: float
    target_mean: float
    condition_number: float
    """of the inputs' correlation matrix; above ILL_CONDITIONED coefficients lose digits"""
    statistics_digest: str
    """`merge.digest` of the statistics that the model was built from"""


def fit_linear(stats: Statistics, inputs: Sequence[int], target: int) -> LinearModel:
    """The least-squares model of the feature `target` from the features `inputs` (positions in `stats`).

    Solved on the correlation matrix: by Cholesky, above ILL_CONDITIONED by eigenvalues.
    Raises ModelError, TooFewRowsError, ConstantFeatureError, CollinearError and, where a feature is not known
    in all rows, GapsNotSupportedError.
    """
    _check_request(stats, inputs, target)
    chosen = select(stats, [*inputs, target])
    p, n = len(inputs), stats.rows
    degrees = n - p - 1
    if degrees < 1:
        raise TooFewRowsError(f"{n} rows are too few for {p} inputs: at least {p + 2} are needed")

    mean = means(chosen)
    moments = centred_moments(chosen)
    scale = np.sqrt(np.diag(moments))
    correlation = moments / np.outer(scale, scale)
    inverse, condition = _invert(correlation[:p, :p], chosen.names[:p])
    standardized = inverse @ correlation[:p, p]
    r_squared = float(np.clip(standardized @ correlation[:p, p], 0.0, 1.0))
    residual_variance = float(moments[p, p]) * (1.0 - r_squared) / degrees

    slopes = standardized * scale[p] / scale[:p]
    intercept = float(mean[p] - slopes @ mean[:p])
    scaled_mean = mean[:p] / scale[:p]
    variance_factors = np.concatenate(
        [[1.0 / n + scaled_mean @ inverse @ scaled_mean], np.diag(inverse) / scale[:p] ** 2]
    )
    f_statistic = _ratio(r_squared / p, (1.0 - r_squared) / degrees)
    return LinearModel(
        inputs=chosen.names[:p],
        target=chosen.names[p],
        coefficients=_table(
            (INTERCEPT, *chosen.names[:p]),
            np.concatenate([[intercept], slopes]),
            np.sqrt(residual_variance * variance_factors),
            degrees,
        ),
        rows=n,
        degrees_of_freedom=degrees,
        r_squared=r_squared,
        adjusted_r_squared=1.0 - (1.0 - r_squared) * (n - 1) / degrees,
        residual_variance=residual_variance,
        f_statistic=f_statistic,
        f_p_value=float(fdtrc(p, degrees, f_statistic)),
        target_mean=float(mean[p]),
        condition_number=condition,
        statistics_digest=digest(stats),
    )


def _check_request(stats: Statistics, inputs: Sequence[int], target: int) -> None:
    if not inputs:
        raise ModelError("a regression needs at least one input")
    p = len(stats.features)
    if unknown := [index for index in (*inputs, target) if not 0 <= index < p]:
        raise ModelError(f"there is no feature with index {unknown[0]}: the project has {p}")
    if len(set(inputs)) != len(inputs) or target in inputs:
        raise ModelError("each feature can be used once: as one input or as the target")
    if unseen := [stats.names[index] for index in (*inputs, target) if stats.count[index] == 0]:
        raise TooFewRowsError(f"no row has a value of {', '.join(unseen)}")


def centred_moments(stats: Statistics) -> FloatArray:
    """Σ(x−mean)(x−mean)ᵀ as a full matrix; raises ConstantFeatureError where nothing varies."""
    around_mean = centred(stats)
    p = len(stats.features)
    rows, columns = triangle(p)
    rest = around_mean.sum.hi  # what the rounding of the means left
    packed = around_mean.gram.hi - rest[rows] * rest[columns] / stats.rows
    moments = np.zeros((p, p))
    moments[rows, columns] = packed
    moments[columns, rows] = packed
    before = stats.gram.hi[rows == columns]
    constant = np.diag(moments) <= before * _CONSTANT
    if constant.any():
        names = [name for name, is_constant in zip(stats.names, constant, strict=True) if is_constant]
        raise ConstantFeatureError(
            f"{', '.join(names)} has the same value in all {stats.rows} rows: leave it out"
        )
    return moments


def _invert(correlation: FloatArray, names: Sequence[str]) -> tuple[FloatArray, float]:
    """The inverse of the inputs' correlation matrix and its condition number; raises CollinearError."""
    values, vectors = linalg.eigh(correlation)
    condition = float(values[-1] / values[0]) if values[0] > 0 else math.inf
    if condition > _COLLINEAR:
        share = np.abs(vectors[:, 0])
        involved = [name for name, part in zip(names, share, strict=True) if part > 0.05 * share.max()]
        raise CollinearError(
            f"{', '.join(involved)} are linear combinations of each other: leave one of them out"
        )
    if condition > ILL_CONDITIONED:
        return (vectors / values) @ vectors.T, condition
    return linalg.cho_solve(linalg.cho_factor(correlation, lower=True), np.eye(len(names))), condition


def _table(
    names: Sequence[str], values: FloatArray, errors: FloatArray, degrees: int
) -> tuple[Coefficient, ...]:
    half = float(stdtrit(degrees, 0.975)) * errors
    t = [_ratio(float(value), float(error)) for value, error in zip(values, errors, strict=True)]
    return tuple(
        Coefficient(
            attribute=name,
            coefficient=float(values[i]),
            std_error=float(errors[i]),
            t=t[i],
            p_value=float(2.0 * stdtr(degrees, -abs(t[i]))),
            ci_low=float(values[i] - half[i]),
            ci_high=float(values[i] + half[i]),
        )
        for i, name in enumerate(names)
    )


def _ratio(value: float, error: float) -> float:
    """value / error; infinite for an error of 0 (a perfect fit)."""
    if error > 0:
        return value / error
    return math.copysign(math.inf, value) if value else 0.0
