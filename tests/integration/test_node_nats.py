"""Snapshots of many chunks over a real NATS: slots, replacement under a reader, sealing, refusal."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from symfed_node.exchange.base import ExchangeError, Outgoing, ReplacedError, Wake
from symfed_node.exchange.chunks import CHUNK
from symfed_node.exchange.keys import PeerKeys
from symfed_node.exchange.nats import NatsExchange
from symfed_wire.documents import HEAD_CONTEXT, Signed, SnapshotHead, verify_document
from symfed_wire.errors import UnsealError
from symfed_wire.sealing import ChunkSealer
from tests.integration.external_nats import WAYS
from tests.integration.node_world import SECONDS, World, new_world

SIZE = 9 * CHUNK + 12345  # more chunks than are under way at once, the last one not full


@pytest.fixture(params=[None, *WAYS], ids=lambda way: way.name if way else "managed")
async def world(programs: None, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """A federation without nodes, on a NATS of the operator's or on somebody else's."""
    async with new_world(tmp_path, request.param) as made:
        yield made


class Peers:
    """The three members' exchanges, opened, and what wakes them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.keys = [PeerKeys(peer.uuid, peer.seeds) for peer in world.peers]
        self.exchanges = [
            NatsExchange(p.uuid, world.grants[p.uuid], p.seeds, world.operator.login) for p in world.peers
        ]
        self.woken = [asyncio.Queue[Wake]() for _ in world.peers]

    async def open(self) -> None:
        for exchange, woken in zip(self.exchanges, self.woken, strict=True):
            exchange.request_timeout = 5
            await exchange.open(woken.put_nowait)

    async def put(
        self, number: int, epoch: int, body: bytes, sealer: ChunkSealer | None = None
    ) -> SnapshotHead:
        peer = self._world.peers[number]
        draft = SnapshotHead(
            federation=self._world.operator.uid,
            peer=peer.uuid,
            epoch=epoch,
            rows=1,
            schema_digest="s",
            size=len(body),
            chunk=1,
            sha256=hashlib.sha256(body).hexdigest(),
            created="2026-01-02T00:00:00Z",
        )
        signed = await self.exchanges[number].put(Outgoing(draft, body, sealer), self.keys[number].sign_head)
        return self.read_head(number, signed)

    def read_head(self, number: int, signed: Signed | None) -> SnapshotHead:
        assert signed is not None
        identity = self._world.member(number).identity_key
        return verify_document(signed, HEAD_CONTEXT, identity, SnapshotHead)

    async def woke(self, number: int) -> Wake:
        async with asyncio.timeout(SECONDS):
            return await self.woken[number].get()


@pytest.fixture
async def peers(world: World) -> AsyncIterator[Peers]:
    made = Peers(world)
    async with AsyncExitStack() as stack:
        for exchange in made.exchanges:
            stack.push_async_callback(exchange.close)
        await made.open()
        yield made


async def test_a_snapshot_of_many_chunks_comes_through(world: World, peers: Peers) -> None:
    member = world.member(0)
    assert await peers.exchanges[1].head(member) is None
    body = secrets.token_bytes(SIZE)
    head = await peers.put(0, 1, body)
    assert head.chunk == CHUNK
    assert await peers.woke(1) is Wake.HEAD
    assert peers.read_head(0, await peers.exchanges[1].head(member)) == head
    assert await peers.exchanges[1].body(member, head, None) == body
    assert peers.woken[0].empty()  # nobody wakes itself


async def test_the_stored_snapshot_stays_readable_until_the_one_after_the_next(
    world: World, peers: Peers
) -> None:
    """Two slots; and the stream's size bounds them: more epochs than fit are put."""
    member, reader = world.member(0), peers.exchanges[2]
    first = await peers.put(0, 1, body_1 := secrets.token_bytes(SIZE))
    second = await peers.put(0, 2, body_2 := secrets.token_bytes(SIZE))
    assert await reader.body(member, first, None) == body_1
    assert await reader.body(member, second, None) == body_2
    third = await peers.put(0, 3, body_3 := secrets.token_bytes(SIZE))
    with pytest.raises(ReplacedError, match=r"message \d+ is gone"):
        await reader.body(member, first, None)
    for epoch in range(4, 9):
        await peers.put(0, epoch, secrets.token_bytes(SIZE))
    with pytest.raises(ReplacedError):
        await reader.body(member, third, None)
    assert len(body_3) == SIZE


async def test_messages_larger_than_the_heads_chunks_are_not_collected(world: World, peers: Peers) -> None:
    head = await peers.put(0, 1, secrets.token_bytes(SIZE))
    lying = head.model_copy(update={"chunk": CHUNK // 2})
    with pytest.raises(ReplacedError, match="is larger than a chunk of its head"):
        await peers.exchanges[1].body(world.member(0), lying, None)


async def test_a_repeated_put_of_one_epoch_is_whole(world: World, peers: Peers) -> None:
    """What a node does whose answer was lost."""
    body = secrets.token_bytes(SIZE)
    await peers.put(0, 1, body)
    await peers.put(0, 1, body)
    head = peers.read_head(0, await peers.exchanges[1].head(world.member(0)))
    assert await peers.exchanges[1].body(world.member(0), head, None) == body


async def test_sealed_chunks_open_with_their_key_alone(world: World, peers: Peers) -> None:
    peer, reader = world.peers[0], peers.exchanges[1]
    key = secrets.token_bytes(16)
    body = secrets.token_bytes(SIZE)

    def sealer(of: bytes = key, epoch: int = 1) -> ChunkSealer:
        return ChunkSealer(of, world.operator.uid, peer.uuid, epoch)

    head = await peers.put(0, 1, body, sealer())
    assert await reader.body(world.member(0), head, sealer()) == body
    for wrong in (sealer(epoch=2), sealer(bytes(16))):
        with pytest.raises(UnsealError):
            await reader.body(world.member(0), head, wrong)
    with pytest.raises(ReplacedError, match="is not that of its head"):
        await reader.body(world.member(0), head, None)


async def test_a_snapshot_larger_than_its_stream_is_refused_in_words(world: World, peers: Peers) -> None:
    small = await peers.put(0, 1, b"small")
    with pytest.raises(ExchangeError, match=r"publishing the snapshot: .*exceeded"):
        await peers.put(0, 2, secrets.token_bytes(20 << 20))
    assert await peers.exchanges[1].body(world.member(0), small, None) == b"small"


async def test_an_ask_wakes_the_others(peers: Peers) -> None:
    await peers.exchanges[0].ask()
    assert await peers.woke(1) is Wake.ASK
    assert await peers.woke(2) is Wake.ASK
    assert peers.woken[0].empty()


async def test_a_new_document_wakes_all_and_is_read(world: World, peers: Peers) -> None:
    await world.publish(world.document.model_copy(update={"version": 2}))
    for number in range(3):
        assert await peers.woke(number) is Wake.DOCUMENT
        assert await peers.exchanges[number].document() == world.signed


async def test_a_lost_connection_wakes_and_can_be_opened_again(world: World, peers: Peers) -> None:
    await peers.put(0, 1, b"body")
    assert await peers.woke(1) is Wake.HEAD
    world.server.stop()
    assert await peers.woke(1) is Wake.CLOSED
    with pytest.raises(ExchangeError):
        await peers.exchanges[1].document()
    world.server.start()
    await peers.open()
    head = peers.read_head(0, await peers.exchanges[1].head(world.member(0)))
    assert await peers.exchanges[1].body(world.member(0), head, None) == b"body"
