"""How commands fail: one line on stderr that says what to do; 1, or 2 for a wrong call; and their help."""

from importlib.metadata import version

import httpx
import pytest
from tests.unit.wire.cli.stub import Gateway, error_of, printed, run
from typer.testing import CliRunner

from symfed_wire.cli.commands import COMMANDS, app


def test_a_missing_connection_names_all_that_is_not_set(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SYMFED_URL")
    monkeypatch.delenv("SYMFED_SECRET_KEY")
    assert error_of(run("projects")).startswith(
        "not set: url, secret key; set SYMFED_URL, SYMFED_SECRET_KEY, or a profile in "
    )


@pytest.mark.parametrize(
    ("status", "text", "hint"),
    [
        (401, "Invalid Signature", "check customer and secret key (SYMFED_CUSTOMER"),
        (404, "not found", "does not know the call: check the gateway's address"),
        (503, "starting", "try again in a moment"),
    ],
)
def test_a_refusal_says_what_to_do(gateway: Gateway, status: int, text: str, hint: str) -> None:
    gateway.on("GET /projects/list", status, text)
    line = error_of(run("projects"))
    assert line.startswith(f"GET /projects/list: {status} {text} - ")
    assert hint in line


def test_a_taken_project_id_is_told(gateway: Gateway) -> None:
    gateway.on("POST /projects", 409, "already there, ")
    assert "409 already there - `symfed projects` lists" in error_of(run("create", "p", "--local"))


def test_the_version_needs_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SYMFED_URL", raising=False)
    assert printed(run("--version")) == f"symfed {version('symfed')}\n"


def test_an_admin_with_members_is_told_how_they_go(gateway: Gateway) -> None:
    gateway.on("DELETE /projects/p", 409, "Project p administers a federation with other members: b")
    assert "b - they go first: by a `symfed delete` of theirs" in error_of(run("delete", "p", "--yes"))


def test_an_argument_that_is_not_utf8_is_told(gateway: Gateway) -> None:
    assert error_of(run("info", "p\udcff"), status=2) == "an argument is not UTF-8"
    line = error_of(run("explore", "p", "age\udcff"))
    assert line.startswith(
        "POST /projects/p/explore?metric=uni&returnProjectInfo=false: the body is no JSON: "
    )
    assert gateway.calls == []


def test_an_unreachable_gateway_is_named(gateway: Gateway) -> None:
    gateway.answers["GET /projects/list"] = httpx.ConnectError("[Errno 111] Connection refused")
    assert "http://gw:1/symetry/rest/c1: Connection refused - check the gateway's address" in error_of(
        run("projects")
    )


def test_another_server_is_told(gateway: Gateway) -> None:
    gateway.answers["GET /projects/list"] = httpx.Response(200, text="<html>[hello]")
    assert "not an answer of a symfed gateway: '<html>[hello]' - check the gateway's address" in error_of(
        run("projects")
    )


@pytest.mark.parametrize(
    ("name", "example"),
    [
        (command.__name__.replace("_", "-"), example)
        for commands in COMMANDS.values()
        for command, example in commands.items()
    ],
)
def test_help_needs_no_connection_and_shows_an_example(name: str, example: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0
    assert example.split()[0] == name
    assert f"Example: symfed {name}" in result.stdout
