"""Commands about projects: learn, build, model, info, projects, delete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, TextIO

import typer
from pydantic import JsonValue
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from symfed_wire.cli_app import (
    Output,
    OutputOption,
    UsageError,
    app,
    client_of,
    explain,
    fail,
    is_terminal,
    note,
    say,
    show,
)
from symfed_wire.cli_rows import choose_types, read_batches, read_lines
from symfed_wire.client import ApiError, Client, ConnectionFailedError
from symfed_wire.client_results import FederationInfo, Learnt, ModelInfo, ProjectInfo
from symfed_wire.errors import SymfedError

ProjectArgument = Annotated[str, typer.Argument(help="Project id.")]
LocalOption = Annotated[bool, typer.Option("--local", help="Only this peer's own rows.")]


@app.command(epilog="Example: symfed learn hospital-a visits.csv --ignore name --types smoker=B")
def learn(
    ctx: typer.Context,
    project: ProjectArgument,
    file: Annotated[
        Path, typer.Argument(help="CSV file whose first line names the columns.", dir_okay=False)
    ],
    ignore: Annotated[list[str] | None, typer.Option(metavar="COLUMN", help="Leave a column out.")] = None,
    types: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN=TYPE", help="A column's type; without it C, a number.")
    ] = None,
    batch_rows: Annotated[int, typer.Option(min=1, help="Rows to send at once.")] = 10_000,
    skip_rows: Annotated[int, typer.Option(min=0, help="Rows to pass over: those already learnt.")] = 0,
) -> None:
    """Learn the rows of a CSV file. The rows stay with this peer; only sums of them ever leave it."""
    name = str(file)
    with client_of(ctx) as client, _open_with_progress(file) as source:
        lines = read_lines(source, name)
        columns = choose_types(next(lines, []), ignore or [], _pairs(types or []), name)
        sent, total = sum(1 for _ in islice(lines, skip_rows)), Learnt(0, 0)
        try:
            for batch in read_batches(lines, columns, batch_rows, name, first=sent + 1):
                total += client.learn(project, batch)
                sent += len(batch.data)
        except SymfedError as error:
            fail(explain(error) + _where_to_go_on(error, sent, batch_rows))
    skipped = f", {total.skipped} skipped because a value is missing" if total.skipped else ""
    say(f"{total.rows} rows learnt{skipped}")


@app.command(epilog="Example: symfed build hospital-a --model risk --target age --inputs weight,height")
def build(
    ctx: typer.Context,
    project: ProjectArgument,
    model: Annotated[str, typer.Option(help="Id of the new model.")],
    target: Annotated[str, typer.Option(help="The attribute to predict.")],
    inputs: Annotated[
        str | None, typer.Option(help="Attributes to predict it from, comma separated; default: all others.")
    ] = None,
    algo: Annotated[str, typer.Option(help="The algorithm.")] = "mlr",
    local: LocalOption = False,
    deadline: Annotated[float, typer.Option(min=0, help="Seconds to wait at most.")] = 300.0,
) -> None:
    """Build a model on the sum of all peers' statistics, and wait for it."""
    names = [name.strip() for name in inputs.split(",") if name.strip()] if inputs is not None else None
    with client_of(ctx) as client:
        job = client.build(project, algo, model, target, names, use_local=local)
        client.wait(job, deadline)
    say(f"model {model} is built; see `symfed model {project} {model}{' --local' if local else ''}`")


@app.command(epilog="Example: symfed model hospital-a risk --output json")
def model(
    ctx: typer.Context,
    project: ProjectArgument,
    model_id: Annotated[str, typer.Argument(metavar="MODEL", help="Id of the model.")],
    local: LocalOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Print a model: its coefficients with their errors, and how good it is."""
    with client_of(ctx) as client:
        built = client.model(project, model_id, use_local=local)
    show(output, _model_json(built), lambda: _model_table(built))
    if built.is_ill_conditioned:
        note(
            f"warning: condition number {built.condition_number:.2g}: some inputs nearly follow from others, "
            "so the coefficients are not reliable; build with fewer --inputs"
        )


@app.command(epilog="Example: symfed info hospital-a")
def info(ctx: typer.Context, project: ProjectArgument, output: OutputOption = Output.TABLE) -> None:
    """Print what a project knows and which federation it belongs to."""
    with client_of(ctx) as client:
        described = client.project(project)
        federation = _federation(client, project)
    data: JsonValue = {
        "project": described.model_dump(mode="json"),
        "federation": None if federation is None else federation.model_dump(mode="json"),
    }
    show(output, data, lambda: _info_table(described, federation))


@app.command(epilog="Example: symfed projects --output json")
def projects(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List the customer's projects."""
    with client_of(ctx) as client:
        names = client.projects()
    if output is Output.TABLE:
        for name in names:
            say(name)
        return
    show(output, list(names), Table)


@app.command(epilog="Example: symfed delete hospital-a --yes")
def delete(
    ctx: typer.Context,
    project: ProjectArgument,
    model: Annotated[str | None, typer.Option(help="Delete only this model.")] = None,
    local: Annotated[bool, typer.Option("--local", help="With --model: of the local project.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a project with all it has learnt (a peer leaves its federation), or one model."""
    what = f"project {project} and all it has learnt" if model is None else f"model {model} of {project}"
    if not yes:
        if not is_terminal():
            raise UsageError(f"deleting {what} needs --yes here")
        if not typer.confirm(f"Delete {what}?", err=True):
            fail("nothing was deleted")
    with client_of(ctx) as client:
        if model is None:
            client.delete(project)
        else:
            client.delete_model(project, model, use_local=local)
    say(f"deleted {what}")


@contextmanager
def _open_with_progress(file: Path) -> Iterator[TextIO]:
    """The open file, with a bar on a terminal by the bytes read."""
    console = Console(stderr=True)
    with (
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
        progress.open(file, "r", encoding="utf-8-sig", newline="", description=file.name) as source,
    ):
        yield source


def _where_to_go_on(error: SymfedError, learnt: int, batch_rows: int) -> str:
    """How to take up a file again: a batch is learnt whole or not at all, the file is not."""
    doubt = ""
    if isinstance(error, ConnectionFailedError):
        doubt = f"; it is not known whether rows {learnt + 1} to {learnt + batch_rows} are learnt"
    return doubt + (
        f"; the first {learnt} rows are learnt, go on with --skip-rows {learnt}" if learnt else ""
    )


def _pairs(options: list[str]) -> dict[str, str]:
    pairs = [option.rpartition("=") for option in options]
    if faulty := [kind for name, _, kind in pairs if not name]:
        raise UsageError(f"--types {faulty[0]}: write COLUMN=TYPE, such as smoker=B")
    return {name: kind for name, _, kind in pairs}


def _federation(client: Client, project: str) -> FederationInfo | None:
    """The project's federation, or None: a plain project has none and answers 400."""
    try:
        return client.info(project)
    except ApiError as error:
        if error.status == 400:
            return None
        raise


def _model_json(built: ModelInfo) -> JsonValue:
    plain: dict[str, JsonValue] = built.model_dump(mode="json")
    return plain | {
        "rows": built.rows,
        "r_squared": built.r_squared,
        "condition_number": built.condition_number,
        "digest": built.digest,
        "coefficients": [row.model_dump(mode="json") for row in built.coefficients],
    }


def _model_table(built: ModelInfo) -> Table:
    figures = {
        "rows": built.rows,
        "R²": built.r_squared,
        "condition number": built.condition_number,
        "statistics": built.digest and built.digest[:16],
    }
    caption = "   ".join(f"{name} {_figure(value)}" for name, value in figures.items() if value is not None)
    table = Table(
        "attribute",
        "coefficient",
        "std. error",
        "t",
        "p",
        "95 % from",
        "to",
        title=f"{built.model_id}: {built.model_type} of {', '.join(built.target_names)}",
        caption=caption,
    )
    for row in built.coefficients:
        values = (row.coefficient, row.std_error, row.t, row.p_value, row.ci_low, row.ci_high)
        table.add_row(row.attribute, *(_figure(value) for value in values))
    return table


def _info_table(project: ProjectInfo, federation: FederationInfo | None) -> Table:
    table = Table(show_header=False)
    table.add_row("project", project.pid)
    table.add_row("type", project.type)
    attributes = zip(project.attribute_names, project.attribute_types, strict=False)
    table.add_row("attributes", ", ".join(f"{name} ({kind})" for name, kind in attributes))
    table.add_row("rows", str(project.params.get("rows", "")))
    table.add_row("models", ", ".join(project.models))
    if federation is not None:
        table.add_row("federation", federation.fed_name)
        table.add_row("schedule", federation.sync_sched)
        table.add_row("peers", ", ".join(sorted(federation.peers.values())))
    return table


def _figure(value: float | int | str | None) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
