"""Snapshots over NATS: chunks and a signed head in a stream of two slots, read by Direct Get.

Where the operator administers NATS, the writer is a user of the peer's own account and the reader one of the
readers' account, which imports every member's Direct Get and head. On somebody else's NATS both are one
connection to the account that all members share. The grant tells the subjects of either.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Final

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js.api import PubAck, StreamState
from nats.js.client import JetStreamContext

from symfed_node.exchange.base import (
    ExchangeError,
    OnWake,
    Outgoing,
    ReplacedError,
    Sign,
    StreamFullError,
    Wake,
    first_fault,
)
from symfed_node.exchange.chunks import CHUNK, SEAL_BYTES, SLOWEST, cut, joined
from symfed_node.exchange.connection import User, dial, users_of
from symfed_node.exchange.nats_faults import ATTEMPTS, again, in_words
from symfed_node.exchange.nats_subjects import Place, Subjects
from symfed_wire.documents import Member, Signed, SnapshotHead, parse_signed
from symfed_wire.errors import MalformedError
from symfed_wire.join import NatsGrant
from symfed_wire.nats_client import CautiousClient
from symfed_wire.node_config import NatsLogin, PeerSecrets
from symfed_wire.sealing import ChunkSealer

log = logging.getLogger(__name__)

WINDOW: Final = 8  # chunks under way at once: 4 MiB
_ROUNDING: Final = 1 << 20  # more than what a stream adds to the last messages that still fit


class NatsExchange:
    """`Backend` over NATS; see there."""

    def __init__(
        self, peer: str, grant: NatsGrant, secrets: PeerSecrets, login: NatsLogin | None = None
    ) -> None:
        self._peer = peer
        self._grant = grant
        self._subjects = Subjects(peer, grant)
        self._users = users_of(peer, grant, secrets, login)
        self._writer: CautiousClient | None = None
        self._reader: CautiousClient | None = None
        self._last_fault: Exception | None = None
        self._confirmed: StreamState | None = None
        """of the own stream, when the stored snapshot was last seen to be whole"""
        self.request_timeout = 30.0
        """seconds for one request"""

    @property
    def is_open(self) -> bool:
        """See `Backend.is_open`."""
        return all(connection is not None and connection.is_connected for connection in self._connections)

    @property
    def impaired(self) -> str:
        """See `Backend.impaired`: here all works or nothing."""
        return ""

    @property
    def _connections(self) -> tuple[CautiousClient | None, CautiousClient | None]:
        return self._writer, self._reader

    async def open(self, on_wake: OnWake) -> None:
        """See `Backend.open`."""
        await self.close()
        dialled = [await self._dial(user, on_wake) for user in self._users]
        self._writer, self._reader = dialled[0], dialled[-1]

        async def on_message(message: Msg) -> None:
            if (wake := self._subjects.wake_of(message.subject)) is not None:
                on_wake(wake)

        with self._in_words("the wake-ups"):
            await self._reader.subscribe(self._grant.heads, cb=on_message)
            await self._reader.subscribe(f"{self._grant.ask}.*", cb=on_message)
            await self._reader.flush(timeout=self.request_timeout)

    async def close(self) -> None:
        """See `Backend.close`."""
        connections, self._writer, self._reader = self._connections, None, None
        for connection in connections:
            if connection is not None and not connection.is_closed:
                await connection.close()

    async def document(self) -> Signed | None:
        """See `Backend.document`."""
        return await self._signed(self._subjects.document, "the federation document")

    async def head(self, member: Member) -> Signed | None:
        """See `Backend.head`."""
        return await self._signed(self._subjects.snapshot(member), f"the head of peer {member.uuid}")

    async def body(self, member: Member, head: SnapshotHead, sealer: ChunkSealer | None) -> bytes:
        """See `Backend.body`."""
        if head.first is None:
            raise MalformedError(f"the head of peer {member.uuid} does not say where its snapshot lies")
        subject = self._subjects.snapshot(member).get
        with self._in_words(f"the snapshot of peer {member.uuid}"):
            async with asyncio.timeout(self._transfer_seconds(head.size)):
                parts = await self._chunks(subject, head, head.first)
        return joined(parts, head, sealer)

    async def confirm(self, own: Member, head: SnapshotHead) -> None:
        """See `Backend.confirm`. A stream in an account of the peer's own nobody else can empty."""
        if self._grant.writer_jwt is not None:
            return
        subject, first = self._subjects.snapshot(own).get, json.dumps({"seq": head.first}).encode()
        with self._in_words("the own snapshot"):
            state = (await self._stream.stream_info(self._grant.stream)).state
            if state == self._confirmed:  # a chunk is large, so it is not read with each look
                return
            # A purge takes the oldest first.
            if await again(lambda: self._direct_get(subject, first)) is None:
                raise ReplacedError(f"{subject}: message {head.first} is gone")
        self._confirmed = state

    async def put(self, outgoing: Outgoing, sign: Sign) -> Signed:
        """See `Backend.put`."""
        try:
            return await self._put(outgoing, sign)
        except StreamFullError:
            if not await self._was_emptied_for(outgoing.draft.size):
                raise
        return await self._put(outgoing, sign)

    async def _put(self, outgoing: Outgoing, sign: Sign) -> Signed:
        async def attempt() -> Signed:
            first = await self._put_chunks(outgoing)
            signed = sign(outgoing.draft.model_copy(update={"first": first, "chunk": CHUNK}))
            await self._put_head(signed, f"{outgoing.draft.epoch}-{outgoing.draft.sha256[:16]}-{first}")
            return signed

        with self._in_words("publishing the snapshot"):
            async with asyncio.timeout(ATTEMPTS * self._transfer_seconds(outgoing.draft.size)):
                return await again(attempt)

    async def _was_emptied_for(self, size: int) -> bool:
        """Empties the own stream in a shared account if others have filled it: two snapshots always fit."""
        if self._grant.writer_jwt is not None:
            return False
        name = self._grant.stream
        with self._in_words("making room for the snapshot"):
            info = await self._stream.stream_info(name)
            if not 2 * size <= (info.config.max_bytes or 0) < info.state.bytes + size + _ROUNDING:
                return False
            log.warning("NATS: stream %s is full of what is not this peer's, and is emptied", name)
            return await self._stream.purge_stream(name)

    async def ask(self) -> None:
        """See `Backend.ask`."""
        reader = self._open(self._reader)
        with self._in_words("asking the others to publish"):
            await reader.publish(f"{self._grant.ask}.{self._peer}", b"")
            await reader.flush(timeout=self.request_timeout)

    async def _dial(self, user: User, on_wake: OnWake) -> CautiousClient:
        def note(fault: Exception) -> None:
            self._last_fault = fault

        return await dial(self._grant.hosts, user, on_error=note, on_closed=lambda: on_wake(Wake.CLOSED))

    async def _signed(self, place: Place, what: str) -> Signed | None:
        with self._in_words(what):
            message = await again(lambda: self._direct_get(place.get, place.newest()))
        return None if message is None else parse_signed(message.data)

    async def _direct_get(self, subject: str, request: bytes) -> Msg | None:
        """One stored message, or None when it is not there (any more)."""
        message = await self._open(self._reader).request(subject, request, timeout=self.request_timeout)
        status = (message.headers or {}).get("Status")
        if status == "404":
            return None
        if status is not None:
            raise ExchangeError(f"{subject} answered status {status}")
        return message

    async def _chunks(self, subject: str, head: SnapshotHead, first: int) -> list[bytes]:
        """The messages `first`, `first + 1`, …; WINDOW requests are under way at once."""
        count = -(-head.size // head.chunk)
        parts = [b""] * count
        indexes = iter(range(count))

        async def fetch() -> None:
            for index in indexes:  # all take from the one iterator
                request = json.dumps({"seq": first + index}).encode()
                message = await again(partial(self._direct_get, subject, request))
                if message is None:
                    raise ReplacedError(f"{subject}: message {first + index} is gone")
                if len(message.data) > head.chunk + SEAL_BYTES:
                    raise ReplacedError(
                        f"{subject}: message {first + index} is larger than a chunk of its head"
                    )
                parts[index] = message.data

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(WINDOW, count)):
                    group.create_task(fetch())
        except* (ExchangeError, nats.errors.Error) as faults:
            raise first_fault(faults) from None
        return parts

    async def _put_chunks(self, outgoing: Outgoing) -> int:
        """Free the epoch's slot and fill it; the stream sequence of the first chunk."""
        subject = f"{self._grant.data}.{outgoing.draft.epoch % 2}"
        stream = self._stream
        await stream.publish(subject, b"", stream=self._grant.stream, headers={"Nats-Rollup": "sub"})
        sequences = await self._publish_in_order(stream, subject, cut(outgoing))
        if sequences != list(range(sequences[0], sequences[0] + len(sequences))):
            raise ReplacedError("others wrote into the stream meanwhile: does another node run as this peer?")
        return sequences[0]

    async def _publish_in_order(
        self, stream: JetStreamContext, subject: str, chunks: Iterator[bytes]
    ) -> list[int]:
        """The chunks' sequences in the stream; WINDOW chunks at most wait for their answers.

        Tasks start in the order in which they are made and write before they wait, so the order holds. (The
        client's own publish_async drops the answers that are errors.)
        """
        sequences = list[int]()
        pending = deque[asyncio.Task[PubAck]]()
        try:
            for chunk in chunks:
                publishing = stream.publish(subject, chunk, stream=self._grant.stream)
                pending.append(asyncio.create_task(publishing))
                if len(pending) >= WINDOW:
                    sequences.append((await pending.popleft()).seq)
            while pending:
                sequences.append((await pending.popleft()).seq)
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        return sequences

    async def _put_head(self, signed: Signed, message_id: str) -> None:
        """Publish a head; a repeat after a lost answer stores nothing, as it carries the same id."""
        stream = self._stream
        data = signed.model_dump_json().encode()
        headers = {"Nats-Msg-Id": message_id}
        await again(
            lambda: stream.publish(self._grant.head, data, stream=self._grant.stream, headers=dict(headers))
        )

    def _transfer_seconds(self, size: int) -> float:
        return self.request_timeout + size / SLOWEST

    @property
    def _stream(self) -> JetStreamContext:
        return self._open(self._writer).jetstream(timeout=self.request_timeout)

    def _open(self, connection: CautiousClient | None) -> CautiousClient:
        if connection is None:
            raise ExchangeError("the connection to NATS is not open")
        return connection

    def _in_words(self, what: str) -> AbstractContextManager[None]:
        return in_words(what, self._take_fault)

    def _take_fault(self) -> Exception | None:
        fault, self._last_fault = self._last_fault, None
        return fault
