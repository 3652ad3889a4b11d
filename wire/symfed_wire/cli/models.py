"""Commands about models: build, model."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import JsonValue
from rich.table import Table

from symfed_wire.cli.arguments import LocalOption, ModelArgument, ProjectArgument
from symfed_wire.cli.connection import client_of
from symfed_wire.cli.errors import UsageError
from symfed_wire.cli.output import (
    Output,
    OutputOption,
    escape,
    figure,
    new_table,
    note,
    numbers,
    say,
    short,
    show,
    working,
)
from symfed_wire.client.results import ModelInfo


def build(
    ctx: typer.Context,
    project: ProjectArgument,
    model: Annotated[str, typer.Option(help="Id of the new model.")],
    target: Annotated[str, typer.Option(help="The attribute to predict.")],
    inputs: Annotated[
        str | None, typer.Option(help="Attributes to predict it from, comma separated; default: all others.")
    ] = None,
    algo: Annotated[str, typer.Option(help="The algorithm.")] = "mlr",
    parameter: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A parameter of the algorithm; mlr takes none."),
    ] = None,
    local: LocalOption = False,
    deadline: Annotated[float, typer.Option(min=0, help="Seconds to wait at most.")] = 300.0,
) -> None:
    """Build a model on the sum of all peers' statistics, and wait for it."""
    names = [name.strip() for name in inputs.split(",") if name.strip()] if inputs is not None else None
    parameters = _parameters(parameter or [])
    with client_of(ctx) as client, working(f"building {model}"):
        job = client.build(project, algo, model, target, names, use_local=local, parameters=parameters)
        client.wait(job, deadline)
    say(f"model {model} is built; see `symfed model {project} {model}{' --local' if local else ''}`")


def model(
    ctx: typer.Context,
    project: ProjectArgument,
    model_id: ModelArgument,
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


def _parameters(options: list[str]) -> dict[str, JsonValue]:
    """Names and values; the values travel as texts, as other clients send them."""
    pairs = [option.partition("=") for option in options]
    if faulty := [name for name, sign, _ in pairs if not name or not sign]:
        raise UsageError(f"--parameter {faulty[0]}: write NAME=VALUE, such as lambda=0.1")
    return {name: value for name, _, value in pairs}


def _model_json(built: ModelInfo) -> JsonValue:
    more: dict[str, JsonValue] = {
        "rows": built.rows,
        "r_squared": built.r_squared,
        "condition_number": built.condition_number,
        "digest": built.digest,
        "coefficients": [row.model_dump(mode="json") for row in built.coefficients],
    }
    return {**built.model_dump(mode="json"), **more}


def _model_table(built: ModelInfo) -> Table:
    figures = {
        "rows": built.rows,
        "R²": built.r_squared,
        "condition number": built.condition_number,
        "statistics": short(built.digest) or None,
    }
    table = new_table(
        "attribute",
        *numbers("coefficient", "std. error", "t", "p", "95 % from", "to"),
        title=escape(f"{built.model_id}: {built.model_type} of {', '.join(built.target_names)}"),
        caption="   ".join(f"{name} {figure(value)}" for name, value in figures.items() if value is not None),
    )
    for row in built.coefficients:
        values = (row.coefficient, row.std_error, row.t, row.p_value, row.ci_low, row.ci_high)
        table.add_row(escape(row.attribute), *(figure(value) for value in values))
    return table
