"""The command jobs."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from symfed_wire.cli.connection import client_of
from symfed_wire.cli.errors import UsageError
from symfed_wire.cli.output import (
    Output,
    OutputOption,
    escape,
    fail,
    new_table,
    note,
    numbers,
    say,
    show,
    working,
)
from symfed_wire.client.results import Job, JobInfo


def jobs(
    ctx: typer.Context,
    wait: Annotated[int | None, typer.Option(metavar="JOB", help="Wait for a job instead.")] = None,
    delete: Annotated[int | None, typer.Option(metavar="JOB", help="Delete a job instead.")] = None,
    deadline: Annotated[float, typer.Option(min=0, help="With --wait: seconds to wait at most.")] = 300.0,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the jobs of all projects; a node keeps those since it started."""
    if wait is not None and delete is not None:
        raise UsageError("--wait and --delete are not possible at once")
    with client_of(ctx) as client:
        if wait is not None:
            with working(f"waiting for job {wait}"):
                client.wait(Job(wait), deadline)
            say(f"job {wait} is finished")
            return
        if delete is not None:
            if not client.delete_job(Job(delete)):
                fail(
                    f"job {delete} runs and cannot be stopped; wait for it with `symfed jobs --wait {delete}`"
                )
            say(f"deleted job {delete}")
            return
        found = client.jobs()
    show(output, [job.model_dump(mode="json") for job in found], lambda: _jobs_table(found))
    if not found:
        note("there are no jobs")


def _jobs_table(found: list[JobInfo]) -> Table:
    table = new_table(*numbers("job"), "type", "details", "started", *numbers("progress"), "state")
    for job in found:
        table.add_row(
            str(job.job_id),
            escape(job.job_type),
            escape(job.details),
            f"{job.started:%Y-%m-%d %H:%M:%S}Z",
            f"{job.current}/{job.maximum}" if job.maximum else "",
            "finished" if job.is_done else "running" if job.is_started else "waiting",
        )
    return table
