"""Fisher's iris in three unequal parts, and the pooled model by an independent library."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import statsmodels.api as sm
from sklearn.datasets import load_iris

COLUMNS = ("sepal_length", "sepal_width", "petal_length", "petal_width")
TARGET = "petal_width"
INPUTS = tuple(name for name in COLUMNS if name != TARGET)

# Rows of setosa (0–49), versicolor (50–99) and virginica (100–149). No part has the classes in the
# proportions of the whole, so that no peer alone gives the pooled answer.
_PARTS = {
    "north": [(0, 38), (50, 56)],
    "south": [(38, 50), (56, 95), (100, 110)],
    "west": [(95, 100), (110, 150)],
}


@dataclass(frozen=True)
class Coefficient:
    """One row of a linear model's table."""

    name: str
    value: float
    standard_error: float


def parts() -> dict[str, np.ndarray]:
    """Rows of each peer: (n, 4) float64, columns in the order of `COLUMNS`."""
    rows = load_iris().data.astype(np.float64)
    return {peer: np.concatenate([rows[a:b] for a, b in ranges]) for peer, ranges in _PARTS.items()}


def pooled_reference(peers: Collection[str] = tuple(_PARTS)) -> tuple[Coefficient, ...]:
    """Ordinary least squares on these peers' rows together, by statsmodels; the intercept comes first."""
    rows = np.concatenate([rows for peer, rows in parts().items() if peer in peers])
    inputs = np.column_stack([rows[:, COLUMNS.index(name)] for name in INPUTS])
    fit = sm.OLS(rows[:, COLUMNS.index(TARGET)], sm.add_constant(inputs)).fit()
    names = ("intercept", *INPUTS)
    return tuple(
        Coefficient(name, float(value), float(error))
        for name, value, error in zip(names, fit.params, fit.bse, strict=True)
    )
