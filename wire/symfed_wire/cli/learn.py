"""Commands that change what a project has learnt: learn, forget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from symfed_wire.cli.arguments import ProjectArgument
from symfed_wire.cli.connection import client_of
from symfed_wire.cli.csv_rows import (
    BatchOption,
    FileArgument,
    NotANumberError,
    choose_types,
    open_rows,
    read_batches,
    read_lines,
    to_frame,
)
from symfed_wire.cli.errors import UsageError, explain
from symfed_wire.cli.output import fail, interrupted, say
from symfed_wire.client import ConnectionFailedError
from symfed_wire.client.results import RowCount
from symfed_wire.errors import SymfedError
from symfed_wire.frames import DataFrame

IgnoreOption = Annotated[
    list[str] | None, typer.Option("--ignore", metavar="COLUMN", help="Leave a column out.")
]
TypesOption = Annotated[
    list[str] | None,
    typer.Option("--types", metavar="COLUMN=TYPE", help="A column's type; without it C, a number."),
]
SkipOption = Annotated[
    int, typer.Option("--skip-rows", min=0, help="Rows to pass over: those that are done already.")
]


@dataclass(frozen=True)
class _Reading:
    """How a file's rows are taken."""

    file: Path
    ignored: list[str]
    types: dict[str, str]
    batch_rows: int
    skip_rows: int


def learn(
    ctx: typer.Context,
    project: ProjectArgument,
    file: FileArgument,
    ignore: IgnoreOption = None,
    types: TypesOption = None,
    batch_rows: BatchOption = 10_000,
    skip_rows: SkipOption = 0,
) -> None:
    """Learn the rows of a CSV file. The rows stay with this peer; only sums of them ever leave it."""
    reading = _Reading(file, ignore or [], _pairs(types or []), batch_rows, skip_rows)
    with client_of(ctx) as client:
        _send_rows(lambda batch: client.learn(project, batch), reading, "learnt")


def forget(
    ctx: typer.Context,
    project: ProjectArgument,
    file: FileArgument,
    ignore: IgnoreOption = None,
    types: TypesOption = None,
    batch_rows: BatchOption = 10_000,
    skip_rows: SkipOption = 0,
) -> None:
    """Take the rows of a CSV file away, as if they had never been learnt. Give the options of their learn."""
    reading = _Reading(file, ignore or [], _pairs(types or []), batch_rows, skip_rows)
    with client_of(ctx) as client:
        _send_rows(lambda batch: client.forget(project, batch), reading, "forgotten")


def _send_rows(send: Callable[[DataFrame], RowCount], reading: _Reading, done: str) -> None:
    """Send the file in batches, and say how many rows are `done`, or where to go on."""
    name = str(reading.file)
    with open_rows(reading.file, with_bar=True) as source:
        lines = read_lines(source, name)
        columns = choose_types(next(lines, []), reading.ignored, reading.types, name)
        sent, total = sum(1 for _ in islice(lines, reading.skip_rows)), RowCount(0, 0)
        try:
            for first, batch in read_batches(
                lines, len(columns.names), reading.batch_rows, name, first=sent + 1
            ):
                total += send(to_frame(batch, columns, name, first))
                sent += len(batch)
        except KeyboardInterrupt:
            interrupted(_in_doubt(sent, reading.batch_rows, done) + _to_go_on(sent, done))
        except SymfedError as error:
            fail(_explain_row(error) + _where_to_go_on(error, sent, reading.batch_rows, done))
    skipped = f", {total.skipped} skipped because a value is missing" if total.skipped else ""
    say(f"{total.rows} rows {done}{skipped}")


def _explain_row(error: SymfedError) -> str:
    if isinstance(error, NotANumberError):
        return f"{error}; leave the column out with --ignore {error.column}"
    return explain(error)


def _where_to_go_on(error: SymfedError, sent: int, batch_rows: int, done: str) -> str:
    """How to take up a file again: a batch is done whole or not at all, the file is not."""
    doubt = _in_doubt(sent, batch_rows, done) if isinstance(error, ConnectionFailedError) else ""
    return doubt + _to_go_on(sent, done)


def _in_doubt(sent: int, batch_rows: int, done: str) -> str:
    return f"; it is not known whether rows {sent + 1} to {sent + batch_rows} are {done}"


def _to_go_on(sent: int, done: str) -> str:
    return f"; the first {sent} rows are {done}, go on with --skip-rows {sent}" if sent else ""


def _pairs(options: list[str]) -> dict[str, str]:
    pairs = [option.rpartition("=") for option in options]
    if faulty := [kind for name, _, kind in pairs if not name]:
        raise UsageError(f"--types {faulty[0]}: write COLUMN=TYPE, such as smoker=B")
    return {name: kind for name, _, kind in pairs}
