"""Reads the examples of docs/rest.md, and compares answers with what the page says."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "rest.md"
ANYTHING = "…"
_BLOCK = re.compile(r"^```(\S+) ?(.*)\n((?:.*\n)*?)```$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what stands beside it, its text, and its line in the page."""

    language: str
    about: str
    text: str
    line: int

    @property
    def is_request(self) -> bool:
        """Whether an answer follows."""
        return self.language == "http" or self.about.startswith("message")


@dataclass(frozen=True)
class Request:
    """A request as the page shows it; `body` is JSON text, or empty."""

    verb: str
    path: str
    query: str
    body: str

    @property
    def customer(self) -> str:
        """Who sends it."""
        return self.path.split("/")[3]


def blocks(page: str) -> Iterator[Block]:
    """The page's blocks, in order."""
    for found in _BLOCK.finditer(page):
        language, about, text = found.groups()
        yield Block(language, about, text, page.count("\n", 0, found.start()) + 1)


def request_of(text: str) -> Request:
    """`VERB path?query`, an empty line, a body."""
    head, _, body = text.partition("\n")
    verb, _, address = head.partition(" ")
    path, _, query = address.partition("?")
    return Request(verb, path, query, body.strip())


def matches(shown: Any, seen: Any) -> bool:
    """Whether an answer is as it is shown: … stands for anything, and at the end of a list for any more."""
    if isinstance(shown, str):
        # Only the ellipsis is a pattern: brackets stand for themselves.
        pattern = shown.replace("[", "[[]").replace(ANYTHING, "*")
        return shown == ANYTHING or (isinstance(seen, str) and fnmatchcase(seen, pattern))
    if isinstance(shown, dict):
        return isinstance(seen, dict) and _maps_match(shown, seen)
    if isinstance(shown, list):
        return isinstance(seen, list) and _lists_match(shown, seen)
    return bool(shown == seen)


def _maps_match(shown: dict[str, Any], seen: dict[str, Any]) -> bool:
    named = {key: value for key, value in shown.items() if key != ANYTHING}
    others = [value for key, value in seen.items() if key not in named]
    if others and (ANYTHING not in shown or not all(matches(shown[ANYTHING], value) for value in others)):
        return False
    return all(key in seen and matches(value, seen[key]) for key, value in named.items())


def _lists_match(shown: list[Any], seen: list[Any]) -> bool:
    if shown[-1:] == [ANYTHING]:
        shown, seen = shown[:-1], seen[: len(shown) - 1]
    return len(shown) == len(seen) and all(map(matches, shown, seen))


def filled(body: str, known: dict[str, Any]) -> str:
    """A request's map with what is known in place of …"""
    if not body:
        return ""
    values = json.loads(body)
    return json.dumps({key: known[key] if value == ANYTHING else value for key, value in values.items()})
