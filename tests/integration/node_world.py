"""A federation of three peers on a real NATS, with real node processes, for the nodes' tests."""

import base64
import os
import secrets
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sklearn.datasets import load_iris

from symfed_operator.backends.base import WantedMember
from symfed_operator.backends.nats.keys import new_member_seeds, new_user_seed, public_key
from symfed_wire.documents import (
    FEDERATION_CONTEXT,
    AwsAddress,
    FederationDocument,
    FederationSettings,
    Member,
    NatsAddress,
    Signed,
    sign_document,
)
from symfed_wire.frames import Cell, DataFrame, ExploreContext, MLContext
from symfed_wire.join import NatsGrant, NatsUserKeys
from symfed_wire.node_config import Membership, NodeConfig, PeerSecrets
from tests.integration.external_nats import Way
from tests.integration.nats_operators import STREAM_MAX_BYTES, NatsOperator, managed_nats, shared_nats
from tests.integration.servers import NatsServer, ServerError, free_port, wait_until

ISSUED = datetime(2026, 1, 2, tzinfo=UTC)
NODE_PROGRAM = Path(sys.executable).parent / "symfed-node"
NAMES = ("sepal_length", "sepal_width", "petal_length", "petal_width")
ROWS: list[list[float]] = load_iris().data.tolist()
PARTS = (slice(0, 60), slice(60, 110), slice(110, 150))  # unequal, and with different mixes of the species
SECONDS = 30.0


@dataclass(frozen=True)
class PeerIdentity:
    """A peer's own secrets."""

    name: str
    uuid: str
    seeds: PeerSecrets = field(repr=False)

    @property
    def managed(self) -> WantedMember:
        """The member as the operator's backend is told it; its seeds are new."""
        writer, reader = public_key(self.seeds.nats_writer_seed), public_key(self.seeds.nats_reader_seed)
        return WantedMember(self.uuid, new_member_seeds(), ISSUED, NatsUserKeys(writer=writer, reader=reader))

    def member(self, address: NatsAddress | AwsAddress) -> Member:
        """The member as the document lists it."""
        identity = Ed25519PrivateKey.from_private_bytes(base64.b64decode(self.seeds.identity_seed))
        sealing = X25519PrivateKey.from_private_bytes(base64.b64decode(self.seeds.sealing_seed))
        return Member(
            uuid=self.uuid,
            name=self.name,
            identity_key=to_text(identity.public_key().public_bytes_raw()),
            sealing_key=to_text(sealing.public_key().public_bytes_raw()),
            nats=address if isinstance(address, NatsAddress) else None,
            aws=address if isinstance(address, AwsAddress) else None,
        )

    def config(self, slot: int, membership: Membership) -> NodeConfig:
        """What its operator tells its node."""
        return NodeConfig(
            customer="c1",
            project=self.name,
            namespace="c1",
            name=self.name,
            object_uid=str(uuid.uuid4()),
            slot=slot,
            uuid=self.uuid,
            secrets=self.seeds,
            membership=membership,
        )


def new_identity(name: str) -> PeerIdentity:
    seeds = PeerSecrets(
        identity_seed=to_text(secrets.token_bytes(32)),
        sealing_seed=to_text(secrets.token_bytes(32)),
        nats_writer_seed=new_user_seed(),
        nats_reader_seed=new_user_seed(),
    )
    return PeerIdentity(name, str(uuid.uuid4()), seeds)


def to_text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


class NodeProcess:
    """One `symfed-node`, which can be killed and started again on its volume."""

    def __init__(
        self,
        config: NodeConfig,
        folder: Path,
        poll_seconds: int,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir()
        self._poll_seconds = str(poll_seconds)
        self._environment = environment or {}
        self.config = config
        self.log = folder / "node.log"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "node.json").write_text(config.model_dump_json(by_alias=True))
        (folder / "token").write_text("the token\n")
        self._port = free_port()
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{self._port}",
            headers={"Authorization": "Bearer the token"},
            trust_env=False,
            timeout=SECONDS,
        )

    def start(self) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "SYMFED_NODE_CONFIG": str(self._folder / "node.json"),
            "SYMFED_NODE_TOKEN": str(self._folder / "token"),
            "SYMFED_DATA": str(self._folder / "data"),
            "SYMFED_LISTEN": f"127.0.0.1:{self._port}",
            "SYMFED_KUBERNETES": "false",
            "SYMFED_POLL_SECONDS": self._poll_seconds,
            "OPENBLAS_NUM_THREADS": "1",
            **self._environment,
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [NODE_PROGRAM], env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        wait_until(self._is_ready, f"the node is not ready; its log: {self.log.read_text()}", SECONDS)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        code = self._process.wait(SECONDS)
        self._process = None
        return code

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise ServerError(f"the node ended:\n{self.log.read_text()}")
        try:
            return httpx.get(f"{self.http.base_url}/readyz", trust_env=False).is_success
        except httpx.TransportError:
            return False

    def close(self) -> None:
        self.http.close()
        if self._process is not None:
            self.kill()

    def learn(self, rows: Sequence[Sequence[float]], request: str = "") -> dict[str, Any]:
        frame = DataFrame(NAMES, ("C",) * len(NAMES), rows)
        headers = {"sym-request-id": request} if request else {}
        answer = self.http.post(self.path("learn"), json=frame.to_json(), headers=headers)
        assert answer.is_success, answer.text
        values: dict[str, Any] = answer.json()["values"]
        return values

    def forget(self, rows: Sequence[Sequence[float]], request: str = "") -> httpx.Response:
        frame = DataFrame(NAMES, ("C",) * len(NAMES), rows)
        headers = {"sym-request-id": request} if request else {}
        return self.http.post(self.path("forget"), json=frame.to_json(), headers=headers)

    def explore(self, metric: str, *contexts: MLContext, local: bool = False) -> httpx.Response:
        path = f"{self.path('explore')}?metric={metric}&returnProjectInfo=false&useLocal={str(local).lower()}"
        return self.http.post(path, json=ExploreContext(contexts).to_json())

    def ask(self) -> None:
        self.http.get(f"/fedml/{self.config.project}/fullSyncRequest").raise_for_status()

    def stats(self) -> dict[str, Any]:
        answer = self.http.get(f"/fedml/{self.config.project}/syncStats").raise_for_status()
        stats: dict[str, Any] = answer.json()["values"]["fedSyncStats"]
        return stats

    def merged(self) -> dict[str, Any]:
        found: dict[str, Any] = self.stats()["merged"]
        return found

    def build(self, *, use_local: bool = False) -> dict[str, Any]:
        """Petal width from the other three; the model's description."""
        context = MLContext(targets=("3",), input_attributes=("0", "1", "2"))
        local = f"useLocal={str(use_local).lower()}"
        answer = self.http.post(f"{self.path('build')}?algo=mlr&modelid=m&{local}", json=context.to_json())
        assert answer.status_code == 202, answer.text
        assert answer.headers["location"] == f"/jobs/{answer.headers['sym-job-id']}"
        job = answer.headers["location"]
        wait_until(lambda: self.http.get(job).status_code == 200, f"job {job} is not done", SECONDS)
        model = self.http.get(f"{self.path('models/m')}?{local}").raise_for_status()
        info: dict[str, Any] = model.json()["values"]["modelInfo"]
        return info

    def predict(self, rows: Sequence[Sequence[Cell]]) -> list[str]:
        """The answers of the model that `build` built, as they travel."""
        frame = DataFrame(NAMES, ("C",) * len(NAMES), rows)
        answer = self.http.post(f"{self.path('predict/m')}?impute=true", json=frame.to_json())
        assert answer.is_success, answer.text
        return [row["res"] for row in answer.json()["values"]["KSVSMap"]["values"]]

    def path(self, rest: str) -> str:
        return f"/projects/{self.config.project}/{rest}"


@dataclass
class World:
    """A federation of peers on its own NATS, and what its operator would do."""

    folder: Path
    server: NatsServer
    operator: NatsOperator
    peers: tuple[PeerIdentity, ...]
    grants: dict[str, NatsGrant]
    key: Ed25519PrivateKey
    document: FederationDocument
    poll_seconds: int = 120

    @property
    def signed(self) -> Signed:
        return sign_document(self.document, FEDERATION_CONTEXT, self.key)

    async def publish(self, document: FederationDocument) -> None:
        self.document = document
        await self.operator.publish(self.signed)

    async def lose_the_store(self) -> None:
        """NATS comes back with an empty disk, and the operator makes all again."""
        await self.operator.close()
        self.server.stop()
        shutil.rmtree(self.folder / "nats-data")
        self.server.start()
        self.grants = await self.operator.apply()
        await self.publish(self.document)

    def member(self, number: int) -> Member:
        """A peer as the document lists it."""
        return next(m for m in self.document.members if m.uuid == self.peers[number].uuid)

    def node(self, number: int, folder: str = "") -> NodeProcess:
        peer = self.peers[number]
        membership = Membership(
            federation=self.operator.uid,
            admin=number == 0,
            document_key=to_text(self.key.public_key().public_bytes_raw()),
            document=self.signed,
            nats=self.grants[peer.uuid],
            nats_login=self.operator.login,
        )
        return NodeProcess(
            peer.config(number + 1, membership), self.folder / (folder or peer.name), self.poll_seconds
        )

    @contextmanager
    def running(self, *numbers: int) -> Iterator[list[NodeProcess]]:
        """These peers' nodes, started; they end with the block."""
        with ExitStack() as stack:
            nodes = [self.node(number) for number in numbers]
            for node in nodes:
                stack.callback(node.close)
                node.start()
            yield nodes


@asynccontextmanager
async def new_world(folder: Path, way: Way | None = None) -> AsyncIterator[World]:
    """Three members with streams and a published document, on a NATS server of their own.

    With `way` it is a NATS that somebody else runs, to which all log in that way.
    """
    peers = tuple(new_identity(name) for name in ("admin", "second", "third"))
    managed = [peer.managed for peer in peers]
    server, operator = managed_nats(folder, managed) if way is None else shared_nats(folder, managed, way)
    members = [peer.member(operator.address_of(peer.uuid)) for peer in peers]
    document = FederationDocument(
        federation=operator.uid,
        name="iris",
        version=1,
        issued="2026-01-02T00:00:00Z",
        settings=FederationSettings(
            schedule="d1", request_timeout_seconds=5, stream_max_bytes=STREAM_MAX_BYTES
        ),
        members=(members[0].model_copy(update={"admin": True}), *members[1:]),
    )
    with server:
        try:
            grants = await operator.apply()
            world = World(folder, server, operator, peers, grants, Ed25519PrivateKey.generate(), document)
            await world.publish(document)
            yield world
        finally:
            await operator.close()
