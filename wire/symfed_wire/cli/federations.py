"""Commands that make a federation: create, invite, join."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue

from symfed_wire.cli.backends import (
    AccessKeyOption,
    AccountOption,
    AwsKeyOptions,
    AwsOptions,
    BucketOption,
    EndpointOption,
    NatsCaOption,
    NatsLoginOptions,
    NatsOption,
    NatsPasswordOption,
    NatsSeedOption,
    NatsTokenOption,
    NatsUserOption,
    RegionOption,
    SecretKeyOption,
    SessionTokenOption,
)
from symfed_wire.cli.connection import client_of
from symfed_wire.cli.errors import UsageError
from symfed_wire.cli.output import is_terminal, note, say
from symfed_wire.client import generate_password

PasswordOption = Annotated[
    str | None,
    typer.Option(
        envvar="SYMFED_PASSWORD",
        help="The invitation's password, at most 16 bytes. Better by SYMFED_PASSWORD or the prompt.",
    ),
]
GpuOption = Annotated[bool, typer.Option("--gpu", help="Compute on a GPU.")]
EphemeralOption = Annotated[bool, typer.Option("--ephemeral", help="Keep nothing on a volume.")]
_LONGEST_NAME = 255
"""Bytes of a file's name, more than which no system takes; every invitation is longer."""


def create(
    ctx: typer.Context,
    project: Annotated[str, typer.Argument(help="Project id of the admin's peer.")],
    name: Annotated[str | None, typer.Option(help="Name of the federation.")] = None,
    schedule: Annotated[str, typer.Option(help="How often peers exchange: m30, h3, d7.")] = "h1",
    nats: NatsOption = None,
    gpu: GpuOption = False,
    encrypt: Annotated[bool, typer.Option("--encrypt", help="Seal snapshots for the members.")] = False,
    ephemeral: EphemeralOption = False,
    stream_bytes: Annotated[
        int | None, typer.Option(min=1, help="How much a peer may store in NATS, bytes.")
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="A plain project instead, in no federation.")
    ] = False,
    nats_user: NatsUserOption = None,
    nats_password: NatsPasswordOption = None,
    nats_token: NatsTokenOption = None,
    nats_seed: NatsSeedOption = None,
    nats_ca: NatsCaOption = None,
    bucket: BucketOption = None,
    aws_region: RegionOption = None,
    aws_account: AccountOption = None,
    aws_access_key: AccessKeyOption = None,
    aws_secret_key: SecretKeyOption = None,
    aws_session_token: SessionTokenOption = None,
    aws_endpoint: EndpointOption = None,
) -> None:
    """Create a federation with its admin's project, or with --local a plain project.

    It exchanges over NATS (--nats), or over AWS (--bucket): then the topic is made in the bucket's region.
    """
    aws_keys = AwsKeyOptions(aws_access_key, aws_secret_key, aws_session_token)
    aws = AwsOptions(bucket, aws_region, aws_account, aws_endpoint, aws_keys)
    login = NatsLoginOptions(nats_user, nats_password, nats_token, nats_seed, nats_ca)
    with client_of(ctx) as client:
        if local:
            client.create_project(project, "gpu" if gpu else "cpu", persist=not ephemeral)
            say(f"project {project} is created")
            return
        if name is None or (nats is None and bucket is None):
            raise UsageError(
                "a federation needs --name, and --nats (SYMFED_NATS) or --bucket; a plain project --local"
            )
        settings: dict[str, JsonValue] = {"fed_local_type": "gpu" if gpu else "cpu"}
        settings |= _backend(ctx, nats, login, aws)
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
    bucket: BucketOption = None,
    aws_region: RegionOption = None,
    aws_account: AccountOption = None,
    aws_access_key: AccessKeyOption = None,
    aws_secret_key: SecretKeyOption = None,
    aws_session_token: SessionTokenOption = None,
    aws_endpoint: EndpointOption = None,
) -> None:
    """Join a federation with an invitation; on AWS with a bucket and an account of one's own."""
    aws_keys = AwsKeyOptions(aws_access_key, aws_secret_key, aws_session_token)
    aws = AwsOptions(bucket, aws_region, aws_account, aws_endpoint, aws_keys)
    with client_of(ctx) as client:
        text = (sys.stdin.read() if invitation == "-" else invitation).strip()
        if _is_file(text):
            raise UsageError(f"{text} is a file: `symfed join - < {text}` reads the invitation in it")
        if password is None:
            if invitation == "-" or not is_terminal():
                raise UsageError("an invitation needs its password: set SYMFED_PASSWORD, or use --password")
            password = typer.prompt("Password", hide_input=True, err=True)
        keys = client.open_invitation(text, password)
        own: dict[str, JsonValue] = {"fed_local_type": "gpu" if gpu else "cpu"}
        if keys.get("aws_topic_arn"):
            own |= aws.settings(needs_account=True)
        elif bucket is not None:
            raise UsageError("--bucket: this federation is not on AWS")
        client.join(keys, own, pid=project, persist=not ephemeral)
    name = keys.get("fed_name")
    say(f"{project or name} has joined federation {name}")


def _is_file(text: str) -> bool:
    return len(text) <= _LONGEST_NAME and Path(text).is_file()


def _backend(
    ctx: typer.Context, nats: str | None, login: NatsLoginOptions, aws: AwsOptions
) -> dict[str, JsonValue]:
    """The keys of the backend that is meant: a bucket wins over addresses of the environment."""
    if aws.bucket is None:
        return {"nats_hosts": nats, **login.settings()}
    source = ctx.get_parameter_source("nats")
    if source is not None and source.name == "COMMANDLINE":
        raise UsageError("--nats and --bucket: a federation exchanges over NATS or over AWS")
    return aws.settings(needs_account=False)
