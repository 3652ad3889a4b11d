"""A feature's histogram in equal bins (dataplane.md, densityEstimate). Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from pydantic import JsonValue

from symfed_node.errors import NoRowsError
from symfed_node.explore import check_rows
from symfed_node.statistics.distribution import Distribution, distribution
from symfed_node.statistics.doubledouble import FloatArray
from symfed_node.statistics.state import Statistics
from symfed_wire.errors import MalformedError

DEFAULT_BINS: Final = 10
MOST_BINS: Final = 1000


@dataclass(frozen=True)
class Bins:
    """Which bins are wanted: `number` of them, from `low` to `high`, by default over all values."""

    number: int = DEFAULT_BINS
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, parameters: Mapping[str, JsonValue]) -> Self:
        """From `hist_bins`, `hist_min` and `hist_max`, numbers or texts. Raises MalformedError."""
        number = _number(parameters, "hist_bins")
        if number is None:
            number = DEFAULT_BINS
        if number != int(number) or not 1 <= number <= MOST_BINS:
            raise MalformedError(f"hist_bins must be a whole number from 1 to {MOST_BINS}")
        return cls(int(number), _number(parameters, "hist_min"), _number(parameters, "hist_max"))


@dataclass(frozen=True, eq=False)
class Density:
    """Rows of one feature in bins of one width."""

    name: str
    low: float
    high: float
    width: float
    rows: FloatArray


def density(stats: Statistics, position: int, bins: Bins) -> Density:
    """The histogram of a feature; rows outside the bins are not counted.

    Rows count as evenly spread over the bin that they are kept in. Raises NoRowsError when there are no rows
    or no histogram of all of them, and MalformedError when the bins would end before they begin.
    """
    check_rows(stats, position)
    name, found = stats.names[position], distribution(stats, position)
    if found is None:
        raise NoRowsError(f"{name}: some of the rows were learnt by a version without histograms")
    low, high = _range(found, bins)
    rows = found.between(np.linspace(low, high, bins.number + 1))
    return Density(name, low, high, (high - low) / bins.number, rows)


def _range(found: Distribution, bins: Bins) -> tuple[float, float]:
    low = float(found.low[0]) if bins.low is None else bins.low
    high = float(found.high[-1]) if bins.high is None else bins.high
    if low == high and bins.low is bins.high is None:
        return low - 0.5, high + 0.5  # one value in all rows
    if not low < high or math.isinf(high - low):
        raise MalformedError(
            "hist_min must be below hist_max, and not too far; the one that is not given is the values' end"
        )
    return low, high


def _number(parameters: Mapping[str, JsonValue], name: str) -> float | None:
    value = parameters.get(name)
    if value is None:
        return None
    try:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            number = float(value)
            if math.isfinite(number):
                return number
    except (ValueError, OverflowError):
        pass
    raise MalformedError(f"{name} must be a finite number")
