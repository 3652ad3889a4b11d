"""A project, and what became of rows that were sent to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field, JsonValue

from symfed_wire.client.results.base import Result


@dataclass(frozen=True)
class RowCount:
    """How many rows a learn added or a forget took away, and how many it left out (a value is missing)."""

    rows: int
    skipped: int

    def __add__(self, other: RowCount) -> RowCount:
        return RowCount(self.rows + other.rows, self.skipped + other.skipped)


class ProjectInfo(Result):
    """A project: its attributes in their order, and its models."""

    pid: str
    type: str = ""
    attribute_names: tuple[str, ...] = ()
    attribute_types: tuple[str, ...] = ()
    models: tuple[str, ...] = Field(default=(), validation_alias="modelsList")
    params: Mapping[str, JsonValue] = {}

    @property
    def rows(self) -> int | None:
        """How many rows are behind its statistics, where the server says so."""
        value = self.params.get("rows")
        return value if isinstance(value, int) else None

    @property
    def not_ready(self) -> str:
        """Why its node does not answer, so that nothing is known of what it has learnt; empty if it does."""
        return str(self.params.get("not_ready", ""))

    @property
    def computes_on(self) -> str:
        """What its node multiplies matrices with, and why; empty where the server does not say."""
        return str(self.params.get("fed_computes_on", ""))
