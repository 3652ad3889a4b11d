"""Prediction with a linear model, also for rows that lack some of its inputs.

A missing input is taken at its mean, or at its regression on the inputs of the row that are there: the
conditional mean m + S_mk S_kk⁻¹ (x_k − m_k), with the mean m and the second moments S of the model's rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg

from symfed_node.models.linear import LinearModel, centred_moments
from symfed_node.statistics.doubledouble import FloatArray
from symfed_node.statistics.moments import centred, means
from symfed_node.statistics.state import Statistics, select, triangle

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class LinearPredictor:
    """target = target_at_means + Σ slope · (x − mean), and how its p inputs depend on each other."""

    inputs: tuple[str, ...]
    target_at_means: float
    slopes: FloatArray
    """(p,)"""
    means: FloatArray
    """of the inputs over the model's rows, (p,)"""
    moments: FloatArray
    """Σ(x−mean)(x−mean)ᵀ over the model's rows, lower triangle row by row, (p(p+1)/2,)"""


def linear_predictor(model: LinearModel, stats: Statistics) -> LinearPredictor:
    """What predicts with `model`, which was built from `stats`."""
    p = len(model.inputs)
    chosen = select(stats, [stats.index(name) for name in (*model.inputs, model.target)])
    slopes = np.array([line.coefficient for line in model.coefficients[1:]])
    mean = means(chosen)
    rest = centred(chosen).sum.hi / stats.rows  # what the rounding of the means left
    rows, columns = triangle(p)
    return LinearPredictor(
        inputs=model.inputs,
        target_at_means=float(mean[p] + (rest[p] - slopes @ rest[:p])),
        slopes=slopes,
        means=mean[:p],
        moments=centred_moments(chosen)[rows, columns],
    )


def predict(predictor: LinearPredictor, inputs: FloatArray, *, impute: bool) -> FloatArray:
    """The target of each of n rows, (n,), from the `inputs` (p, n) with NaN where one is missing.

    `impute` fills a missing input by regression on the others of its row, else by its mean. Inputs are added
    one by one, without BLAS: a row gets the same bytes on every CPU and whatever rows are beside it.
    """
    missing = np.isnan(inputs)
    with np.errstate(over="ignore", invalid="ignore"):  # too large an input gives Infinity or NaN
        deviations = np.where(missing, 0.0, inputs - predictor.means[:, None])
        slopes, of_row = predictor.slopes[None], np.zeros(inputs.shape[1], dtype=np.intp)
        if impute:
            patterns, of_row = _patterns(missing)
            slopes = _imputing_slopes(predictor, patterns)
        target = np.full(inputs.shape[1], predictor.target_at_means)
        for input_, deviation in enumerate(deviations):
            target += slopes[of_row, input_] * deviation
    return target


def _patterns(missing: BoolArray) -> tuple[BoolArray, npt.NDArray[np.intp]]:
    """The q different columns of `missing` (p, n), as (q, p), and which of them each of the n is, (n,)."""
    packed = np.packbits(missing, axis=0).T
    _, first, of_row = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    return missing[:, first].T, of_row


def _imputing_slopes(predictor: LinearPredictor, patterns: BoolArray) -> FloatArray:
    """The slopes for each pattern of missing inputs, (q, p): regressions put in the place of the missing."""
    scale, correlation = _correlation(predictor)
    standardized = predictor.slopes * scale
    slopes = np.where(patterns, 0.0, predictor.slopes)
    for slope, missing in zip(slopes, patterns, strict=True):
        known = ~missing
        if missing.any() and known.any():
            weights = correlation[np.ix_(known, missing)] @ standardized[missing]
            slope[known] += _solve(correlation[np.ix_(known, known)], weights) / scale[known]
    return slopes


def _correlation(predictor: LinearPredictor) -> tuple[FloatArray, FloatArray]:
    """The root of Σ(x−mean)² of each input, (p,), and the inputs' correlation matrix, (p, p)."""
    p = len(predictor.inputs)
    rows, columns = triangle(p)
    moments = np.empty((p, p))
    moments[rows, columns] = moments[columns, rows] = predictor.moments
    scale = np.sqrt(np.diag(moments))
    return scale, moments / np.outer(scale, scale)


def _solve(correlation: FloatArray, weights: FloatArray) -> FloatArray:
    """correlation⁻¹ · weights; the shortest solution where rounding leaves the matrix no inverse."""
    try:
        solved: FloatArray = linalg.cho_solve(linalg.cho_factor(correlation, lower=True), weights)
    except linalg.LinAlgError:
        solved = linalg.pinvh(correlation) @ weights
    return solved
