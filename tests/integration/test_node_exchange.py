"""Nodes as real processes on a real NATS: they learn, exchange, merge, crash and come back."""

import base64
import os
import secrets
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import statsmodels.api as sm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sklearn.datasets import load_iris

from symfed_operator.backends.base import ManagedFederation, ManagedMember
from symfed_operator.backends.nats.backend import NatsBackend, NatsSettings, address_of
from symfed_operator.backends.nats.keys import (
    OPERATOR,
    new_federation_seeds,
    new_member_seeds,
    new_seed,
    new_user_seed,
    public_key,
)
from symfed_operator.bootstrap import NatsServerSettings, identity_from, nats_conf
from symfed_wire.documents import (
    FEDERATION_CONTEXT,
    FederationDocument,
    FederationSettings,
    KeyGeneration,
    Member,
    Signed,
    sign_document,
)
from symfed_wire.frames import DataFrame, MLContext
from symfed_wire.join import NatsGrant
from symfed_wire.node_config import Membership, NodeConfig, PeerSecrets
from symfed_wire.sealing import seal_to
from tests.integration.servers import NatsServer, Process, ServerError, free_port, wait_until

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
    def managed(self) -> ManagedMember:
        """The member as the operator's backend is told it; its seeds are new."""
        writer, reader = public_key(self.seeds.nats_writer_seed), public_key(self.seeds.nats_reader_seed)
        return ManagedMember(self.uuid, new_member_seeds(), writer, reader, ISSUED)

    @property
    def member(self) -> Member:
        """The member as the document lists it."""
        identity = Ed25519PrivateKey.from_private_bytes(base64.b64decode(self.seeds.identity_seed))
        sealing = X25519PrivateKey.from_private_bytes(base64.b64decode(self.seeds.sealing_seed))
        return Member(
            uuid=self.uuid,
            name=self.name,
            identity_key=_text(identity.public_key().public_bytes_raw()),
            sealing_key=_text(sealing.public_key().public_bytes_raw()),
            nats=address_of(self.uuid),
        )


def new_identity(name: str) -> PeerIdentity:
    seeds = PeerSecrets(
        identity_seed=_text(secrets.token_bytes(32)),
        sealing_seed=_text(secrets.token_bytes(32)),
        nats_writer_seed=new_user_seed(),
        nats_reader_seed=new_user_seed(),
    )
    return PeerIdentity(name, str(uuid.uuid4()), seeds)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


class NodeProcess:
    """One `symfed-node`, which can be killed and started again on its volume."""

    def __init__(self, config: NodeConfig, folder: Path) -> None:
        folder.mkdir()
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
            "OPENBLAS_NUM_THREADS": "1",
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

    def path(self, rest: str) -> str:
        return f"/projects/{self.config.project}/{rest}"


@dataclass
class World:
    """A federation of peers on its own NATS, and what its operator would do."""

    folder: Path
    server: NatsServer
    backend: NatsBackend
    managed: ManagedFederation
    peers: tuple[PeerIdentity, ...]
    grants: dict[str, NatsGrant]
    key: Ed25519PrivateKey
    document: FederationDocument

    @property
    def signed(self) -> Signed:
        return sign_document(self.document, FEDERATION_CONTEXT, self.key)

    async def publish(self, document: FederationDocument) -> None:
        self.document = document
        await self.backend.publish_document(self.managed, self.signed)

    def node(self, number: int, folder: str = "") -> NodeProcess:
        peer = self.peers[number]
        membership = Membership(
            federation=self.managed.uid,
            admin=number == 0,
            document_key=_text(self.key.public_key().public_bytes_raw()),
            document=self.signed,
            nats=self.grants[peer.uuid],
        )
        config = NodeConfig(
            customer="c1",
            project=peer.name,
            namespace="c1",
            name=peer.name,
            object_uid=str(uuid.uuid4()),
            slot=number + 1,
            uuid=peer.uuid,
            secrets=peer.seeds,
            membership=membership,
        )
        return NodeProcess(config, self.folder / (folder or peer.name))

    @contextmanager
    def running(self, *numbers: int) -> Iterator[list[NodeProcess]]:
        """These peers' nodes, started; they end with the block."""
        with ExitStack() as stack:
            nodes = [self.node(number) for number in numbers]
            for node in nodes:
                stack.callback(node.close)
                node.start()
            yield nodes


@pytest.fixture
async def world(programs: None, tmp_path: Path) -> AsyncIterator[World]:
    """Three members with accounts, streams and a published document."""
    identity = identity_from(new_seed(OPERATOR), ISSUED)
    config = tmp_path / "nats.conf"
    config.write_text(
        nats_conf(
            identity, NatsServerSettings(nats_data=str(tmp_path / "nats-data"), nats_max_file_store="1Gi")
        )
    )
    server = NatsServer(config, tmp_path / "nats")
    monitoring = server.monitoring_url.rpartition(":")[2]
    listen = ["--addr", "127.0.0.1", "--port", str(server.port), "--http_port", monitoring]
    server.process = Process("nats-server", ["--config", str(config), *listen], server.process.log)
    peers = tuple(new_identity(name) for name in ("admin", "second", "third"))
    managed = ManagedFederation(
        uid=str(uuid.uuid4()),
        name="iris",
        seeds=new_federation_seeds(),
        stream_max_bytes=16 << 20,
        members=tuple(peer.managed for peer in peers),
    )
    members = [peer.member for peer in peers]
    document = FederationDocument(
        federation=managed.uid,
        name="iris",
        version=1,
        issued="2026-01-02T00:00:00Z",
        settings=FederationSettings(schedule="d1", request_timeout_seconds=5, stream_max_bytes=16 << 20),
        members=(members[0].model_copy(update={"admin": True}), *members[1:]),
    )
    with server:
        backend = NatsBackend(
            NatsSettings(
                internal_hosts=(server.url,),
                advertised_hosts=(server.url,),
                operator_signing_seed=identity.operator_signing_seed,
                system_creds=identity.system_creds,
            )
        )
        try:
            grants = await backend.apply(managed)
            key = Ed25519PrivateKey.generate()
            world = World(tmp_path, server, backend, managed, peers, grants, key, document)
            await world.publish(document)
            yield world
        finally:
            await backend.close()


def _is_longer(numbers: list[int], length: int) -> bool:
    return len(numbers) > length


def learn_parts(nodes: Sequence[NodeProcess]) -> None:
    for node, part in zip(nodes, PARTS, strict=True):
        assert node.learn(ROWS[part]) == {"learned": len(ROWS[part]), "skipped": 0}


def _has_merged(node: NodeProcess, rows: int) -> bool:
    return bool(node.merged()["rows"] == rows)


def wait_for_rows(nodes: Sequence[NodeProcess], rows: int) -> str:
    """Waits until all have merged that many rows; the one digest that they must agree on."""
    for node in nodes:
        try:
            wait_until(partial(_has_merged, node, rows), f"{rows} rows are not merged", SECONDS)
        except ServerError as error:
            raise ServerError(f"{error}: {node.stats()}\n{node.log.read_text()}") from None
    digests = {str(node.merged()["digest"]) for node in nodes}
    assert len(digests) == 1, digests
    return digests.pop()


async def test_three_nodes_build_the_model_of_the_pooled_rows(world: World) -> None:
    with world.running(0, 1, 2) as nodes:
        learn_parts(nodes)
        assert [node.merged()["epoch"] for node in nodes] == [0, 0, 0]
        nodes[0].ask()
        digest = wait_for_rows(nodes, 150)
        assert nodes[1].merged()["epoch"] == nodes[2].merged()["epoch"] >= 3
        models = [node.build() for node in nodes]
        local = nodes[0].build(use_local=True)

    assert any(b"symfed.snapshot" in path.read_bytes() for path in stored_messages(world))
    tables = [model["extra"]["coefficients"]["data"] for model in models]
    assert tables[0] == tables[1] == tables[2]
    assert local["extra"]["coefficients"]["data"] != tables[0]
    assert all(model["info"]["digest"] == digest for model in models)
    assert models[0]["info"]["peers"].keys() == {peer.uuid for peer in world.peers}
    data = np.array(ROWS)
    pooled = sm.OLS(data[:, 3], sm.add_constant(data[:, :3])).fit()
    expected = np.column_stack(
        [pooled.params, pooled.bse, pooled.tvalues, pooled.pvalues, pooled.conf_int(0.05)]
    )
    found = np.array([row[1:] for row in tables[0]], dtype=float)
    np.testing.assert_allclose(found[:, :3], expected[:, :3], rtol=1e-10)
    np.testing.assert_allclose(found[:, 4:], expected[:, 4:], rtol=1e-10)
    np.testing.assert_allclose(found[:, 3], expected[:, 3], rtol=1e-8)
    assert models[0]["info"]["rSquared"] == pytest.approx(pooled.rsquared, rel=1e-12)


async def test_what_was_answered_survives_kill_9(world: World) -> None:
    """One thread learns row after row; the node is killed in the middle of it, again and again."""
    with world.running(0) as [node]:
        acknowledged: list[int] = []
        todo = iter(range(120))

        def learn_until_dead() -> None:
            for number in todo:
                try:
                    node.learn([ROWS[number]], request=f"row {number}")
                except httpx.TransportError:
                    unsure.append(number)
                    return
                acknowledged.append(number)

        unsure: list[int] = []
        for _ in range(3):
            enough = len(acknowledged) + 10
            thread = threading.Thread(target=learn_until_dead)
            thread.start()
            wait_until(partial(_is_longer, acknowledged, enough), "it does not learn", SECONDS)
            node.kill()
            thread.join(SECONDS)
            node.start()
            for number in unsure:  # a client repeats what it has no answer for, under the same id
                node.learn([ROWS[number]], request=f"row {number}")
            acknowledged.extend(unsure)
            unsure.clear()
            info = node.http.get(f"{node.path('info')}?useLocal=true").json()["values"]["smlInfo"]
            assert info["params"]["rows"] == len(acknowledged)
        learn_until_dead()
        model = node.build(use_local=True)
    data = np.array(ROWS[:120])
    pooled = sm.OLS(data[:, 3], sm.add_constant(data[:, :3])).fit()
    found = [row[1] for row in model["extra"]["coefficients"]["data"]]
    np.testing.assert_allclose(found, pooled.params, rtol=1e-9)


async def test_a_restart_keeps_the_sum_and_goes_on_at_a_higher_epoch(world: World) -> None:
    with world.running(0, 1, 2) as nodes:
        learn_parts(nodes)
        nodes[0].ask()
        digest = wait_for_rows(nodes, 150)
        second = world.peers[1].uuid
        epoch = nodes[0].stats()["peers"][second]["epoch"]
        model = nodes[1].build()
        assert nodes[1].stop() == 0
        nodes[1].start()
        assert nodes[1].merged()["digest"] == digest
        assert nodes[1].http.get(nodes[1].path("models/m")).json()["values"]["modelInfo"] == model

        nodes[1].learn(ROWS[:20])
        nodes[1].ask()
        wait_for_rows(nodes, 170)
        assert nodes[0].stats()["peers"][second]["epoch"] > epoch

        # The same with an empty volume: the stored head tells where to go on.
        epoch = nodes[0].stats()["peers"][second]["epoch"]
        nodes[1].kill()
        fresh = world.node(1, "second-anew")
        try:
            fresh.start()
            wait_for_rows([fresh], 170)
            fresh.learn(ROWS[:30])
            fresh.ask()
            wait_for_rows([nodes[0], fresh, nodes[2]], 130)
            assert nodes[0].stats()["peers"][second]["epoch"] > epoch
        finally:
            fresh.close()


async def test_a_removed_member_leaves_the_sum_of_all_others(world: World) -> None:
    with world.running(0, 1, 2) as nodes:
        learn_parts(nodes)
        nodes[0].ask()
        before = wait_for_rows(nodes, 150)
        members = [
            member.model_copy(update={"state": "removed"}) if member.name == "second" else member
            for member in world.document.members
        ]
        document = world.document.model_copy(update={"version": 2, "members": tuple(members)})
        await world.publish(document)
        wait_for_rows([nodes[0], nodes[2]], 100)
        wait_until(lambda: "Removed" in nodes[1].log.read_text(), "the removed node does not notice", SECONDS)
        assert nodes[1].merged()["digest"] == before
        # The cut comes after the document; the removed node goes on serving, also after a restart.
        remaining = tuple(m for m in world.managed.members if m.uuid != world.peers[1].uuid)
        seeds = next(m.seeds for m in world.managed.members if m.uuid == world.peers[1].uuid)
        world.managed = replace(world.managed, members=remaining)
        await world.backend.remove_member(world.managed, seeds)
        nodes[1].kill()
        nodes[1].start()
        assert nodes[1].merged()["digest"] == before
        assert nodes[1].learn(ROWS[:1]) == {"learned": 1, "skipped": 0}


async def test_nodes_find_each_other_again_after_nats_was_away(world: World) -> None:
    with world.running(0, 1, 2) as nodes:
        learn_parts(nodes)
        nodes[0].ask()
        wait_for_rows(nodes, 150)
        world.server.stop()
        nodes[2].learn(ROWS[:25])
        nodes[2].ask()
        wait_until(
            lambda: "BackendUnreachable" in nodes[2].log.read_text(), "the node does not notice", SECONDS
        )
        world.server.start()
        wait_for_rows(nodes, 175)


async def test_sealed_snapshots_are_read_by_members(world: World) -> None:
    """With encryption the stored chunks are not the snapshot; members open them with the federation key."""
    federation_key = secrets.token_bytes(16)
    sealed = {
        peer.uuid: seal_to(
            federation_key,
            base64.b64decode(peer.member.sealing_key),
            f"symfed/federation-key/v1|{world.managed.uid}|1|{peer.uuid}",
        )
        for peer in world.peers
    }
    settings = world.document.settings.model_copy(update={"encrypt": True})
    keys = (KeyGeneration(generation=1, sealed_for=sealed),)
    await world.publish(world.document.model_copy(update={"version": 2, "settings": settings, "keys": keys}))
    with world.running(0, 1, 2) as nodes:
        learn_parts(nodes)
        nodes[1].ask()
        wait_for_rows(nodes, 150)
    assert not any(b"symfed.snapshot" in path.read_bytes() for path in stored_messages(world))


def stored_messages(world: World) -> list[Path]:
    found = list((world.folder / "nats-data").rglob("*.blk"))
    assert found
    return found
