"""The command awsinfo."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from symfed_wire.cli.backends import AccessKeyOption, AwsKeyOptions, SecretKeyOption, SessionTokenOption
from symfed_wire.cli.connection import client_of
from symfed_wire.cli.errors import UsageError
from symfed_wire.cli.output import Output, OutputOption, escape, new_table, note, show, working
from symfed_wire.client.results import AwsInfo


def awsinfo(
    ctx: typer.Context,
    aws_region: Annotated[str | None, typer.Option(help="Only this region; else all of them.")] = None,
    aws_access_key: AccessKeyOption = None,
    aws_secret_key: SecretKeyOption = None,
    aws_session_token: SessionTokenOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the topics, their subscriptions and the queues of an AWS account; the gateway looks."""
    keys = AwsKeyOptions(aws_access_key, aws_secret_key, aws_session_token)
    if keys.missing:
        raise UsageError(f"awsinfo needs {', '.join(keys.missing)}")
    with client_of(ctx) as client, working("asking AWS"):
        found = client.aws_info(
            keys.access_key or "",
            keys.secret_key or "",
            session_token=keys.session_token,
            region=aws_region,
        )
    show(output, found, lambda: _table(found))
    for region, why in found.skipped.items():
        note(f"{region} is left out: {why}")


def _table(found: AwsInfo) -> Table:
    table = new_table("region", "kind", "name", "subscribed")
    for region, topics in found.topics.items():
        for arn, subscriptions in ((arn, subs) for topic in topics for arn, subs in topic.items()):
            subscribed = ", ".join(f"{sub.protocol} {sub.endpoint}" for sub in subscriptions)
            table.add_row(region, "topic", escape(arn), escape(subscribed))
    for region, urls in found.queues.items():
        for url in urls:
            table.add_row(region, "queue", escape(url), "")
    return table
