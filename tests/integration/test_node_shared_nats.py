"""Attacks in an account that all members share, where signatures are all there is.

Whoever is a member, or was one, can write, empty and delete everything there. Nothing of it is merged, and
what was there comes back.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.js.client import JetStreamContext

from symfed_node.exchange.keys import PeerKeys
from symfed_operator.backends.nats import shared
from symfed_wire.documents import FEDERATION_CONTEXT, Signed, parse_signed, sign_document
from symfed_wire.nats_client import CautiousClient, login_options
from tests.integration.external_nats import PASSWORD, fill
from tests.integration.faults.nats_admin import read_head
from tests.integration.node_world import PARTS, ROWS, SECONDS, NodeProcess, World, new_world
from tests.integration.servers import wait_until

NORTH, SOUTH = 0, 1


@dataclass
class Scene:
    """Two members that have merged each other's rows; somebody with their login attacks the second one."""

    world: World
    nodes: list[NodeProcess]
    attacker: JetStreamContext

    @property
    def address(self) -> tuple[str, str]:
        """The name of south's stream, and the subject of its heads."""
        layout = shared.member_layout(self.world.operator.uid, self.world.peers[SOUTH].uuid, 0)
        return layout.name, layout.head

    async def head(self) -> Signed:
        """South's stored head."""
        return parse_signed((await self.attacker.get_last_msg(*self.address)).data or b"")

    async def put_head(self, head: bytes) -> None:
        """Into south's stream."""
        await self.attacker.publish(self.address[1], head)

    def stats(self) -> dict[str, Any]:
        """What north has of south."""
        found: dict[str, Any] = self.nodes[NORTH].stats()["peers"][self.world.peers[SOUTH].uuid]
        return found

    def logs(self, number: int, words: str) -> None:
        """Waits for an entry in the error log of a node."""

        def is_logged() -> bool:
            return any(words in line for line in self.nodes[number].stats()["errorLog"])

        wait_until(is_logged, f"{words!r} is not logged: {self.nodes[number].stats()['errorLog']}", SECONDS)

    def comes_back(self, epoch: int, digest: str) -> None:
        """South puts its snapshot again, above that epoch; the sum is what it was."""
        wait_until(lambda: self.stats()["epoch"] > epoch, "south does not put its snapshot again", SECONDS)
        wait_until(lambda: self.nodes[NORTH].merged()["digest"] == digest, "the sum is another", SECONDS)


@pytest.fixture
async def scene(programs: None, tmp_path: Path) -> AsyncIterator[Scene]:
    """Nodes that look every second."""
    async with new_world(tmp_path, PASSWORD) as world:
        world.poll_seconds = 1
        connection = CautiousClient()
        await connection.connect(world.server.url, **login_options(PASSWORD.login), allow_reconnect=False)
        try:
            with world.running(NORTH, SOUTH) as nodes:
                for node, part in zip(nodes, PARTS, strict=False):
                    node.learn(ROWS[part])
                nodes[0].ask()
                wait_until(lambda: all(_has_both(node) for node in nodes), "nothing is merged", SECONDS)
                yield Scene(world, nodes, connection.jetstream())
        finally:
            await connection.close()


async def forged_by_a_stranger(scene: Scene) -> bytes:
    head = read_head(await scene.head())
    forged = head.model_copy(update={"epoch": head.epoch + 10})
    return _text(sign_document(forged, "symfed/head/v1", Ed25519PrivateKey.generate()))


async def forged_by_a_member(scene: Scene) -> bytes:
    head = read_head(await scene.head())
    north = scene.world.peers[NORTH]
    return _text(
        PeerKeys(north.uuid, north.seeds).sign_head(head.model_copy(update={"epoch": head.epoch + 10}))
    )


async def no_head_at_all(scene: Scene) -> bytes:
    return b"\xff no head"


@pytest.mark.parametrize(
    ("forge", "words"),
    [
        (forged_by_a_stranger, "is not signed by the expected key"),
        (forged_by_a_member, "is not signed by the expected key"),
        (no_head_at_all, "not a signed document"),
    ],
)
async def test_a_forged_head_is_refused_and_replaced(
    scene: Scene, forge: Callable[[Scene], Awaitable[bytes]], words: str
) -> None:
    before, digest = scene.stats()["epoch"], scene.nodes[NORTH].merged()["digest"]
    forged = await forge(scene)
    scene.nodes[SOUTH].kill()  # else it may be quicker than north
    await scene.put_head(forged)
    scene.logs(NORTH, words)
    assert scene.nodes[NORTH].merged()["digest"] == digest
    scene.nodes[SOUTH].start()
    scene.logs(SOUTH, "the own stored snapshot is refused")
    scene.comes_back(before, digest)


async def test_an_emptied_stream_is_filled_again(scene: Scene) -> None:
    before, digest = scene.stats()["epoch"], scene.nodes[NORTH].merged()["digest"]
    await scene.attacker.purge_stream(scene.address[0])
    scene.comes_back(before, digest)


async def test_chunks_that_are_gone_are_put_again(scene: Scene) -> None:
    """The head is still there, so only a member that comes later would notice."""
    before, digest = scene.stats()["epoch"], scene.nodes[NORTH].merged()["digest"]
    head = read_head(await scene.head())
    await scene.attacker.publish(
        scene.address[1].replace(".head", f".data.{head.epoch % 2}"), b"", headers={"Nats-Rollup": "sub"}
    )
    scene.logs(SOUTH, f"message {head.first} is gone")
    scene.comes_back(before, digest)


@pytest.mark.parametrize("subject", ["head", "data.x"])
async def test_a_stream_that_others_fill_is_emptied(scene: Scene, subject: str) -> None:
    before, digest = scene.stats()["epoch"], scene.nodes[NORTH].merged()["digest"]
    await fill(scene.attacker, scene.address[1].replace("head", subject))
    scene.nodes[SOUTH].learn(ROWS[:20])
    scene.nodes[SOUTH].ask()
    wait_until(lambda: scene.stats()["epoch"] > before, "south does not publish", SECONDS)
    wait_until(lambda: scene.nodes[NORTH].merged()["rows"] == 130, "north does not merge", SECONDS)
    assert scene.nodes[NORTH].merged()["digest"] != digest


async def test_a_deleted_stream_is_made_and_filled_again(scene: Scene) -> None:
    before, digest = scene.stats()["epoch"], scene.nodes[NORTH].merged()["digest"]
    await scene.attacker.delete_stream(scene.address[0])
    scene.logs(SOUTH, "NATS has no such stream")
    assert scene.nodes[NORTH].merged()["digest"] == digest
    await scene.world.operator.apply()
    scene.comes_back(before, digest)


async def test_a_stream_that_takes_nothing_is_made_anew(scene: Scene) -> None:
    before, digest = scene.stats()["epoch"], scene.nodes[NORTH].merged()["digest"]
    info = await scene.attacker.stream_info(scene.address[0])
    await scene.attacker.update_stream(info.config, sealed=True)
    await scene.world.operator.apply()
    scene.comes_back(before, digest)


async def test_a_forged_document_is_refused(scene: Scene) -> None:
    world = scene.world
    document = world.document.model_copy(update={"version": 9, "members": world.document.members[:1]})
    forged = sign_document(document, FEDERATION_CONTEXT, Ed25519PrivateKey.generate())
    await scene.attacker.publish(shared.document_layout(world.operator.uid).head, _text(forged))
    for number in (NORTH, SOUTH):
        scene.logs(number, "the stored federation document was refused")
    assert scene.nodes[NORTH].merged()["rows"] == 110
    await world.publish(world.document.model_copy(update={"version": 2}))

    def is_taken() -> bool:
        return all("took version 2" in str(node.stats()["syncLog"]) for node in scene.nodes)

    wait_until(is_taken, "the true one is not taken", SECONDS)


def _has_both(node: NodeProcess) -> bool:
    return bool(node.merged()["rows"] == 110)


def _text(signed: Signed) -> bytes:
    return signed.model_dump_json().encode()
