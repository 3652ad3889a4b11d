"""What the client's calls answer, as typed values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic.alias_generators import to_camel

from symfed_wire.documents import describe_faults
from symfed_wire.errors import MalformedError
from symfed_wire.frames import parse_frame

ILL_CONDITIONED = 1e6
"""Condition number above which a model's coefficients lose digits."""


class _Result(BaseModel):
    """Frozen; unknown fields are ignored, a newer server may send more."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore")

    @classmethod
    def read(cls, value: object, call: str) -> Self:
        """Parse a part of an answer. Raises MalformedError that names the call."""
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise MalformedError(f"{call}: the answer: {describe_faults(error)}") from None


@dataclass(frozen=True)
class Job:
    """A job that runs on the server; `Client.wait` waits for its end."""

    number: int


@dataclass(frozen=True)
class Learnt:
    """How many rows a learn added, and how many it left out because of missing values."""

    rows: int
    skipped: int

    def __add__(self, other: Learnt) -> Learnt:
        return Learnt(self.rows + other.rows, self.skipped + other.skipped)


class FederationInfo(_Result):
    """A project's federation as the peer sees it; secrets come masked."""

    model_config = ConfigDict(frozen=True, alias_generator=None, extra="ignore")

    fed_name: str
    fed_type: str = ""
    fed_local_id: str = ""
    local_uuid: str = ""
    sync_sched: str = ""
    is_pulsing: bool = False
    allow_peers_explore: bool = False
    fed_use_smpc: bool = False
    peers: Mapping[str, str] = Field(default={}, validation_alias="peersInfo")
    """uuid → name"""


class ProjectInfo(_Result):
    """A project: its attributes in their order, and its models."""

    pid: str
    type: str = ""
    attribute_names: tuple[str, ...] = ()
    attribute_types: tuple[str, ...] = ()
    models: tuple[str, ...] = Field(default=(), validation_alias="modelsList")
    params: Mapping[str, JsonValue] = {}


class PeerStats(_Result):
    """A member's newest snapshot, as this peer has it; epoch 0 means none yet."""

    name: str = ""
    epoch: int = 0
    digest: str | None = None
    rows: int = 0
    age_seconds: float | None = None


class MergedStats(_Result):
    """The sum of the members' snapshots; `epoch_sum` grows whenever one of them is newer."""

    epoch_sum: int = Field(
        default=0, validation_alias=AliasChoices("epoch", "epochSum", "epoch_sum", "epoch sum")
    )
    digest: str | None = None
    rows: int = 0


class SyncStats(_Result):
    """What went over the exchange so far, and what is merged now."""

    snd_count: int = 0
    rcv_count: int = 0
    rcv_error: int = 0
    error_log: tuple[str, ...] = ()
    peers: Mapping[str, PeerStats] = {}
    """by uuid"""
    merged: MergedStats = MergedStats()


class Coefficient(_Result):
    """One line of a linear model's table; the interval is the 95 % one."""

    attribute: str
    coefficient: float
    std_error: float = Field(validation_alias="std.error")
    t: float = Field(validation_alias="scores")
    p_value: float = Field(validation_alias="p.values")
    ci_low: float = Field(validation_alias="ci.low")
    ci_high: float = Field(validation_alias="ci.high")


class ModelInfo(_Result):
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


Result = TypeVar("Result", bound=_Result)


def part(values: Mapping[str, JsonValue], name: str, model: type[Result], call: str) -> Result:
    """The entry `name` of an answer's values as a result. Raises MalformedError."""
    if name not in values:
        raise MalformedError(f"{call}: the answer has no {name}")
    return model.read(values[name], call)


def text(values: Mapping[str, JsonValue], name: str, call: str) -> str:
    """The text `name` of an answer's values. Raises MalformedError."""
    value = values.get(name)
    if not isinstance(value, str):
        raise MalformedError(f"{call}: the answer has no {name}")
    return value
