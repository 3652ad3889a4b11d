"""Commands about projects: info, projects, delete."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import JsonValue
from rich.table import Table

from symfed_wire.cli.arguments import LocalOption, ProjectArgument
from symfed_wire.cli.connection import client_of
from symfed_wire.cli.errors import UsageError
from symfed_wire.cli.output import (
    Output,
    OutputOption,
    escape,
    facts,
    fail,
    is_terminal,
    new_table,
    note,
    numbers,
    say,
    show,
    working,
)
from symfed_wire.cli.reading import federation_of, or_not_ready
from symfed_wire.client.results import FederationInfo, ProjectInfo


def info(ctx: typer.Context, project: ProjectArgument, output: OutputOption = Output.TABLE) -> None:
    """Print what a project knows, which federation it belongs to, and why it is not ready if it is not."""
    with client_of(ctx, patience=0) as client, working(f"asking {project}"):
        described = or_not_ready(lambda: client.project(project))
        federation = federation_of(client, project)
    is_ready = isinstance(described, ProjectInfo)
    data: JsonValue = {
        "pid": project,
        "ready": is_ready,
        "why": "" if is_ready else str(described),
        "project": described.model_dump(mode="json") if isinstance(described, ProjectInfo) else None,
        "federation": None if federation is None else federation.model_dump(mode="json"),
    }
    show(output, data, lambda: _info_table(project, described, federation))


def projects(
    ctx: typer.Context,
    long: Annotated[
        bool, typer.Option("--long", "-l", help="With type, rows, attributes and models.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the customer's projects."""
    with client_of(ctx) as client:
        if long:
            with working("asking the projects"):
                described = client.describe_projects()
            show(output, [p.model_dump(mode="json") for p in described], lambda: _projects_table(described))
            for why in filter(None, (project.not_ready for project in described)):
                note(why)
            return
        names = client.projects()
    if output is Output.JSON:
        show(output, names, new_table)
        return
    for name in names:
        say(name)


def delete(
    ctx: typer.Context,
    project: ProjectArgument,
    model: Annotated[str | None, typer.Option(help="Delete only this model.")] = None,
    local: LocalOption = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a project with all it has learnt (a peer leaves its federation), or one model."""
    what = f"project {project} and all it has learnt" if model is None else f"model {model} of {project}"
    if local and model is None:
        raise UsageError("--local says which model is meant: it needs --model")
    if not yes:
        if not is_terminal():
            raise UsageError(f"deleting {what} needs --yes here")
        if not typer.confirm(f"Delete {what}?", err=True):
            fail("nothing was deleted")
    with client_of(ctx) as client, working(f"deleting {what}"):
        if model is None:
            client.delete(project)
        else:
            client.delete_model(project, model, use_local=local)
    say(f"deleted {what}")


def _info_table(name: str, project: ProjectInfo | str, federation: FederationInfo | None) -> Table:
    pairs = [("project", name)]
    if isinstance(project, ProjectInfo):
        attributes = zip(project.attribute_names, project.attribute_types, strict=False)
        pairs += [
            ("state", "ready"),
            ("type", project.type),
            ("computes on", project.computes_on),
            ("attributes", ", ".join(f"{name} ({kind})" for name, kind in attributes)),
            ("rows", "" if project.rows is None else str(project.rows)),
            ("models", ", ".join(project.models)),
        ]
    else:
        pairs.append(("state", f"not ready: {project}"))
    if federation is not None:
        pairs += [
            ("federation", federation.fed_name),
            ("schedule", federation.sync_sched + ("" if federation.is_pulsing else " (stopped)")),
            ("peers", ", ".join(sorted(federation.peers.values()))),
            ("peers explore", "allowed" if federation.allow_peers_explore else "not allowed"),
        ]
    return facts(pairs)


def _projects_table(described: list[ProjectInfo]) -> Table:
    table = new_table("project", "type", *numbers("rows", "attributes"), "models")
    for project in described:
        table.add_row(
            escape(project.pid),
            project.type,
            "" if project.rows is None else str(project.rows),
            "" if project.not_ready else str(len(project.attribute_names)),
            escape(", ".join(project.models)),
        )
    return table
