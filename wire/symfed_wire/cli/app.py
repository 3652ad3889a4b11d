"""The command line's frame: the options of every command, and how a command fails."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from symfed_wire.cli import BROKEN_PIPE
from symfed_wire.cli.connection import Connection
from symfed_wire.cli.errors import UsageError, explain
from symfed_wire.cli.output import fail, interrupted, note, say
from symfed_wire.errors import SymfedError


class _Group(TyperGroup):
    """Ends a command that failed with one line on stderr and status 1, or 2 if it was asked wrongly."""

    def invoke(self, ctx: Any) -> Any:  # typer's own signature
        try:
            return super().invoke(ctx)
        except UsageError as error:
            fail(explain(error), status=2)
        except SymfedError as error:
            fail(explain(error))
        except (KeyboardInterrupt, typer.Abort):
            interrupted()
        except BrokenPipeError:
            raise typer.Exit(BROKEN_PIPE) from None
        except UnicodeEncodeError:  # the interpreter hands other bytes on as halves of characters
            fail("an argument is not UTF-8", status=2)
        except OSError as error:
            fail(f"{error.filename or ''}: {error.strerror}".removeprefix(": "))


app = typer.Typer(
    name="symfed",
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Create and join federations, learn rows, build models on everybody's rows.",
    epilog="The connection comes from options, from SYMFED_URL, SYMFED_CUSTOMER and SYMFED_SECRET_KEY, "
    "or from a profile (`symfed profiles`), in this order.",
)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        say(f"symfed {version('symfed')}")
        raise typer.Exit


@app.callback()
def _connection(
    ctx: typer.Context,
    profile: Annotated[
        str | None, typer.Option(envvar="SYMFED_PROFILE", help="The profile to take; else `default`.")
    ] = None,
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
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    ctx.obj = Connection(url, customer, secret_key, profile, patience)
    if _is_from(ctx, "profile", "COMMANDLINE"):
        winning = [n for n in ("url", "customer", "secret_key") if _is_from(ctx, n, "ENVIRONMENT")]
        if winning:
            variables = ", ".join(f"SYMFED_{name.upper()}" for name in winning)
            note(f"note: {variables} of the environment wins over profile {profile}")


def _is_from(ctx: typer.Context, option: str, source: str) -> bool:
    found = ctx.get_parameter_source(option)
    return found is not None and found.name == source
