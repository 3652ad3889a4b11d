"""Commands that change what a project has learnt: learn, forget."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
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
    name_of,
    open_rows,
    read_batches,
    read_lines,
    to_frame,
)
from symfed_wire.cli.errors import UsageError, explain
from symfed_wire.cli.output import fail, interrupted, say
from symfed_wire.client import ApiError, ConnectionFailedError
from symfed_wire.client.results import RowCount
from symfed_wire.errors import SymfedError
from symfed_wire.frames import DataFrame

IgnoreOption = Annotated[
    list[str] | None,
    typer.Option("--ignore", metavar="COLUMN", help="Leave a column out; may be given several times."),
]
TypesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--types", metavar="COLUMN=TYPE", help="A column's type: C, a number (without it), or B, 0 or 1."
    ),
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


@dataclass(frozen=True)
class _Telling:
    """What is said of rows that are `done` (learnt, forgotten) to a project, or may be."""

    project: str
    done: str

    def in_doubt(self, sent: int, batch_rows: int) -> str:
        """What may or may not be done, and where to look."""
        rows = f"rows {sent + 1} to {sent + batch_rows}"
        count = f"the count of `symfed explore {self.project} --local` tells"
        return f"; it is not known whether {rows} are {self.done}: {count}"

    def where_to_go_on(self, sent: int) -> str:
        """How to take up a file again: a batch is done whole or not at all, the file is not."""
        return f"; the first {sent} rows are {self.done}, go on with --skip-rows {sent}" if sent else ""


def learn(
    ctx: typer.Context,
    project: ProjectArgument,
    file: FileArgument,
    ignore: IgnoreOption = None,
    types: TypesOption = None,
    batch_rows: BatchOption = 10_000,
    skip_rows: SkipOption = 0,
) -> None:
    """Learn the rows of a CSV file. The rows stay with this peer; only sums of them ever leave it.

    A row with an empty cell is left out.
    """
    reading = _Reading(file, ignore or [], _pairs(types or []), batch_rows, skip_rows)
    with client_of(ctx) as client:
        _send_rows(lambda batch: client.learn(project, batch), reading, _Telling(project, "learnt"))


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
        _send_rows(lambda batch: client.forget(project, batch), reading, _Telling(project, "forgotten"))


def _send_rows(send: Callable[[DataFrame], RowCount], reading: _Reading, telling: _Telling) -> None:
    """Send the file in batches, and say how many rows are done, or where to go on."""
    sent, total = reading.skip_rows, RowCount(0, 0)
    try:
        with closing(_frames(reading)) as frames:  # so that its bar is gone before anything is said
            for frame in frames:
                total += send(frame)
                sent += len(frame.data)
    except KeyboardInterrupt:
        interrupted(telling.in_doubt(sent, reading.batch_rows) + telling.where_to_go_on(sent))
    except SymfedError as error:
        doubt = telling.in_doubt(sent, reading.batch_rows) if isinstance(error, ConnectionFailedError) else ""
        fail(_explain_row(error, sent, name_of(reading.file)) + doubt + telling.where_to_go_on(sent))
    skipped = f", {total.skipped} skipped because a value is missing" if total.skipped else ""
    say(f"{total.rows} row{'' if total.rows == 1 else 's'} {telling.done}{skipped}")


def _frames(reading: _Reading) -> Generator[DataFrame, None, None]:
    """The file's rows behind those to pass over, in batches. Raises MalformedError."""
    name = name_of(reading.file)
    with open_rows(reading.file, with_bar=True) as source:
        lines = read_lines(source, name)
        columns = choose_types(next(lines, []), reading.ignored, reading.types, name)
        passed = sum(1 for _ in islice(lines, reading.skip_rows))
        for first, batch in read_batches(
            lines, len(columns.names), reading.batch_rows, name, first=passed + 1
        ):
            yield to_frame(batch, columns, name, first)


def _explain_row(error: SymfedError, sent: int, file: str) -> str:
    """The node counts the rows of one batch, so its words go with how many came before."""
    if isinstance(error, NotANumberError):
        return f"{error}; leave the column out with --ignore {error.column}"
    return (
        f"{file}, after row {sent}: {explain(error)}"
        if isinstance(error, ApiError) and sent
        else explain(error)
    )


def _pairs(options: list[str]) -> dict[str, str]:
    pairs = [option.rpartition("=") for option in options]
    if faulty := [kind for name, _, kind in pairs if not name]:
        raise UsageError(f"--types {faulty[0]}: write COLUMN=TYPE, such as smoker=B")
    return {name: kind for name, _, kind in pairs}
