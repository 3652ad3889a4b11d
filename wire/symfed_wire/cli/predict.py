"""The command predict: a file's rows with a model's prediction for each."""

from __future__ import annotations

import csv
import enum
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from pydantic import JsonValue

from symfed_wire.cli.arguments import LocalOption, ModelArgument, ProjectArgument
from symfed_wire.cli.connection import client_of
from symfed_wire.cli.csv_rows import (
    BatchOption,
    Columns,
    FileArgument,
    check_header,
    name_of,
    open_rows,
    read_batches,
    read_lines,
    to_frame,
)
from symfed_wire.cli.errors import UsageError
from symfed_wire.cli.output import Output, escape, new_table, numbers, show
from symfed_wire.client.results import Prediction
from symfed_wire.errors import MalformedError
from symfed_wire.frames import CONTINUOUS


class RowsOutput(enum.StrEnum):
    """How rows are printed."""

    CSV = "csv"
    JSON = "json"
    TABLE = "table"


Row = Sequence[str]
Predicted = Iterator[tuple[Row, Prediction]]


def predict(
    ctx: typer.Context,
    project: ProjectArgument,
    model: ModelArgument,
    file: FileArgument,
    impute: Annotated[
        bool, typer.Option("--impute", help="Estimate a missing input from the others, not by its mean.")
    ] = False,
    local: LocalOption = False,
    column: Annotated[str, typer.Option(help="Name of the column with the predictions.")] = "prediction",
    batch_rows: BatchOption = 10_000,
    output: Annotated[
        RowsOutput, typer.Option("--output", "-o", help="How to print the rows.")
    ] = RowsOutput.CSV,
) -> None:
    """Print the rows of a CSV file with the model's prediction as a further column."""
    name = name_of(file)
    with client_of(ctx) as client, open_rows(file) as source:
        lines = read_lines(source, name)
        header = check_header(next(lines, []), name)
        if column in header:
            raise UsageError(f"{name} has a column {column} already: name another with --column")
        inputs = client.model(project, model, use_local=local).attribute_names
        positions = _positions(inputs, header, name, model)
        columns = Columns(inputs, (CONTINUOUS,) * len(inputs))

        def predicted() -> Predicted:
            for first, batch in read_batches(lines, len(header), batch_rows, name):
                used = [[cells[position] for position in positions] for cells in batch]
                frame = to_frame(used, columns, name, first)
                found = client.predict(project, model, frame, impute=impute, use_local=local)
                yield from zip(batch, found, strict=True)

        _PRINTERS[output](header, column, predicted())


def _positions(inputs: Sequence[str], header: Sequence[str], file: str, model: str) -> list[int]:
    """Where the model's inputs are in the file. Raises MalformedError."""
    if missing := [name for name in inputs if name not in header]:
        raise MalformedError(
            f"{file}: there is no column {', '.join(missing)}, which model {model} needs; "
            "an empty column counts as missing values"
        )
    return [header.index(name) for name in inputs]


def _print_csv(header: Row, column: str, rows: Predicted) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*header, column])
    writer.writerows([*cells, prediction.result] for cells, prediction in rows)


def _print_json(header: Row, column: str, rows: Predicted) -> None:
    found: list[JsonValue] = [
        {**dict(zip(header, cells, strict=True)), column: _value(prediction), **prediction.further}
        for cells, prediction in rows
    ]
    show(Output.JSON, found, new_table)


def _print_table(header: Row, column: str, rows: Predicted) -> None:
    table = new_table(*(escape(name) for name in header), *numbers(escape(column)))
    for cells, prediction in rows:
        table.add_row(*(escape(cell) for cell in cells), escape(prediction.result))
    show(Output.TABLE, None, lambda: table)


def _value(prediction: Prediction) -> JsonValue:
    return prediction.result if prediction.number is None else prediction.number


_PRINTERS = {
    RowsOutput.CSV: _print_csv,
    RowsOutput.JSON: _print_json,
    RowsOutput.TABLE: _print_table,
}
