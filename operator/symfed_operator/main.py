"""The operator's command: `run` (the default), `bootstrap-nats` and `free-federation`."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
import typer
from pydantic import ValidationError

from symfed_operator.backends.absent import WHAT_TO_DO, AbsentBackend
from symfed_operator.backends.base import Backend, NotSupportedError
from symfed_operator.backends.choice import Backends
from symfed_operator.backends.nats.backend import NatsBackend, NatsSettings
from symfed_operator.bootstrap import bootstrap_from_environment
from symfed_operator.calls import Calls
from symfed_operator.context import Context
from symfed_operator.events import watch
from symfed_operator.health import serve_health
from symfed_operator.leader import lead
from symfed_operator.queue import WorkQueue
from symfed_operator.records import Records
from symfed_operator.retention import free_retained
from symfed_operator.settings import Settings
from symfed_operator.tasks import end
from symfed_operator.workers import work
from symfed_wire.documents import describe_faults
from symfed_wire.errors import SymfedError
from symfed_wire.kube import Kube
from symfed_wire.kube_config import KubeConfig

# Typer's own tracebacks show local variables, and those hold secrets.
app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Turns Federations and FederationPeers into what they describe.",
)

_LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"

_log = logging.getLogger(__name__)


@app.callback(invoke_without_command=True)
def default(context: typer.Context) -> None:
    """Without a command: run."""
    if context.invoked_subcommand is None:
        run()


@app.command()
def run() -> None:
    """Reconcile until a signal comes, or the lease is lost."""
    settings = _settings()
    _log_to_stderr(settings.log_level)
    asyncio.run(_run(settings))


@app.command("bootstrap-nats")
def bootstrap_nats() -> None:
    """Make the embedded NATS system's keys and configuration, once."""
    _log_to_stderr("INFO")
    try:
        asyncio.run(bootstrap_from_environment())
    except SymfedError as error:
        raise SystemExit(f"bootstrap-nats: {error}") from None


@app.command("free-federation")
def free_federation(
    uid: Annotated[
        str,
        typer.Argument(help="The Federation's uid: what follows `fed-` in the name of its retained Secret."),
    ],
) -> None:
    """Free what was retained of a deleted Federation: snapshots, accounts, keys."""
    _log_to_stderr("INFO")
    try:
        asyncio.run(_free_federation(_settings(), uid))
    except SymfedError as error:
        raise SystemExit(f"free-federation: {error}") from None


def main() -> None:
    """Entry point of the console script."""
    app()


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        raise SystemExit(f"settings (environment variables SYMFED_…): {describe_faults(error)}") from None


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(level=level, format=_LOG_FORMAT)
    # A line for each request, and of boto3 what signs it too.
    for name in ("httpx", "httpcore", "kubernetes.aio.leaderelection", "boto3", "botocore", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("boto3", "botocore", "urllib3"):  # at DEBUG each request's headers: a session token is one
        logging.getLogger(name).setLevel(logging.WARNING)


async def _free_federation(settings: Settings, uid: str) -> None:
    backend = managed_backend(settings)
    if isinstance(backend, AbsentBackend):
        raise NotSupportedError(f"nothing is freed: {WHAT_TO_DO}")
    try:
        async with Kube(KubeConfig.find()) as kube:
            await free_retained(kube, backend, Records(kube, settings.namespace), uid)
    finally:
        await backend.close()


async def _run(settings: Settings) -> None:
    queue = WorkQueue(at_once=max(1, settings.workers // 2))
    running = asyncio.ensure_future(_serve(settings, queue, lambda: _end_by_signal(running)))
    _end_by_signal(running)
    try:
        await running
    except asyncio.CancelledError:
        _log.info("stopped by a signal")


def _end_by_signal(task: asyncio.Future[None]) -> None:
    """Cancel the task on SIGTERM and SIGINT."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)


async def _serve(settings: Settings, queue: WorkQueue, handle_signals: Callable[[], None]) -> None:
    async with (
        serve_health(settings.health_listen, lambda: queue.running_longer_than(settings.stuck_seconds)),
        Kube(KubeConfig.find()) as kube,
    ):
        await lead(settings, kube, lambda: _operate(settings, kube, queue, handle_signals))


async def _operate(
    settings: Settings, kube: Kube, queue: WorkQueue, handle_signals: Callable[[], None]
) -> None:
    """What the leader does: kopf watches, the workers reconcile. Ends when any of them ends."""
    async with _reconciling(settings, kube, queue) as context:
        workers = [asyncio.create_task(work(context, queue)) for _ in range(settings.workers)]
        watching = asyncio.create_task(watch(queue.add, handle_signals))
        try:
            done, _ = await asyncio.wait({watching, *workers}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await end({watching, *workers})


@asynccontextmanager
async def _reconciling(settings: Settings, kube: Kube, queue: WorkQueue) -> AsyncIterator[Context]:
    """Everything that reconciles work with, closed in the end."""
    backends = Backends(kube, managed_backend(settings))
    calls = Calls(queue.add)
    # No limit in all: `Calls` gives each namespace its own.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(trust_env=False, limits=limits) as http:
        try:
            yield Context(
                settings=settings,
                kube=kube,
                backends=backends,
                records=Records(kube, settings.namespace),
                queue=queue,
                calls=calls,
                http=http,
            )
        finally:
            await calls.close()
            await backends.close()


def managed_backend(settings: Settings) -> Backend:
    """NATS with the keys in the two files; without any of them the backend that says what is missing.

    The files are optional, as Secrets in a pod may be: plain projects and invited peers need no NATS here.
    """
    files = (settings.nats_operator_file, settings.nats_system_creds)
    missing = [str(file) for file in files if not file.exists()]
    if missing:
        _log.warning("no federation can be served: %s not there", " and ".join(missing))
        return AbsentBackend()
    return NatsBackend(
        NatsSettings(
            internal_hosts=settings.nats_internal_hosts,
            advertised_hosts=settings.nats_advertised_hosts,
            operator_signing_seed=settings.nats_operator_file.read_text().strip(),
            system_creds=settings.nats_system_creds.read_text(),
        )
    )
