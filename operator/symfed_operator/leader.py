"""Which replica works: the one that holds the Lease."""

import asyncio
import logging
import os
import socket
import uuid
from collections.abc import Awaitable, Callable

import aiohttp
from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.client import ApiClient, ApiException, Configuration
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock
from pydantic import JsonValue

from symfed_operator.cluster import MANAGER
from symfed_operator.settings import Settings
from symfed_wire.kube import ConflictError, Kube, KubeError, NotFoundError, Resource

LEASES = Resource("apis/coordination.k8s.io/v1", "leases", "Lease")

_log = logging.getLogger(__name__)


class _PatientLock(LeaseLock):
    """A lease whose server may be away for a moment: each request has a deadline, and failing is an answer.

    The library's own lock lets connection errors end the election, and waits for an answer for minutes.
    """

    def __init__(
        self, name: str, namespace: str, identity: str, api_client: ApiClient, timeout: float
    ) -> None:
        super().__init__(name, namespace, identity, api_client)
        self._timeout = timeout

    async def get(
        self, name: str, namespace: str
    ) -> tuple[bool, LeaderElectionRecord] | tuple[bool, Exception] | tuple[bool, None]:
        try:
            async with asyncio.timeout(self._timeout):
                return await super().get(name, namespace)
        except (aiohttp.ClientError, TimeoutError) as error:
            return False, ApiException(status=0, reason=f"{type(error).__name__} {error}")

    async def create(self, name: str, namespace: str, election_record: LeaderElectionRecord) -> bool:
        return await self._tried(super().create(name, namespace, election_record))

    async def update(self, name: str, namespace: str, updated_record: LeaderElectionRecord) -> bool:
        return await self._tried(super().update(name, namespace, updated_record))

    async def _tried(self, request: Awaitable[bool]) -> bool:
        try:
            async with asyncio.timeout(self._timeout):
                return await request
        except (aiohttp.ClientError, TimeoutError) as error:
            _log.warning("the lease cannot be written: %s %s", type(error).__name__, error)
            return False


async def lead(settings: Settings, kube: Kube, work: Callable[[], Awaitable[None]]) -> None:
    """Wait for the lease, then work until the work ends or the lease is lost; the lease is given back."""
    identity = f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
    started = asyncio.Event()
    async with ApiClient(configuration=await _configuration()) as client:
        election = asyncio.ensure_future(_election(settings, client, identity, started).run())
        leading = asyncio.ensure_future(_work_when(started, work))
        try:
            await asyncio.wait({election, leading}, return_when=asyncio.FIRST_COMPLETED)
            if election.done():
                _log.error("the lease %s is lost: this replica ends", settings.lease_name)
        finally:
            await _stopped(election, leading)
            await _release(settings, kube, identity)
    for task in (leading, election):
        if not task.cancelled():
            task.result()  # raises what ended it


def _election(settings: Settings, client: ApiClient, identity: str, started: asyncio.Event) -> LeaderElection:
    async def on_started() -> None:
        _log.info("%s leads", identity)
        started.set()

    async def on_stopped() -> None:
        started.clear()

    retry = max(1.0, settings.lease_seconds / 7.5)
    lock = _PatientLock(settings.lease_name, settings.namespace, identity, client, timeout=retry)
    deadline = settings.lease_seconds * 2 / 3
    return LeaderElection(Config(lock, settings.lease_seconds, deadline, retry, on_started, on_stopped))


async def _work_when(started: asyncio.Event, work: Callable[[], Awaitable[None]]) -> None:
    await started.wait()
    await work()


async def _stopped(*tasks: asyncio.Future[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _release(settings: Settings, kube: Kube, identity: str) -> None:
    """Give the lease back, so that the next leader need not wait until it runs out."""
    try:
        lease = await kube.get(LEASES, settings.namespace, settings.lease_name)
        spec, metadata = lease["spec"], lease["metadata"]
        if not isinstance(spec, dict) or not isinstance(metadata, dict):
            raise KubeError(f"Lease {settings.lease_name} has no spec; delete it")
        if spec.get("holderIdentity") == identity:
            version: JsonValue = metadata.get("resourceVersion")
            patch: dict[str, JsonValue] = {
                "metadata": {"resourceVersion": version},
                "spec": {"holderIdentity": None},
            }
            await kube.patch(LEASES, settings.namespace, settings.lease_name, patch, manager=MANAGER)
    except (NotFoundError, ConflictError):
        return
    except KubeError as error:
        _log.warning("the lease %s runs out by itself: %s", settings.lease_name, error)


async def _configuration() -> Configuration:
    """The same credentials as `KubeConfig.find`, in the form that the election needs."""
    configuration = Configuration()
    if os.environ.get("KUBECONFIG"):
        await kubernetes_config.load_kube_config(  # type: ignore[no-untyped-call]  # has no types
            client_configuration=configuration
        )
    else:
        kubernetes_config.load_incluster_config(  # type: ignore[no-untyped-call]  # has no types
            client_configuration=configuration
        )
    return configuration
