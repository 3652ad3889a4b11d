"""Commands that make a federation: create, invite, join."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from pydantic import JsonValue

from symfed_wire.cli.connection import client_of
from symfed_wire.cli.errors import UsageError
from symfed_wire.cli.output import is_terminal, note, say
from symfed_wire.client import generate_password

PasswordOption = Annotated[
    str | None,
    typer.Option(
        envvar="SYMFED_PASSWORD", help="The invitation's password. Better by SYMFED_PASSWORD or the prompt."
    ),
]
GpuOption = Annotated[bool, typer.Option("--gpu", help="Compute on a GPU.")]
EphemeralOption = Annotated[bool, typer.Option("--ephemeral", help="Keep nothing on a volume.")]


def create(
    ctx: typer.Context,
    project: Annotated[str, typer.Argument(help="Project id of the admin's peer.")],
    name: Annotated[str | None, typer.Option(help="Name of the federation.")] = None,
    schedule: Annotated[str, typer.Option(help="How often peers exchange: m30, h3, d7.")] = "h1",
    nats: Annotated[
        str | None, typer.Option(envvar="SYMFED_NATS", help="NATS addresses, comma separated.")
    ] = None,
    gpu: GpuOption = False,
    encrypt: Annotated[bool, typer.Option("--encrypt", help="Seal snapshots for the members.")] = False,
    ephemeral: EphemeralOption = False,
    stream_bytes: Annotated[
        int | None, typer.Option(min=1, help="How much a peer may store in NATS, bytes.")
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="A plain project instead, in no federation.")
    ] = False,
) -> None:
    """Create a federation with its admin's project, or with --local a plain project."""
    with client_of(ctx) as client:
        if local:
            client.create_project(project, "gpu" if gpu else "cpu", persist=not ephemeral)
            say(f"project {project} is created")
            return
        if name is None or nats is None:
            raise UsageError("a federation needs --name and --nats (SYMFED_NATS); a plain project --local")
        settings: dict[str, JsonValue] = {"nats_hosts": nats, "fed_local_type": "gpu" if gpu else "cpu"}
        if encrypt:
            settings["fed_encrypt"] = True
        if stream_bytes is not None:
            settings["nats_stream_max_memory"] = stream_bytes
        client.create(project, name, schedule, settings, persist=not ephemeral)
    say(f"federation {name} is created; {project} is its admin's project")


def invite(
    ctx: typer.Context,
    project: Annotated[str, typer.Argument(help="Project id of the admin's peer.")],
    password: PasswordOption = None,
    host: Annotated[
        str | None, typer.Option(help="The gateway's address as the peer reaches it; default: --url.")
    ] = None,
    hours: Annotated[int | None, typer.Option(min=1, help="How long it can be used; default 2.")] = None,
) -> None:
    """Print an invitation for one peer. Tell the peer the password by another way."""
    with client_of(ctx) as client:
        if password is None and is_terminal():
            password = typer.prompt(
                "Password (empty: make one)", default="", show_default=False, hide_input=True, err=True
            )
        chosen = password or generate_password()
        invitation = client.invitation(project, chosen, rest_host=host, token_hours=hours)
    if not password:
        note(f"password: {chosen}")
    say(invitation)


def join(
    ctx: typer.Context,
    invitation: Annotated[str, typer.Argument(help="The invitation's text; - reads it from stdin.")],
    password: PasswordOption = None,
    project: Annotated[
        str | None, typer.Option(help="Project id of the new peer; default: after the federation.")
    ] = None,
    gpu: GpuOption = False,
    ephemeral: EphemeralOption = False,
) -> None:
    """Join a federation with an invitation."""
    with client_of(ctx) as client:
        text = (sys.stdin.read() if invitation == "-" else invitation).strip()
        if password is None:
            if invitation == "-" or not is_terminal():
                raise UsageError("an invitation needs its password: set SYMFED_PASSWORD, or use --password")
            password = typer.prompt("Password", hide_input=True, err=True)
        keys = client.open_invitation(text, password)
        client.join(keys, {"fed_local_type": "gpu" if gpu else "cpu"}, pid=project, persist=not ephemeral)
    name = keys.get("fed_name")
    say(
        f"{project} has joined federation {name}"
        if project
        else f"a new project has joined federation {name}"
    )
