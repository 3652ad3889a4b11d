"""Calls about jobs."""

from __future__ import annotations

import time
from collections.abc import Mapping

import httpx
from pydantic import JsonValue

from symfed_wire.client.calls import Calls
from symfed_wire.client.http import Answer, DeadlineError
from symfed_wire.client.results import Job, JobInfo
from symfed_wire.client.results.base import parts

_JOB_PAUSE_SECONDS = (0.1, 2.0)


class JobCalls(Calls):
    """Jobs of all the customer's projects."""

    def jobs(self) -> list[JobInfo]:
        """The jobs that the servers still know."""
        values = self._send("GET", "/jobs").values
        return parts(values, "jobinfoList", JobInfo, "/jobs") if values else []

    def job(self, job: Job) -> Mapping[str, JsonValue] | None:
        """What a finished job holds, or None while it runs. Raises ApiError for one that failed."""
        answer = self._finished(job)
        return None if answer is None else answer.values

    def wait(self, job: Job, deadline: float = 300.0) -> Mapping[str, JsonValue]:
        """Wait for a job, at most `deadline` seconds. Raises DeadlineError; ApiError if it failed."""
        return self._wait(job, deadline).values

    def _finished(self, job: Job) -> Answer | None:
        """The answer about a finished job, to which what it holds sealed is bound; None while it runs."""
        answer = self._send("GET", f"/jobs/{job.number}")
        return None if answer.status == httpx.codes.ACCEPTED else answer

    def _wait(self, job: Job, deadline: float) -> Answer:
        end = time.monotonic() + deadline
        pause, longest = _JOB_PAUSE_SECONDS
        while (answer := self._finished(job)) is None:
            left = end - time.monotonic()
            if left <= 0:
                raise DeadlineError(f"job {job.number} still runs after {deadline:g} s; it was not stopped")
            time.sleep(min(pause, left))
            pause = min(2 * pause, longest)
        return answer

    def delete_job(self, job: Job) -> bool:
        """Delete a job; False for one that runs and cannot be stopped."""
        return self._send("DELETE", f"/jobs/{job.number}").status != httpx.codes.ACCEPTED
