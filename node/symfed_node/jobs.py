"""Jobs of this node: work that answers 202 and is asked for later. They live as long as the process."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from pydantic import JsonValue

from symfed_node.errors import NoSuchJobError
from symfed_node.project import epoch_milliseconds
from symfed_wire.jobs import SEQUENCE_LIMIT, job_id

log = logging.getLogger(__name__)

KEPT_JOBS: Final = 1000
Values = dict[str, JsonValue]


class State(Enum):
    """Where a job stands."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass
class Job:
    """One job. `values` are its entities once it is done, `error` why it failed."""

    id: int
    type: str
    details: str
    started: int
    state: State = State.RUNNING
    values: Values = field(default_factory=dict)
    error: Exception | None = None

    def info(self, owner: str) -> Values:
        """`JobInfo` on the wire."""
        is_done = self.state is not State.RUNNING
        return {
            "jobId": self.id,
            "jobType": self.type,
            "owner": owner,
            "startingDate": self.started,
            "current": int(is_done),
            "maximum": 1,
            "isOnBoundedExecutor": True,
            "isStarted": True,
            "isDone": is_done,
            "details": self.details,
        }


class Jobs:
    """The jobs of one node, in the order of their ids."""

    def __init__(self, slot: int) -> None:
        self._slot = slot
        # A random start, so that an id from before a restart does not mean another job.
        self._next = secrets.randbelow(SEQUENCE_LIMIT // 2)
        self._jobs: dict[int, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, type_: str, details: str, work: Callable[[], Values]) -> Job:
        """Run `work` in a thread."""
        job = Job(job_id(self._slot, self._next), type_, details, epoch_milliseconds())
        self._next += 1
        self._forget_oldest()
        self._jobs[job.id] = job
        task = asyncio.create_task(self._run(job, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    def get(self, number: int) -> Job:
        """Raises NoSuchJobError."""
        if number not in self._jobs:
            raise NoSuchJobError
        return self._jobs[number]

    def all(self) -> list[Job]:
        """Every job that is kept."""
        return list(self._jobs.values())

    def delete(self, number: int) -> bool:
        """Forget a finished job; False for one that runs, which cannot be killed. Raises NoSuchJobError."""
        if self.get(number).state is State.RUNNING:
            return False
        del self._jobs[number]
        return True

    async def _run(self, job: Job, work: Callable[[], Values]) -> None:
        try:
            job.values = await asyncio.to_thread(work)
            job.state = State.DONE
        except Exception as error:  # noqa: BLE001 - it is answered when the job is asked for
            log.info("job %d (%s) failed: %s", job.id, job.type, error)
            job.error = error
            job.state = State.FAILED

    def _forget_oldest(self) -> None:
        finished = [job.id for job in self._jobs.values() if job.state is not State.RUNNING]
        for number in finished[: max(0, len(self._jobs) + 1 - KEPT_JOBS)]:
            del self._jobs[number]
