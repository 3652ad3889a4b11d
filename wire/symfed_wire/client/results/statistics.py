"""What explore, density and predict answer."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import JsonValue, TypeAdapter, ValidationError

from symfed_wire.client.results.base import Result
from symfed_wire.errors import MalformedError

_FIGURES = TypeAdapter(dict[str, float])
_TEXTS = TypeAdapter(dict[str, str])


@dataclass(frozen=True)
class Explored:
    """Figures about one attribute, or about one beside another (`other`)."""

    attribute: str
    other: str | None
    figures: dict[str, float]
    """by name, such as `mean` or `linCorr`; not finite ones are NaN or infinite"""


class Density(Result):
    """A histogram of one attribute: `histogram` holds one figure a bin, each `width` wide, from `min` on."""

    attr_name: str
    min: float
    max: float
    width: float
    histogram: tuple[float, ...]


@dataclass(frozen=True)
class Prediction:
    """What a model says about one row: `result`, and further figures of some models (`resZ`, …) as text."""

    result: str
    further: dict[str, str]

    @property
    def number(self) -> float | None:
        """The result as a number; None for a class's name."""
        try:
            return float(self.result)
        except ValueError:
            return None


def read_figures(value: JsonValue, call: str) -> dict[str, float]:
    """One entry of a KSVDMap. Raises MalformedError."""
    try:
        return _FIGURES.validate_python(value)
    except ValidationError:
        raise MalformedError(f"{call}: the answer has an entry that is no map of numbers") from None


def read_prediction(value: JsonValue, call: str) -> Prediction:
    """One entry of a KSVSMap. Raises MalformedError."""
    try:
        texts = _TEXTS.validate_python(value)
    except ValidationError:
        raise MalformedError(f"{call}: the answer has an entry that is no map of texts") from None
    if "res" not in texts:
        raise MalformedError(f"{call}: the answer has an entry without res")
    return Prediction(texts.pop("res"), texts)
