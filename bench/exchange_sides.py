"""The two sides of `exchange_speed.py`: a snapshot over each backend, by symfed and bare."""

import asyncio
import io
import json
import uuid
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from boto3.s3.transfer import TransferConfig
from nats.aio.client import Client
from tests.integration.aws_servers import AwsServer, running
from tests.integration.external_nats import OPEN, external_server
from tests.integration.node_aws_world import AwsExchanges, AwsWorld, new_aws_world, opened_exchanges, outgoing
from tests.integration.node_world import PeerIdentity, new_identity

from symfed_node.exchange.aws_bodies import PART, WHOLE
from symfed_node.exchange.aws_session import CONNECTIONS, AwsSession
from symfed_node.exchange.chunks import CHUNK
from symfed_node.exchange.keys import PeerKeys
from symfed_node.exchange.nats import WINDOW, NatsExchange
from symfed_node.threads import in_thread
from symfed_operator.backends.nats import shared
from symfed_wire.aws_layout import HEAD_OBJECT

STREAM_BYTES = 300 << 20


class Side(Protocol):
    """One backend; what is got is what was put last."""

    name: str

    async def put(self, body: bytes) -> None: ...

    async def get(self) -> bytes: ...

    async def bare_put(self, body: bytes) -> None: ...

    async def bare_get(self, size: int) -> bytes: ...


class OverAws:
    """S3, with boto3's own transfers in threads for what is bare."""

    name = "AWS"
    _in_parts = TransferConfig(
        multipart_threshold=WHOLE + 1, multipart_chunksize=PART, max_concurrency=CONNECTIONS
    )

    def __init__(self, world: AwsWorld, peers: AwsExchanges) -> None:
        self._world = world
        self._peers = peers
        self._epochs = count(1)
        writer, reader = world.peers[0], world.peers[1]
        session = AwsSession(writer.credentials, world.server.url)
        self._writing = session.s3(writer.place.region, 30)
        self._sns = session.sns(world.grant.region, 30)
        self._reading = AwsSession(reader.credentials, world.server.url).s3(writer.place.region, 30)
        self._bucket = writer.place.bucket
        self._bare = f"{world.grant.prefix}bare/"

    @classmethod
    @asynccontextmanager
    async def opened(cls, folder: Path) -> AsyncIterator["OverAws"]:
        with running(AwsServer.ministack(folder)) as server:
            world = new_aws_world(server, folder)
            async with opened_exchanges(world, server.url) as peers:
                for exchange in peers.exchanges:
                    exchange.request_timeout = 30
                yield cls(world, peers)

    async def put(self, body: bytes) -> None:
        self._head = await self._peers.put(0, next(self._epochs), body)

    async def get(self) -> bytes:
        reader, member = self._peers.exchanges[1], self._world.peers[0].member
        assert await reader.head(member) is not None
        return await reader.body(member, self._head, None)

    async def bare_put(self, body: bytes) -> None:
        head = self._head.model_dump_json().encode()

        def put() -> None:
            where = {"Bucket": self._bucket, "Key": f"{self._bare}body"}
            if len(body) > WHOLE:
                self._writing.upload_fileobj(io.BytesIO(body), **where, Config=self._in_parts)
            else:
                self._writing.put_object(**where, Body=body)
            self._writing.put_object(Bucket=self._bucket, Key=self._bare + HEAD_OBJECT, Body=head)
            self._sns.publish(TopicArn=self._world.grant.topic_arn, Message="{}")

        await in_thread(put)

    async def bare_get(self, size: int) -> bytes:
        def get() -> bytes:
            self._reading.get_object(Bucket=self._bucket, Key=self._bare + HEAD_OBJECT)["Body"].read()
            where = {"Bucket": self._bucket, "Key": f"{self._bare}body"}
            if size <= WHOLE:
                return self._reading.get_object(**where)["Body"].read()
            target = io.BytesIO()
            self._reading.download_fileobj(**where, Fileobj=target, Config=self._in_parts)
            return target.getvalue()

        return await in_thread(get)


class OverNats:
    """A NATS that somebody else runs, with as many messages under way at once for what is bare."""

    name = "NATS"

    def __init__(
        self, federation: str, peers: list[PeerIdentity], exchanges: list[NatsExchange], bare: list[Client]
    ) -> None:
        self._federation = federation
        self._peers = peers
        self._exchanges = exchanges
        self._epochs = count(1)
        self._keys = PeerKeys(peers[0].uuid, peers[0].seeds)
        self._member = peers[0].member(shared.address_of(federation, peers[0].uuid))
        self._writing, self._reading = bare
        self._stream = shared.grant(federation, "bare", ())
        self._get = shared.address_of(federation, "bare").get

    @classmethod
    @asynccontextmanager
    async def opened(cls, folder: Path) -> AsyncIterator["OverNats"]:
        nats = external_server(folder, OPEN)
        with nats.server:
            federation, peers = str(uuid.uuid4()), [new_identity("one"), new_identity("two")]
            async with nats.account().connected() as account:
                await account.stream(shared.document_layout(federation)).ensure()
                for who in (*(peer.uuid for peer in peers), "bare"):
                    await account.stream(shared.member_layout(federation, who, STREAM_BYTES)).ensure()
            exchanges = [
                NatsExchange(
                    peer.uuid, shared.grant(federation, peer.uuid, (nats.url,)), peer.seeds, OPEN.login
                )
                for peer in peers
            ]
            for exchange in exchanges:
                await exchange.open(lambda wake: None)
            async with nats.somebody() as writing, nats.somebody() as reading:
                yield cls(federation, peers, exchanges, [writing, reading])
            for exchange in exchanges:
                await exchange.close()

    async def put(self, body: bytes) -> None:
        put = outgoing(self._federation, self._peers[0].uuid, next(self._epochs), body)
        self._signed = await self._exchanges[0].put(put, self._sign)

    def _sign(self, head: Any) -> Any:
        self._head = head
        return self._keys.sign_head(head)

    async def get(self) -> bytes:
        assert await self._exchanges[1].head(self._member) is not None
        return await self._exchanges[1].body(self._member, self._head, None)

    async def bare_put(self, body: bytes) -> None:
        stream = self._writing.jetstream(timeout=30)
        data = f"{self._stream.data}.0"
        await stream.publish(data, b"", headers={"Nats-Rollup": "sub"})
        chunks = [body[start : start + CHUNK] for start in range(0, len(body), CHUNK)]
        stored = await _windowed([stream.publish(data, chunk) for chunk in chunks])
        self._first = stored[0].seq
        await stream.publish(self._stream.head, self._signed.model_dump_json().encode())

    async def bare_get(self, size: int) -> bytes:
        head = json.dumps({"last_by_subj": self._stream.head}).encode()
        await self._reading.request(self._get, head, timeout=30)
        wanted = [json.dumps({"seq": self._first + index}).encode() for index in range(-(-size // CHUNK))]
        messages = await _windowed([self._reading.request(self._get, each, timeout=30) for each in wanted])
        return b"".join(message.data for message in messages)


async def _windowed(calls: list[Coroutine[Any, Any, Any]]) -> list[Any]:
    """All results, as many calls under way at once as symfed has."""
    free = asyncio.Semaphore(WINDOW)

    async def run(call: Coroutine[Any, Any, Any]) -> Any:
        async with free:
            return await call

    return await asyncio.gather(*(run(call) for call in calls))
