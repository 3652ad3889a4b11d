"""Jobs that run on the server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from symfed_wire.client.results.base import Result


@dataclass(frozen=True)
class Job:
    """A job that runs on the server; `Client.wait` waits for its end."""

    number: int


class JobInfo(Result):
    """Where a job stands. `starting_date` is in milliseconds since 1970."""

    job_id: int
    job_type: str = ""
    owner: str = ""
    starting_date: int = 0
    current: int = 0
    maximum: int = 0
    is_started: bool = True
    is_done: bool = False
    details: str = ""

    @property
    def started(self) -> datetime:
        """When it started, UTC."""
        return datetime.fromtimestamp(self.starting_date / 1000, UTC)
