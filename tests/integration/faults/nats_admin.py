"""Whoever administers the NATS server and holds the operator's keys: may read and write every stream."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from nats.js.client import JetStreamContext
from nats.js.errors import APIError, NotFoundError

from symfed_operator.backends.nats.connection import dial, made_user
from symfed_operator.backends.nats.jwt import Claims, encode
from symfed_operator.backends.nats.keys import new_user_seed, public_key
from symfed_operator.records import FederationRecord, MemberRecord, PeerRecord
from symfed_wire.documents import HEAD_CONTEXT, Signed, SnapshotHead, parse_signed, sign_document
from tests.integration.faults.peers import Peer, Peers

STREAM = "SNAPSHOT"
SECONDS = 20.0
UNLIMITED: Claims = {"subs": -1, "data": -1, "payload": -1}
FILLINGS = (512 << 10, 16 << 10, 256)  # bytes of the messages that fill a stream, the largest first

Found = TypeVar("Found")
Use = Callable[[JetStreamContext], Awaitable[Found]]


class NatsAdmin:
    """One federation's streams, as a user whom the keys of their accounts let in with all rights."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._hosts = (peers.line.nats,)

    def head(self, peer: Peer) -> Signed:
        """A peer's stored head."""
        return parse_signed(self._use(self._member(peer), _newest_head))

    def put_head(self, peer: Peer, head: Signed) -> None:
        """A head in the place of the peer's own."""
        self._use(self._member(peer), lambda stream: stream.publish("head", head.model_dump_json().encode()))

    def put_chunk(self, peer: Peer, slot: int, chunk: bytes) -> None:
        """What a put that was cut off leaves in a slot."""

        async def put(stream: JetStreamContext) -> None:
            await stream.publish(f"data.{slot}", b"", headers={"Nats-Rollup": "sub"})
            await stream.publish(f"data.{slot}", chunk)

        self._use(self._member(peer), put)

    def drop_chunks(self, peer: Peer) -> None:
        """Heads without what they point to."""

        async def drop(stream: JetStreamContext) -> None:
            for slot in (0, 1):
                await stream.purge_stream(STREAM, subject=f"data.{slot}")

        self._use(self._member(peer), drop)

    def purge(self, peer: Peer) -> None:
        """Nothing is left in a peer's stream."""
        self._use(self._member(peer), lambda stream: stream.purge_stream(STREAM))

    def fill(self, peer: Peer) -> None:
        """Leave no room in a peer's account."""

        async def fill(stream: JetStreamContext) -> None:
            for size in FILLINGS:
                try:
                    while True:
                        await stream.publish("data.full", bytes(size))
                except APIError:
                    continue

        self._use(self._member(peer), fill)

    def messages(self, peer: Peer) -> list[bytes]:
        """Everything in a peer's stream."""

        async def read(stream: JetStreamContext) -> list[bytes]:
            state = (await stream.stream_info(STREAM)).state
            found = []
            for sequence in range(state.first_seq, state.last_seq + 1):
                try:
                    found.append((await stream.get_msg(STREAM, sequence)).data or b"")
                except NotFoundError:
                    continue
            return found

        return self._use(self._member(peer), read)

    def document(self) -> Signed:
        """The stored federation document."""
        return parse_signed(self._use(self._federation, _newest_head))

    def put_document(self, document: Signed) -> None:
        """A document in the place of the federation's own."""
        data = document.model_dump_json().encode()
        self._use(self._federation, lambda stream: stream.publish("head", data))

    def identity(self, peer: Peer) -> PeerRecord:
        """A peer's own keys, which its operator has; the NATS server's administrator has not."""
        uid = self._peers.cluster.peer(peer.namespace, peer.pid)["metadata"]["uid"]
        return PeerRecord.model_validate_json(self._peers.cluster.record(f"peer-{uid}"))

    def signed_by(self, peer: Peer, head: SnapshotHead) -> Signed:
        """A head under the key of a peer."""
        return sign_document(head, HEAD_CONTEXT, self.identity(peer).identity_key_pair)

    @property
    def _federation(self) -> FederationRecord:
        return self._peers.cluster.federation_record(self._peers.name)

    def _member(self, peer: Peer) -> MemberRecord:
        admin = self._peers.admin
        name = peer.pid
        if peer.namespace != admin.namespace:
            name = f"remote-{self.identity(peer).uuid}"
        uid = self._peers.cluster.peer(admin.namespace, name)["metadata"]["uid"]
        return MemberRecord.model_validate_json(self._peers.cluster.record(f"member-{uid}"))

    def _use(self, record: FederationRecord | MemberRecord, use: Use[Found]) -> Found:
        seeds, user = record.seeds, new_user_seed()
        rights: Claims = {**UNLIMITED, "issuer_account": public_key(seeds.account)}
        token = encode(
            "user", rights, subject=public_key(user), signer=seeds.signing, issued=datetime.now(UTC)
        )

        async def run() -> Found:
            connection = await dial(
                self._hosts, made_user(token, user), who="a test", hint="", timeout=SECONDS
            )
            try:
                return await use(connection.jetstream(timeout=SECONDS))
            finally:
                await connection.close()

        return asyncio.run(run())


def read_head(signed: Signed) -> SnapshotHead:
    """What a head says, whoever signed it."""
    return SnapshotHead.model_validate(json.loads(base64.b64decode(signed.payload)))


async def _newest_head(stream: JetStreamContext) -> bytes:
    return (await stream.get_last_msg(STREAM, "head")).data or b""
