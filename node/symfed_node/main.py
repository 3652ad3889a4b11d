"""The node process: one project, its HTTP surface, its part in the exchange."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import uvicorn

from symfed_node.app import build_app
from symfed_node.errors import ConfigurationError
from symfed_node.exchange.aws import AwsExchange
from symfed_node.exchange.base import Backend
from symfed_node.exchange.condition import Exchanging
from symfed_node.exchange.keys import PeerKeys
from symfed_node.exchange.loop import Exchanger
from symfed_node.exchange.nats import NatsExchange
from symfed_node.exchange.rounds import Rounds
from symfed_node.exchange.store import ExchangeStore
from symfed_node.files import make_folder, write_atomically
from symfed_node.jobs import Jobs
from symfed_node.journal import Journal
from symfed_node.modelstore import ModelStore
from symfed_node.project import Project, epoch_milliseconds
from symfed_node.routes.base import Node
from symfed_node.settings import NodeSettings
from symfed_node.statistics.device import Device, choose_device
from symfed_node.status import Listener, OwnPeer, endlessly
from symfed_wire.errors import SymfedError
from symfed_wire.kube import Kube
from symfed_wire.kube_config import KubeConfig
from symfed_wire.node_config import Membership, NodeConfig

log = logging.getLogger(__name__)

_GRACE_SECONDS = 20


def main() -> None:
    """Run a node until it is told to stop."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    for chatty in ("httpx", "httpcore", "nats", "botocore", "boto3", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # uvicorn stops gracefully on SIGTERM, then lets the signal go on to whoever had it before.
    signal.signal(signal.SIGTERM, _end)
    try:
        settings = NodeSettings.read()
        logging.getLogger().setLevel(settings.log_level)
        with _only_one(settings.data):
            asyncio.run(serve(settings))
    except SymfedError as error:
        log.critical("the node cannot run: %s", error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(0)


async def serve(settings: NodeSettings) -> None:
    """Recover, open the port, exchange, report; returns when the server was told to stop."""
    config, token = settings.read_config(), settings.read_token()
    project = _recover(settings, choose_device(config.compute))
    _say_hello(settings, config, project)
    host, port = settings.host_and_port
    exchanger, report = None, _Report()
    if config.membership is not None:
        exchanger = _make_exchanger(settings, config, config.membership, project, report)
    kube_config = KubeConfig.find() if settings.kubernetes and exchanger is not None else None
    node = Node(config, token, project, Jobs(config.slot), exchanger, settings.max_body_bytes)
    server = uvicorn.Server(
        uvicorn.Config(
            build_app(node),
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )
    try:
        async with asyncio.TaskGroup() as group:
            tasks = []
            if exchanger is not None:
                tasks.append(group.create_task(exchanger.run()))
                if kube_config is not None:
                    tasks.append(group.create_task(_watch(kube_config, config, exchanger, report)))
            await server.serve()
            for task in tasks:
                task.cancel()
    finally:
        project.close()


class _Report:
    """Where the exchange reports to; the object that writes it down comes later, or never."""

    def __init__(self) -> None:
        self.own_peer: OwnPeer | None = None
        self.last: Exchanging | None = None

    def __call__(self, exchanging: Exchanging) -> None:
        if exchanging != self.last:
            log.info("Exchanging=%s %s %s", exchanging.is_so, exchanging.reason, exchanging.message)
        self.last = exchanging
        if self.own_peer is not None:
            self.own_peer.report(exchanging)


async def _watch(kube_config: KubeConfig, config: NodeConfig, listener: Listener, report: _Report) -> None:
    async def watch() -> None:
        async with Kube(kube_config) as kube:
            own_peer = OwnPeer(kube, config, listener)
            report.own_peer = own_peer
            if report.last is not None:
                own_peer.report(report.last)
            await own_peer.run()

    # Also when the client cannot even be made, as without the cluster's CA file.
    await endlessly("the API server", watch)


def _recover(settings: NodeSettings, device: Device) -> Project:
    folder = make_folder(settings.data)
    created = folder / "created"
    if not created.exists():
        write_atomically(created, str(epoch_milliseconds()).encode())
    journal = Journal(folder / "journal", checkpoint_bytes=settings.journal_checkpoint_bytes)
    return Project(journal, ModelStore(folder / "models"), created=int(created.read_text()), device=device)


def _make_exchanger(
    settings: NodeSettings, config: NodeConfig, membership: Membership, project: Project, report: _Report
) -> Exchanger:
    keys = PeerKeys(config.uuid, config.secrets)
    store = ExchangeStore(settings.data / "federations" / membership.federation)
    backend = _make_backend(settings, config, membership)
    rounds = Rounds(config.uuid, membership, keys, store, backend)
    project.set_federated(rounds.restore())
    return Exchanger(project, rounds, backend, poll_seconds=settings.poll_seconds, report=report)


def _make_backend(settings: NodeSettings, config: NodeConfig, membership: Membership) -> Backend:
    if membership.nats is not None:
        return NatsExchange(config.uuid, membership.nats, config.secrets, membership.nats_login)
    if membership.aws is not None and membership.aws_place is not None:
        return AwsExchange(config.uuid, membership.aws, membership.aws_place, settings.aws_credentials)
    raise ConfigurationError("the membership is of a backend that this node does not know")


def _say_hello(settings: NodeSettings, config: NodeConfig, project: Project) -> None:
    rows = project.local.rows if project.local else 0
    membership = config.membership
    where = f"federation {membership.federation}" if membership else "no federation"
    log.info(
        "node of project %s of customer %s, peer %s, %s; data in %s, %d rows recovered",
        config.project,
        config.customer,
        config.uuid,
        where,
        settings.data,
        rows,
    )
    log.info("computing with %s", project.device.name)


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Hold the data volume, since two nodes that write one journal would ruin it."""
    make_folder(folder)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigurationError(
                f"{folder} is in use by another node: it must be stopped first"
            ) from error
        yield


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(0)
