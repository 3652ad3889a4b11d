"""Bodies of the data plane: rows as a DataFrame, an MLContext to build from, some to explore, lists of text.

No numpy here: the client and the gateway carry these bodies too. Rows are counted from 1 in messages, and
no message repeats a cell: it may be personal.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeGuard

from pydantic import JsonValue

from symfed_wire.errors import MalformedError

Cell: TypeAlias = str | int | float | None

CONTINUOUS: Final = "C"
BINARY: Final = "B"
IGNORED: Final = "X"
TYPES: Final = frozenset("CBSTLXP")

LONGEST_NAME: Final = 1000
"""characters of an attribute's name"""

_INDEX_DIGITS = 9
_CELL_TYPES = frozenset({str, int, float, type(None)})  # bool is refused: JSON's true is no cell


@dataclass(frozen=True)
class DataFrame:
    """A table: one name and one type (see TYPES) per column, one cell per column in each row."""

    attribute_names: tuple[str, ...]
    attribute_types: tuple[str, ...]
    data: Sequence[Sequence[Cell]] = field(repr=False)

    def to_json(self) -> dict[str, JsonValue]:
        """The table as it travels; a missing cell is `null`."""
        return {
            "attributeNames": list(self.attribute_names),
            "attributeTypes": list(self.attribute_types),
            "data": [list(row) for row in self.data],
        }


@dataclass(frozen=True)
class MLContext:
    """What to build from what: attributes by index (as text) or by name."""

    targets: tuple[str, ...] = ()
    input_attributes: tuple[str, ...] = ()
    input_attribute_names: tuple[str, ...] = ()
    target_attribute_names: tuple[str, ...] = ()
    extra_parameters: dict[str, JsonValue] = field(default_factory=dict)

    def to_json(self) -> dict[str, JsonValue]:
        """The context as it travels."""
        return {
            "targets": list(self.targets),
            "inputAttributes": list(self.input_attributes),
            "inputAttributeNames": list(self.input_attribute_names),
            "targetAttributeNames": list(self.target_attribute_names),
            "extraParameters": self.extra_parameters,
        }

    def input_positions(self, names: Sequence[str]) -> list[int]:
        """Positions of the inputs among the project's attribute `names`. Raises MalformedError."""
        return _positions(
            names, "inputAttributes", self.input_attributes, "inputAttributeNames", self.input_attribute_names
        )

    def target_positions(self, names: Sequence[str]) -> list[int]:
        """Positions of the targets among the project's attribute `names`. Raises MalformedError."""
        return _positions(names, "targets", self.targets, "targetAttributeNames", self.target_attribute_names)


@dataclass(frozen=True)
class ExploreContext:
    """What to explore: an MLContext for each entry of the answer."""

    values: tuple[MLContext, ...]

    def to_json(self) -> dict[str, JsonValue]:
        """The context as it travels."""
        return {"values": [value.to_json() for value in self.values]}


@dataclass(frozen=True)
class StringList:
    """A list of text, such as contract rules or log lines."""

    values: tuple[str, ...] = ()

    def to_json(self) -> dict[str, JsonValue]:
        """The list as it travels."""
        return {"values": list(self.values)}


def parse_frame(body: bytes | str | JsonValue) -> DataFrame:
    """A DataFrame from JSON, as text or parsed.

    Raises MalformedError for what is no table: fields that are not there, unknown types, a name that comes
    twice, a row with too few or too many cells, a cell that is neither text nor number.
    """
    fields = _object(body, "DataFrame")
    names = _texts(fields, "attributeNames", "DataFrame")
    types = _texts(fields, "attributeTypes", "DataFrame")
    rows = fields.get("data")
    _check_columns(names, types)
    if not isinstance(rows, list):
        raise MalformedError("DataFrame: data must be a list of rows")
    for number, row in enumerate(rows, start=1):
        _check_row(number, row, names)
    return DataFrame(names, types, rows)  # type: ignore[arg-type]  # _check_row has seen every cell


def parse_context(body: bytes | str | JsonValue) -> MLContext:
    """An MLContext from JSON, as text or parsed; indexes may be numbers. Raises MalformedError."""
    fields = _object(body, "MLContext")
    extra = fields.get("extraParameters")
    if extra is not None and not isinstance(extra, dict):
        raise MalformedError("MLContext: extraParameters must be a map")
    return MLContext(
        targets=_texts(fields, "targets", "MLContext", required=False),
        input_attributes=_texts(fields, "inputAttributes", "MLContext", required=False),
        input_attribute_names=_texts(fields, "inputAttributeNames", "MLContext", required=False),
        target_attribute_names=_texts(fields, "targetAttributeNames", "MLContext", required=False),
        extra_parameters=extra or {},
    )


def parse_explore(body: bytes | str | JsonValue) -> ExploreContext:
    """An ExploreContext from JSON, as text or parsed. Raises MalformedError."""
    values = _object(body, "ExploreContext").get("values")
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise MalformedError("ExploreContext: values must be a list of MLContexts")
    return ExploreContext(tuple(parse_context(value) for value in values))


def parse_strings(body: bytes | str | JsonValue) -> StringList:
    """A StringList from JSON, as text or parsed. Raises MalformedError."""
    return StringList(_texts(_object(body, "StringList"), "values", "StringList"))


def is_missing(cell: Cell) -> bool:
    """Whether a cell stands for "no value": empty text, null or NaN."""
    return (
        cell is None
        or cell != cell
        or (isinstance(cell, str) and cell.strip().lower() in ("", "nan", "null"))
    )


def _object(body: bytes | str | JsonValue, what: str) -> dict[str, JsonValue]:
    if isinstance(body, bytes | str):
        try:
            body = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise MalformedError(f"{what}: the body is not JSON ({_where(error)})") from None
    if not isinstance(body, dict):
        raise MalformedError(f"{what}: the body must be a JSON map")
    return body


def _where(error: Exception) -> str:
    """What is wrong with a JSON text, without any of it."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    return "not UTF-8" if isinstance(error, UnicodeDecodeError) else "nested too deep or a number too long"


def _texts(fields: dict[str, JsonValue], name: str, what: str, *, required: bool = True) -> tuple[str, ...]:
    values = fields.get(name)
    if values is None and not required:
        return ()
    if not isinstance(values, list) or not all(_is_text_or_index(value) for value in values):
        raise MalformedError(f"{what}: {name} must be a list of texts")
    return tuple(str(value) for value in values)


def _is_text_or_index(value: JsonValue) -> TypeGuard[str | int]:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _check_columns(names: Sequence[str], types: Sequence[str]) -> None:
    if not names:
        raise MalformedError("DataFrame: attributeNames names no column")
    if len(names) != len(types):
        raise MalformedError(f"DataFrame: {len(names)} attributeNames but {len(types)} attributeTypes")
    seen: set[str] = set()
    for position, (name, kind) in enumerate(zip(names, types, strict=True), start=1):
        if not name:
            raise MalformedError(f"DataFrame: column {position} has an empty name")
        if len(name) > LONGEST_NAME:
            raise MalformedError(
                f"DataFrame: column {position} has a name of more than {LONGEST_NAME} characters"
            )
        if any("\ud800" <= letter <= "\udfff" for letter in name):  # JSON has such escapes, UTF-8 does not
            raise MalformedError(f"DataFrame: column {position} has a name that UTF-8 cannot write")
        if name in seen:
            raise MalformedError(f"DataFrame: column {name!r} comes twice")
        if kind not in TYPES:
            known = ", ".join(sorted(TYPES))
            raise MalformedError(f"DataFrame: column {name!r} has type {kind!r}; the types are {known}")
        seen.add(name)


def _check_row(number: int, row: JsonValue, names: Sequence[str]) -> None:
    if not isinstance(row, list):
        raise MalformedError(f"DataFrame: row {number} is not a list of cells")
    if len(row) != len(names):
        raise MalformedError(f"DataFrame: row {number} has {len(row)} cells for {len(names)} columns")
    if set(map(type, row)) <= _CELL_TYPES:
        return
    for cell, name in zip(row, names, strict=True):
        if type(cell) not in _CELL_TYPES:
            raise MalformedError(f"DataFrame: row {number}, column {name!r} is neither a text nor a number")


def _positions(
    names: Sequence[str], by_index: str, indexes: Sequence[str], by_name: str, wanted: Sequence[str]
) -> list[int]:
    """The positions that were asked for by index or by name; both may be given when they agree."""
    from_indexes = [_position(text, names, by_index) for text in indexes]
    for name in wanted:
        if name not in names:
            raise MalformedError(f"{by_name}: no attribute is named {name!r}; there are {', '.join(names)}")
    from_names = [names.index(name) for name in wanted]
    if from_indexes and from_names and from_indexes != from_names:
        raise MalformedError(f"{by_index} and {by_name} name different attributes: send one of them")
    return from_indexes or from_names


def _position(text: str, names: Sequence[str], what: str) -> int:
    is_index = text.isascii() and text.isdigit() and len(text) <= _INDEX_DIGITS
    if not is_index or int(text) >= len(names):
        raise MalformedError(f"{what}: no attribute has index {text!r}; the project has {len(names)}")
    return int(text)
