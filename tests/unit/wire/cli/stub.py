"""A tiny gateway in the process that answers by path, and the command line called beside it."""

import json

import httpx
from pydantic import JsonValue
from typer.testing import CliRunner, Result

from symfed_wire.bodies import open_body
from symfed_wire.cli.commands import app
from symfed_wire.envelope import envelope

KEY = "9cd4TmBShfeYyVYq3ChGyQ=="
BASE = "/symetry/rest/c1"
Values = dict[str, JsonValue]


class Gateway:
    """Answers by verb and path below the customer: (status, text, values), a ready response, an error."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, str, Values] | httpx.Response | BaseException] = {}
        self.requests: list[httpx.Request] = []

    def on(self, call: str, status: int = 200, text: str = "OK", values: Values | None = None) -> None:
        self.answers[call] = (status, text, values or {})

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        given = self.answers[f"{request.method} {request.url.path.removeprefix(BASE)}"]
        if isinstance(given, BaseException):
            raise given
        if isinstance(given, httpx.Response):
            return given
        status, text, values = given
        headers = {"sym-job-id": "7"} if text == "Job Created" else {}
        headers |= {"Retry-After": "5"} if status == 503 else {}
        return httpx.Response(status, content=envelope(status, text, values).to_json(), headers=headers)

    def sent(self, number: int = -1) -> Values:
        """A request's encrypted map."""
        opened: Values = json.loads(open_body(self.requests[number].content.decode(), KEY))
        return opened

    def body(self, number: int = -1) -> Values:
        """A request's plain body."""
        body: Values = json.loads(self.requests[number].content)
        return body

    @property
    def calls(self) -> list[str]:
        """What was asked, in order."""
        return [f"{r.method} {r.url.path.removeprefix(BASE)}" for r in self.requests]


def run(*arguments: str, stdin: str | bytes | None = None) -> Result:
    """A command, on no terminal."""
    return CliRunner().invoke(app, ["--patience", "0", *arguments], input=stdin)


def printed(result: Result) -> str:
    """What a command that went well printed."""
    assert result.exit_code == 0, result.output
    return result.stdout


def error_of(result: Result, status: int = 1) -> str:
    """The one error line of a command that failed."""
    assert result.exit_code == status, result.output
    [line] = result.stderr.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")
