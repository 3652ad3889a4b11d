"""The keys of an opened map, read one by one, with every fault collected (wire.md, section 6)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from symfed_wire.errors import SymfedError
from symfed_wire.invitation import newest_names


@dataclass(frozen=True)
class MapFault:
    """One key, or a few that belong together, and what is wrong."""

    key: str
    problem: str

    def __str__(self) -> str:
        return f"{self.key}: {self.problem}"


class FederationMapError(SymfedError):
    """A map has faults; the message names all of them."""

    reason: str = "MapInvalid"

    def __init__(self, faults: tuple[MapFault, ...]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


class MapKeys:
    """The values of a map, read by key; faults and the keys that were asked for are collected."""

    def __init__(self, values: Mapping[str, JsonValue]) -> None:
        self._values = newest_names(dict(values))
        self._asked: set[str] = set()
        self._faults: list[MapFault] = []

    def fault(self, key: str, problem: str) -> None:
        """Add a fault, once."""
        if (fault := MapFault(key, problem)) not in self._faults:
            self._faults.append(fault)

    def raise_faults(self) -> None:
        """Raise FederationMapError when anything is wrong."""
        if self._faults:
            raise FederationMapError(tuple(self._faults))

    def unknown(self, known: frozenset[str]) -> tuple[str, ...]:
        """Keys that nobody asked for and that are not among `known`."""
        return tuple(sorted(set(self._values) - self._asked - known))

    def rename(self, old: str, new: str) -> None:
        """Read a key that was sent under its other name."""
        if old in self._values:
            self._values[new] = self._values.pop(old)

    def text(self, key: str) -> str:
        """A value as text; empty when it is not there."""
        self._asked.add(key)
        value = self._values.get(key)
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, float) and value.is_integer():
            return str(int(value))  # some clients write every number with a point
        if value is None or isinstance(value, str | int | float):
            return "" if value is None else str(value).strip()
        self.fault(key, "neither text nor a number nor true or false")
        return ""

    def secret(self, key: str) -> str:
        """A password, token or key, exactly as it was sent; empty when it is not there."""
        value = self._values.get(key)
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            self._asked.add(key)
            return str(value)
        return self.text(key)

    def required(self, key: str, problem: str = "missing") -> str:
        """A value as text that must be there."""
        return self._present(key, self.text(key), problem)

    def required_secret(self, key: str) -> str:
        """A secret that must be there."""
        return self._present(key, self.secret(key), "missing")

    def matching(
        self,
        key: str,
        pattern: re.Pattern[str],
        form: str,
        missing: str = "missing",
        *,
        default: str | None = None,
    ) -> str:
        """A value of that form; it must be there unless there is a default."""
        text = self.text(key) or default
        return self.checked(key, text, pattern, form, missing)

    def checked(
        self, key: str, text: str | None, pattern: re.Pattern[str], form: str, missing: str = "missing"
    ) -> str:
        """Report a text that is absent or does not have that form."""
        if not text:
            self.fault(key, missing)
        elif not pattern.fullmatch(text):
            self.fault(key, f"{_shown(text)} is not {form}")
        return text or ""

    def flag(self, key: str) -> bool:
        """A boolean of the map, false when it is not there."""
        return self.boolean(key, self.text(key), default=False)

    def boolean(self, key: str, text: str | None, *, default: bool) -> bool:
        """`true` or `false` in any case of the letters."""
        if text and text.lower() not in ("true", "false"):
            self.fault(key, f"{_shown(text)} is not true or false")
        return text.lower() == "true" if text else default

    def number(self, key: str, default: float, least: float, most: float, *, whole: bool = False) -> float:
        """A number in a range; the default when it is not there."""
        text = self.text(key)
        try:
            number = (int(text) if whole else float(text)) if text else default
        except ValueError:
            self.fault(key, f"{_shown(text)} is not a {'whole ' if whole else ''}number")
            return default
        if not least <= number <= most:
            self.fault(key, f"{_shown(text)} is not from {least} to {most}")
        return number

    def _present(self, key: str, text: str, problem: str) -> str:
        if not text:
            self.fault(key, problem)
        return text


def _shown(text: str) -> str:
    """A value for a message, short, and not at all where it may be an address with a password."""
    return "the value" if "@" in text else repr(text[:80])
