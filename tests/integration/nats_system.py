"""A NATS server as the chart configures it, a backend for it, and members that connect as nodes do."""

import asyncio
import base64
import dataclasses
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
from nats.aio.client import Client
from nats.aio.subscription import Subscription

from symfed_operator.backends.base import (
    Applied,
    GoneMember,
    WantedFederation,
    WantedMember,
)
from symfed_operator.backends.nats.backend import NatsBackend, NatsSettings
from symfed_operator.backends.nats.keys import (
    OPERATOR,
    new_federation_seeds,
    new_member_seeds,
    new_seed,
    new_user_seed,
    public_key,
    sign,
)
from symfed_operator.bootstrap import (
    NatsIdentity,
    NatsServerSettings,
    identity_from,
    nats_conf,
)
from symfed_wire.join import NatsGrant, NatsUserKeys
from tests.integration.servers import NatsServer, wait_until

MIB = 1 << 20
ISSUED = datetime(2026, 1, 2, tzinfo=UTC)
WAIT = 5.0
REFUSED = 0.3  # how long a test waits for an answer that must not come


@dataclass(frozen=True)
class Node:
    """A member as its node sees itself: its own seeds, and what it was made into."""

    member: WantedMember
    writer_seed: str = field(repr=False)
    reader_seed: str = field(repr=False)

    @property
    def gone(self) -> GoneMember:
        """As the backend removes it."""
        return GoneMember(self.member.seeds, self.member.uuid)


@dataclass
class System:
    """A server and the backend for it."""

    server: NatsServer
    identity: NatsIdentity
    backend: NatsBackend
    data: Path

    def pushed(self) -> int:
        """How many claims the server has taken or refused since it started."""
        return self.server.process.log.read_text().count("jwt updated - ")

    async def accounts(self) -> set[str]:
        """Public keys of all accounts that the server keeps."""
        connection = await self.system_user()
        try:
            reply = await connection.request("$SYS.REQ.CLAIMS.LIST", timeout=WAIT)
        finally:
            await connection.close()
        return set(json.loads(reply.data)["data"]) - {self.identity.system_account}

    async def system_user(self) -> Client:
        """A connection with the operator's own credentials."""
        connection = Client()
        creds = self.server.process.log.with_name("system.creds")
        creds.write_text(self.identity.system_creds)
        await connection.connect(self.server.url, user_credentials=creds, allow_reconnect=False)
        return connection

    def restart(self) -> None:
        """Starts the server anew once its disk is clear, which comes after its answer to a deletion."""
        wait_until(self._is_clear, "a deleted stream is still on the disk", WAIT)
        self.server.stop()
        self.server.start()

    def _is_clear(self) -> bool:
        try:
            return not [*self.data.rglob(".SNAPSHOT")]
        except FileNotFoundError:  # a folder that goes under the search
            return False

    def is_healthy(self) -> bool:
        """The server's own verdict."""
        return httpx.get(f"{self.server.monitoring_url}/healthz", trust_env=False).status_code == 200


@asynccontextmanager
async def running_system(folder: Path, max_file_store: str = "1Gi", root: str = "") -> AsyncIterator[System]:
    """A server as the chart's configuration makes it, and a backend with its keys."""
    identity = identity_from(root or new_seed(OPERATOR), ISSUED)
    config = folder / "nats.conf"
    settings = NatsServerSettings(nats_data=str(folder / "data"), nats_max_file_store=max_file_store)
    config.write_text("debug: true\n" + nats_conf(identity, settings))
    with NatsServer(config, folder / "nats") as server:
        backend = NatsBackend(settings_for(server.url, identity))
        try:
            yield System(server, identity, backend, folder / "data")
        finally:
            await backend.close()


def settings_for(url: str, identity: NatsIdentity) -> NatsSettings:
    return NatsSettings(
        internal_hosts=(url,),
        advertised_hosts=("nats://outside.example:4222",),
        operator_signing_seed=identity.operator_signing_seed,
        system_creds=identity.system_creds,
        request_timeout=3,
    )


def new_node() -> Node:
    writer, reader = new_user_seed(), new_user_seed()
    member = WantedMember(
        uuid=str(uuid.uuid4()),
        seeds=new_member_seeds(),
        issued=ISSUED,
        users=NatsUserKeys(writer=public_key(writer), reader=public_key(reader)),
    )
    return Node(member, writer, reader)


def nats_grants(applied: Applied) -> dict[str, NatsGrant]:
    """The grants by member."""
    return {uuid: grant for uuid, grant in applied.grants.items() if isinstance(grant, NatsGrant)}


async def granted(backend: NatsBackend, federation: WantedFederation) -> dict[str, NatsGrant]:
    """Apply, and every member has a grant."""
    applied = await backend.apply(federation)
    assert not applied.faults
    return nats_grants(applied)


def federation_of(*nodes: Node, stream_max_bytes: int = 16 * MIB) -> WantedFederation:
    return WantedFederation(
        uid=str(uuid.uuid4()),
        name="iris",
        seeds=new_federation_seeds(),
        stream_max_bytes=stream_max_bytes,
        members=tuple(node.member for node in nodes),
    )


def with_members(federation: WantedFederation, *nodes: Node) -> WantedFederation:
    return dataclasses.replace(federation, members=tuple(node.member for node in nodes))


class Nodes:
    """Opens connections as nodes do and closes them all at the end."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self._url = url
        self._stack = stack
        self._closed: dict[Client, asyncio.Event] = {}

    async def closed(self, connection: Client) -> None:
        """Waits until a connection is cut."""
        async with asyncio.timeout(WAIT):
            await self._closed[connection].wait()

    async def writer(self, node: Node, grant: NatsGrant) -> Client:
        return await self._connect(grant.writer_jwt or "", node.writer_seed, "_INBOX")

    async def reader(self, node: Node, grant: NatsGrant) -> Client:
        return await self._connect(grant.reader_jwt or "", node.reader_seed, f"_INBOX.{node.member.uuid}")

    async def _connect(self, token: str | None, seed: str, inbox: str) -> Client:
        assert token is not None
        connection = Client()
        closed = self._closed[connection] = asyncio.Event()

        async def note_the_end() -> None:
            closed.set()

        async def ignore(fault: Exception) -> None:
            """Refusals arrive here, asynchronously; the tests look at their effects."""

        await connection.connect(
            self._url,
            user_jwt_cb=token.encode,
            signature_cb=lambda nonce: base64.b64encode(sign(seed, nonce.encode())),
            inbox_prefix=inbox,
            allow_reconnect=False,
            closed_cb=note_the_end,
            error_cb=ignore,
        )
        self._stack.push_async_callback(connection.close)
        return connection


async def last_head(reader: Client, subject: str) -> bytes:
    """Direct Get of the newest message on `head`."""
    reply = await reader.request(subject, b'{"last_by_subj":"head"}', timeout=WAIT)
    assert (reply.headers or {}).get("Status") is None, reply.headers
    return reply.data


async def listen(connection: Client, subject: str) -> Subscription:
    """A subscription that the server knows of."""
    subscription = await connection.subscribe(subject)
    # Servers from 2.12 on send INFO before the PONG that ends the connect; nats-py then takes that PONG for
    # the first flush's, so only the second one is a barrier.
    await connection.flush()
    await connection.flush()
    return subscription
