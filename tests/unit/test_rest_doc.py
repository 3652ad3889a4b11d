"""docs/rest.md names every call of the gateway, shows an example of each, and is read as it is meant."""

import re
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from symfed_api import federations, jobs, projects, unsupported
from tests.rest_page import PAGE, blocks, matches, request_of

TEXT = PAGE.read_text()
BASE = "/symetry/rest/{cid}"
BETWEEN_OPERATORS = {"POST /fedml/{pid}/createPolicies", "POST /fedml/{pid}/leave"}


def calls(*routers: APIRouter) -> set[str]:
    """`VERB /path` of every route."""
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    return {f"{verb} {route.path.removeprefix(BASE)}" for route in routes for verb in route.methods or ()}


def served() -> set[str]:
    """What this version does."""
    return calls(federations.router, projects.router, jobs.router)


def headings() -> set[str]:
    """What the page explains."""
    return set(re.findall(r"^### `([A-Z]+ [^`?]+)\??[^`]*`$", TEXT, re.MULTILINE))


def test_every_call_has_a_heading_and_no_other() -> None:
    assert headings() == served()


def test_every_call_has_an_example() -> None:
    asked = [request_of(block.text) for block in blocks(TEXT) if block.language == "http"]
    lines = [f"{request.verb} /{request.path.split('/', 4)[4]}" for request in asked]
    for call in served() - BETWEEN_OPERATORS:
        pattern = re.sub(r"\{\w+\}", "[^/]+", call)
        assert any(re.fullmatch(pattern, line) for line in lines), f"{call} has no example"


def test_every_call_that_is_not_supported_is_named() -> None:
    refusals = TEXT.partition("## Not supported")[2]
    for _, path in unsupported.CALLS:
        assert f"`{path}`" in refusals or f" {path}`" in refusals, path


@pytest.mark.parametrize(
    ("shown", "seen", "is_so"),
    [
        ("…", {"a": 1}, True),
        ("v2.…", "v2.abc", True),
        ("id[p1], ", "id[p1], ", True),
        ("id[p1]", "idp", False),
        (1, 1.0, True),
        (1, 2, False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": 1, "…": "…"}, {"a": 1, "b": 2}, True),
        ({"a": 1, "…": "…"}, {"b": 2}, False),
        ({"…": {"n": 1}}, {"x": {"n": 1}, "y": {"n": 2}}, False),
        ([1, "…"], [1, 2, 3], True),
        ([1, "…"], [], False),
        ([1, 2], [1, 2, 3], False),
        (["…"], ["x"], True),
    ],
)
def test_an_answer_matches_what_is_shown(shown: Any, seen: Any, is_so: bool) -> None:
    assert matches(shown, seen) is is_so
