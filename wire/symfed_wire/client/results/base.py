"""What all results share: frozen, parsed once, faults told with the call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError
from pydantic.alias_generators import to_camel

from symfed_wire.documents import describe_faults
from symfed_wire.errors import MalformedError


class Result(BaseModel):
    """Frozen; unknown fields are ignored, a newer server may send more."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore")

    @classmethod
    def read(cls, value: object, call: str) -> Self:
        """Parse a part of an answer. Raises MalformedError that names the call."""
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise MalformedError(f"{call}: the answer: {describe_faults(error)}") from None


AnyResult = TypeVar("AnyResult", bound=Result)


def part(values: Mapping[str, JsonValue], name: str, model: type[AnyResult], call: str) -> AnyResult:
    """The entry `name` of an answer's values as a result. Raises MalformedError."""
    if name not in values:
        raise MalformedError(f"{call}: the answer has no {name}")
    return model.read(values[name], call)


def parts(values: Mapping[str, JsonValue], name: str, model: type[AnyResult], call: str) -> list[AnyResult]:
    """The list `name` of an answer's values, bare or as `{"values": […]}`. Raises MalformedError."""
    found = values.get(name)
    if isinstance(found, dict):
        found = found.get("values")
    if not isinstance(found, list):
        raise MalformedError(f"{call}: the answer has no list {name}")
    return [model.read(entry, call) for entry in found]


def text(values: Mapping[str, JsonValue], name: str, call: str) -> str:
    """The text `name` of an answer's values. Raises MalformedError."""
    value = values.get(name)
    if not isinstance(value, str):
        raise MalformedError(f"{call}: the answer has no {name}")
    return value
