"""Which replica works: the one that holds the Lease."""

import asyncio
import logging
import socket
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from http import HTTPStatus

from kubernetes.aio.client import ApiException
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord
from kubernetes.aio.leaderelection.resourcelock.baselock import BaseLock
from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from symfed_operator.cluster import MANAGER
from symfed_operator.settings import Settings
from symfed_wire.documents import WireModel
from symfed_wire.kube import JsonObject, Kube, Resource
from symfed_wire.kube_errors import ConflictError, KubeError, NotFoundError
from symfed_wire.resources import ObjectMeta

LEASES = Resource("apis/coordination.k8s.io/v1", "leases", "Lease")

_log = logging.getLogger(__name__)


class _LeaseSpec(WireModel):
    """Times are RFC 3339 with microseconds."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None


class _Lease(WireModel):
    metadata: ObjectMeta
    spec: _LeaseSpec = _LeaseSpec()


class LeaseLock(BaseLock):
    """A Lease for the library's election, by the operator's own client.

    The library's own lock does not work: creating fails in its validation (kubernetes 37.0.2, `pretty`
    must be a text), and a connection that breaks ends the election. Here failing is an answer, and
    each request has a deadline, or a hanging one would outlive the lease.
    """

    def __init__(self, kube: Kube, namespace: str, name: str, identity: str, timeout: float) -> None:
        super().__init__(name, namespace, identity)
        self._kube = kube
        self._timeout = timeout
        self._version = ""

    async def get(
        self, name: str, namespace: str
    ) -> tuple[bool, LeaderElectionRecord] | tuple[bool, Exception] | tuple[bool, None]:
        """The lease's record, or what the election takes for a missing or an unreadable one."""
        try:
            async with asyncio.timeout(self._timeout):
                lease = _Lease.model_validate(await self._kube.get(LEASES, namespace, name))
        except NotFoundError as error:
            return False, ApiException(
                status=HTTPStatus.NOT_FOUND, reason=str(error), body=f'{{"code": {HTTPStatus.NOT_FOUND}}}'
            )
        except (KubeError, TimeoutError) as error:
            return False, ApiException(status=0, reason=f"{type(error).__name__} {error}")
        self._version = lease.metadata.resource_version
        spec = lease.spec
        seconds = None if spec.lease_duration_seconds is None else str(spec.lease_duration_seconds)
        return True, LeaderElectionRecord(spec.holder_identity, seconds, spec.acquire_time, spec.renew_time)

    async def create(self, name: str, namespace: str, election_record: LeaderElectionRecord) -> bool:
        """Make the lease; False when somebody else did."""
        body: JsonObject = {"metadata": {"name": name}, "spec": _spec(election_record)}
        return await self._tried(self._kube.create(LEASES, namespace, body))

    async def update(self, name: str, namespace: str, updated_record: LeaderElectionRecord) -> bool:
        """Write the lease at the version that was read; False when somebody else did meanwhile."""
        metadata: JsonObject = {"name": name, "resourceVersion": self._version}
        body: JsonObject = {"metadata": metadata, "spec": _spec(updated_record)}
        return await self._tried(self._kube.replace(LEASES, namespace, name, body))

    async def release(self) -> None:
        """Give the lease back, so that the next leader need not wait until it runs out."""
        try:
            async with asyncio.timeout(self._timeout):
                await self._release()
        except (NotFoundError, ConflictError):
            return
        except (KubeError, TimeoutError) as error:
            _log.warning("the lease %s runs out by itself: %s %s", self.name, type(error).__name__, error)

    async def _release(self) -> None:
        lease = _Lease.model_validate(await self._kube.get(LEASES, self.namespace, self.name))
        if lease.spec.holder_identity == self.identity:
            version: JsonObject = {"resourceVersion": lease.metadata.resource_version}
            patch: JsonObject = {"metadata": version, "spec": {"holderIdentity": None}}
            await self._kube.patch(LEASES, self.namespace, self.name, patch, manager=MANAGER)

    async def _tried(self, request: Awaitable[JsonObject]) -> bool:
        try:
            async with asyncio.timeout(self._timeout):
                written = _Lease.model_validate(await request)
        except (KubeError, TimeoutError) as error:
            _log.warning("the lease %s was not written: %s %s", self.name, type(error).__name__, error)
            return False
        self._version = written.metadata.resource_version
        return True


def _spec(record: LeaderElectionRecord) -> JsonObject:
    spec = _LeaseSpec(
        holder_identity=record.holder_identity,
        lease_duration_seconds=int(record.lease_duration or 0),
        acquire_time=_micro_time(record.acquire_time),
        renew_time=_micro_time(record.renew_time),
    )
    return spec.model_dump(by_alias=True, exclude_none=True)


def _micro_time(text: str | None) -> str | None:
    """The library's local times, and those of a lease, as a lease has them."""
    if text is None:
        return None
    return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="microseconds")


async def lead(settings: Settings, kube: Kube, work: Callable[[], Awaitable[None]]) -> None:
    """Wait for the lease, then work until the work ends or the lease is lost; the lease is given back."""
    identity = f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
    retry = max(1.0, settings.lease_seconds / 7.5)
    lock = LeaseLock(kube, settings.namespace, settings.lease_name, identity, timeout=retry)
    started = asyncio.Event()
    election = asyncio.ensure_future(_election(settings, lock, retry, started).run())
    leading = asyncio.ensure_future(_work_when(started, work))
    try:
        await asyncio.wait({election, leading}, return_when=asyncio.FIRST_COMPLETED)
        if election.done():
            _log.error("the lease %s is lost: this replica ends", settings.lease_name)
    finally:
        await _stopped(election, leading)
        await lock.release()
    for task in (leading, election):
        if not task.cancelled():
            task.result()  # raises what ended it


def _election(settings: Settings, lock: LeaseLock, retry: float, started: asyncio.Event) -> LeaderElection:
    async def on_started() -> None:
        _log.info("%s leads", lock.identity)
        started.set()

    async def on_stopped() -> None:
        started.clear()

    deadline = settings.lease_seconds * 2 / 3
    return LeaderElection(Config(lock, settings.lease_seconds, deadline, retry, on_started, on_stopped))


async def _work_when(started: asyncio.Event, work: Callable[[], Awaitable[None]]) -> None:
    await started.wait()
    await work()


async def _stopped(*tasks: asyncio.Future[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
