"""A built model."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, JsonValue

from symfed_wire.client.results.base import Result
from symfed_wire.frames import parse_frame

ILL_CONDITIONED = 1e6
"""Condition number above which a model's coefficients lose digits."""


class Coefficient(Result):
    """One line of a linear model's table; the interval is the 95 % one."""

    attribute: str
    coefficient: float
    std_error: float = Field(validation_alias="std.error")
    t: float = Field(validation_alias="scores")
    p_value: float = Field(validation_alias="p.values")
    ci_low: float = Field(validation_alias="ci.low")
    ci_high: float = Field(validation_alias="ci.high")


class ModelInfo(Result):
    """A built model. `info` holds its figures (rows, R², ...), `extra` its tables."""

    model_id: str
    model_type: str
    model_built: bool = True
    attribute_names: tuple[str, ...] = ()
    target_names: tuple[str, ...] = ()
    info: Mapping[str, JsonValue] = {}
    extra: Mapping[str, JsonValue] = {}

    @property
    def coefficients(self) -> tuple[Coefficient, ...]:
        """The table of the linear family, the intercept first; empty for other models."""
        if "coefficients" not in self.extra:
            return ()
        frame = parse_frame(self.extra["coefficients"])
        rows = (dict(zip(frame.attribute_names, row, strict=True)) for row in frame.data)
        return tuple(Coefficient.read(row, f"model {self.model_id}") for row in rows)

    @property
    def r_squared(self) -> float | None:
        """Share of the target's variance that the model explains."""
        return self._figure("rSquared")

    @property
    def condition_number(self) -> float | None:
        """Of the inputs' correlation matrix."""
        return self._figure("conditionNumber")

    @property
    def rows(self) -> int | None:
        """How many rows are behind the statistics that the model was built from."""
        figure = self._figure("rows")
        return None if figure is None else int(figure)

    @property
    def digest(self) -> str | None:
        """Digest of those statistics: equal on all peers that merged the same snapshots."""
        value = self.info.get("digest")
        return value if isinstance(value, str) else None

    @property
    def is_ill_conditioned(self) -> bool:
        """Whether the inputs are so alike that the coefficients lose digits."""
        return self.condition_number is not None and self.condition_number > ILL_CONDITIONED

    def _figure(self, name: str) -> float | None:
        value = self.info.get(name)
        try:
            return float(value) if isinstance(value, int | float | str) else None
        except ValueError:
            return None
