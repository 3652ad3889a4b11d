"""The command line's frame: connection, errors in one line, output as table or JSON."""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, NoReturn

import orjson
import typer
from pydantic import BaseModel, JsonValue
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer.core import TyperGroup

from symfed_wire.client import (
    ApiError,
    Client,
    ConnectionFailedError,
    NotAnEnvelopeError,
)
from symfed_wire.errors import SymfedError, UnsealError


class Output(enum.StrEnum):
    """How a command prints its data."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to print the data.")]


class UsageError(SymfedError):
    """The command cannot be done as it was given."""

    reason = "Usage"


@dataclass(frozen=True)
class Connection:
    """Which gateway to call, as whom. The client is made when a command needs it, so that help needs none."""

    url: str | None
    customer: str | None
    secret_key: str | None = field(repr=False)
    patience: float

    def open(self) -> Client:
        """Raises UsageError that names everything that is not set, MalformedError."""
        given = {
            "SYMFED_URL (--url)": self.url,
            "SYMFED_CUSTOMER (--customer)": self.customer,
            "SYMFED_SECRET_KEY": self.secret_key,
        }
        if missing := [name for name, value in given.items() if not value]:
            raise UsageError(f"not set: {', '.join(missing)}; set them in the environment")
        return Client(self.url or "", self.customer or "", self.secret_key or "", patience=self.patience)


class _Group(TyperGroup):
    """Ends a command that failed with one line on stderr and exit status 1."""

    def invoke(self, ctx: Any) -> Any:  # typer's own signature
        try:
            return super().invoke(ctx)
        except SymfedError as error:
            fail(explain(error))
        except OSError as error:
            fail(f"{error.filename or ''}: {error.strerror}".removeprefix(": "))


app = typer.Typer(
    name="symfed",
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Create and join federations, learn rows, build models on everybody's rows.",
    epilog="The connection comes from SYMFED_URL, SYMFED_CUSTOMER and SYMFED_SECRET_KEY.",
)


@app.callback()
def _connection(
    ctx: typer.Context,
    url: Annotated[str | None, typer.Option(envvar="SYMFED_URL", help="The gateway's address.")] = None,
    customer: Annotated[str | None, typer.Option(envvar="SYMFED_CUSTOMER", help="Customer id.")] = None,
    secret_key: Annotated[
        str | None,
        typer.Option(
            envvar="SYMFED_SECRET_KEY",
            help="The customer's secret key, base64. Others see options: better set the environment.",
        ),
    ] = None,
    patience: Annotated[
        float, typer.Option(min=0, help="Seconds to repeat a call that the gateway cannot serve yet.")
    ] = 120.0,
) -> None:
    ctx.obj = Connection(url, customer, secret_key, patience)


def client_of(ctx: typer.Context) -> Client:
    """The client of a command. Raises UsageError, MalformedError."""
    connection = ctx.find_object(Connection)
    if connection is None:
        raise UsageError("no connection: call a command of `symfed`")
    return connection.open()


def explain(error: SymfedError) -> str:
    """One line: what happened, and what to do where that is known."""
    hint = _hint(error)
    line = " ".join(str(error).split())
    return f"{line} - {hint}" if hint else line


def _hint(error: SymfedError) -> str:
    if isinstance(error, ConnectionFailedError | NotAnEnvelopeError):
        return "check SYMFED_URL and that the gateway runs"
    if isinstance(error, UnsealError):
        return "the password is wrong, or the text was changed on its way"
    if not isinstance(error, ApiError):
        return ""
    if error.status == 403 and "createJoin" in error.call:
        return (
            "ask the federation's admin for a new invitation; each serves one peer, once, for a limited time"
        )
    if error.status == 409 and error.call.startswith("POST"):
        return "`symfed projects` lists the projects there are"
    return _STATUS_HINTS.get(error.status, "")


_STATUS_HINTS = {
    401: "check SYMFED_CUSTOMER and SYMFED_SECRET_KEY",
    404: "check SYMFED_URL: this gateway does not know the call",
    413: "send fewer rows at once with a smaller --batch-rows",
    503: "try again in a moment, or with a larger --patience",
}


def fail(line: str) -> NoReturn:
    """Print an error line and end with status 1."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"[bold red]error:[/] {escape(line)}")
    raise typer.Exit(1)


def note(line: str) -> None:
    """Say something beside the data, on stderr."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(escape(line))


def say(line: str) -> None:
    """Print data or a result as it is, for a pipe too."""
    typer.echo(line)


def is_terminal() -> bool:
    """Whether somebody can answer a prompt."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def show(output: Output, data: BaseModel | JsonValue, table: Callable[[], Table]) -> None:
    """Print `data` as JSON, or the table made of it."""
    if output is Output.JSON:
        plain = data.model_dump(mode="json") if isinstance(data, BaseModel) else data
        typer.echo(orjson.dumps(plain, option=orjson.OPT_INDENT_2).decode())
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=200)  # a pipe has no width: nothing may be cut off
    console.print(table())
