"""Jobs that the gateway does itself, as no node could: slot 0, a random number, a ConfigMap each."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from symfed_api.answers import cluster_failure
from symfed_api.caller import Caller
from symfed_api.errors import NoSuchJobError, NotReadyError
from symfed_api.job_records import JobRecord, JobState
from symfed_wire.errors import SymfedError
from symfed_wire.jobs import SEQUENCE_LIMIT, job_id
from symfed_wire.kube import CONFIG_MAPS, JsonObject, Kube
from symfed_wire.kube_errors import KubeError
from symfed_wire.names import JOB_LABEL, job_record
from symfed_wire.resources import ObjectMeta

_logger = logging.getLogger(__name__)

KEPT: Final = 20
JOB_SECONDS: Final = 60.0
_DEADLINE: Final = timedelta(seconds=JOB_SECONDS + 10)  # a while to write the result down
_FINISH_SECONDS: Final = 5.0


@dataclass(frozen=True)
class OwnJob:
    """A job of this number with its record and the ConfigMap that it came from."""

    number: int
    record: JobRecord
    config_map: JsonObject

    @property
    def uid(self) -> str:
        """The ConfigMap's."""
        return ObjectMeta.model_validate(self.config_map["metadata"]).uid


class OwnJobs:
    """The jobs of all customers; their records are in the customers' namespaces, not here."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._running: set[asyncio.Task[None]] = set()

    async def start(self, caller: Caller, kind: str, work: Callable[[], Awaitable[JsonObject]]) -> int:
        """Record a job, then begin it; its number. Raises NotReadyError while too many are running."""
        await self._make_room(caller.namespace)
        number, started = job_id(0, secrets.randbelow(SEQUENCE_LIMIT)), datetime.now(UTC)
        record = JobRecord(kind=kind, started=started, deadline=started + _DEADLINE)
        made = await self._kube.create(
            CONFIG_MAPS, caller.namespace, record.config_map(number, caller.namespace)
        )
        task = asyncio.create_task(self._run(caller, OwnJob(number, record, made), work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return number

    async def get(self, caller: Caller, number: int) -> OwnJob:
        """Raises NoSuchJobError."""
        found = await self._kube.find(CONFIG_MAPS, caller.namespace, job_record(number))
        job = _job(found) if found else None
        if job is None:
            raise NoSuchJobError
        return job

    async def all(self, namespace: str) -> list[OwnJob]:
        """All jobs of a customer that are kept, the oldest first."""
        found = await self._kube.list_all(CONFIG_MAPS, namespace, labels=f"{JOB_LABEL}=true")
        jobs = (job for item in found if (job := _job(item)) is not None)
        return sorted(jobs, key=lambda job: job.record.started)

    async def delete(self, caller: Caller, number: int) -> bool:
        """Forget a job; False for one that runs, which cannot be killed. Raises NoSuchJobError."""
        job = await self.get(caller, number)
        if job.record.state(datetime.now(UTC)) is JobState.RUNNING:
            return False
        await self._forget(caller.namespace, job)
        return True

    async def finish(self) -> None:
        """Let jobs come to their end for a moment; one that does not fails at its deadline."""
        if self._running:
            await asyncio.wait(self._running, timeout=_FINISH_SECONDS)
        for task in self._running:
            task.cancel()

    async def _run(self, caller: Caller, job: OwnJob, work: Callable[[], Awaitable[JsonObject]]) -> None:
        try:
            async with asyncio.timeout(JOB_SECONDS):
                values = await work()
            record = job.record.done(job.number, caller.secret_key, values)
        except TimeoutError:
            record = job.record.failed(f"The job took more than {JOB_SECONDS:.0f} s; ask for less at a time")
        except KubeError as error:
            _logger.warning("job %d: %s", job.number, error)
            record = job.record.failed(cluster_failure(error).text)
        except SymfedError as error:
            record = job.record.failed(str(error))
        except Exception:  # who asks for the job would wait for its deadline
            _logger.exception("job %d", job.number)
            record = job.record.failed("Internal error; the gateway's log says more")
        try:
            changed = job.config_map | {"data": record.data()}
            await self._kube.replace(CONFIG_MAPS, caller.namespace, job_record(job.number), changed)
        except KubeError as error:
            _logger.warning("job %d: its end is not recorded: %s", job.number, error)

    async def _make_room(self, namespace: str) -> None:
        jobs, now = await self.all(namespace), datetime.now(UTC)
        ended = [job for job in jobs if job.record.state(now) is not JobState.RUNNING]
        if len(jobs) - len(ended) >= KEPT:
            raise NotReadyError(f"{KEPT} jobs of this customer are running; wait until one has ended")
        for job in ended[: max(0, len(jobs) + 1 - KEPT)]:
            await self._forget(namespace, job)

    async def _forget(self, namespace: str, job: OwnJob) -> None:
        await self._kube.delete(CONFIG_MAPS, namespace, job_record(job.number), uid=job.uid)


def _job(config_map: JsonObject) -> OwnJob | None:
    """The job of a ConfigMap; None for one that a user wrote and that is no record."""
    name = ObjectMeta.model_validate(config_map["metadata"]).name
    number = name.removeprefix(job_record(0)[:-1])
    try:
        return OwnJob(int(number), JobRecord.model_validate(config_map.get("data")), config_map)
    except ValueError:
        return None
