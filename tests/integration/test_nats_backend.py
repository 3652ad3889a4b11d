"""The NATS backend against a real server in operator mode, with members that connect as nodes do."""

import asyncio
import base64
import dataclasses
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.subscription import Subscription
from nats.js.errors import APIError

from symfed_operator.backends.base import (
    AuthorizationFailedError,
    JetStreamDisabledError,
    ManagedFederation,
    ManagedMember,
    NoCapacityError,
    UnreachableError,
)
from symfed_operator.backends.nats.account import account_without_storage
from symfed_operator.backends.nats.backend import NatsBackend, NatsSettings, address_of
from symfed_operator.backends.nats.connection import account_connection
from symfed_operator.backends.nats.jwt import decode, encode
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
    BootstrapError,
    NatsIdentity,
    NatsServerSettings,
    bootstrap,
    identity_from,
    nats_conf,
)
from symfed_wire.documents import Signed
from symfed_wire.join import NatsGrant
from symfed_wire.kube import SECRETS, JsonObject, Kube
from tests.integration.servers import NatsServer, Process, free_port

MIB = 1 << 20
ISSUED = datetime(2026, 1, 2, tzinfo=UTC)
WAIT = 5.0
REFUSED = 0.3  # how long a test waits for an answer that must not come


@dataclass(frozen=True)
class Node:
    """A member as its node sees itself: its own seeds, and what it was made into."""

    member: ManagedMember
    writer_seed: str = field(repr=False)
    reader_seed: str = field(repr=False)


class ConfiguredServer(NatsServer):
    """A server whose store lies where its own configuration says, as in the chart."""

    def __init__(self, config: Path, folder: Path) -> None:
        super().__init__(config, folder)
        monitoring = self.monitoring_url.rpartition(":")[2]
        listen = ["--addr", "127.0.0.1", "--port", str(self.port), "--http_port", monitoring]
        self.process = Process("nats-server", ["--config", str(config), *listen], self.process.log)


@dataclass
class System:
    """A server and the backend for it."""

    server: NatsServer
    identity: NatsIdentity
    backend: NatsBackend

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
    with ConfiguredServer(config, folder / "nats") as server:
        backend = NatsBackend(settings_for(server.url, identity))
        try:
            yield System(server, identity, backend)
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


@pytest.fixture
async def system(programs: None, tmp_path: Path) -> AsyncIterator[System]:
    async with running_system(tmp_path) as running:
        yield running


def new_node() -> Node:
    writer, reader = new_user_seed(), new_user_seed()
    member = ManagedMember(
        uuid=str(uuid.uuid4()),
        seeds=new_member_seeds(),
        writer_key=public_key(writer),
        reader_key=public_key(reader),
        issued=ISSUED,
    )
    return Node(member, writer, reader)


def federation_of(*nodes: Node, stream_max_bytes: int = 16 * MIB) -> ManagedFederation:
    return ManagedFederation(
        uid=str(uuid.uuid4()),
        name="iris",
        seeds=new_federation_seeds(),
        stream_max_bytes=stream_max_bytes,
        members=tuple(node.member for node in nodes),
    )


def with_members(federation: ManagedFederation, *nodes: Node) -> ManagedFederation:
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
        return await self._connect(grant.writer_jwt, node.writer_seed, "_INBOX")

    async def reader(self, node: Node, grant: NatsGrant) -> Client:
        return await self._connect(grant.reader_jwt, node.reader_seed, f"_INBOX.{node.member.uuid}")

    async def _connect(self, token: str, seed: str, inbox: str) -> Client:
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


@pytest.fixture
async def nodes(system: System) -> AsyncIterator[Nodes]:
    async with AsyncExitStack() as stack:
        yield Nodes(system.server.url, stack)


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


async def test_members_read_each_other_and_the_document(system: System, nodes: Nodes) -> None:
    one, two = new_node(), new_node()
    federation = federation_of(one, two)
    grants = await system.backend.apply(federation)
    document = Signed(payload="e30=", key="0" * 16, sig="c2ln")
    await system.backend.publish_document(federation, document)

    grant = grants[one.member.uuid]
    assert grant.hosts == ("nats://outside.example:4222",)
    writer = await nodes.writer(one, grant)
    reader = await nodes.reader(two, grants[two.member.uuid])
    wakes = await listen(reader, grant.heads)

    jetstream = writer.jetstream()
    ack = await jetstream.publish(f"{grant.data}.1", b"", headers={"Nats-Rollup": "sub"})
    first = await jetstream.publish(f"{grant.data}.1", b"chunk" * 100_000)
    await jetstream.publish(grant.head, b"the head")
    assert first.seq == ack.seq + 1

    wake = await wakes.next_msg(WAIT)
    address = address_of(one.member.uuid)
    assert wake.subject == address.head
    assert await last_head(reader, address.get) == b"the head"
    chunk = await reader.request(address.get, json.dumps({"seq": first.seq}).encode(), timeout=WAIT)
    assert chunk.data == b"chunk" * 100_000
    assert Signed.model_validate_json(await last_head(reader, grant.get)) == document


async def test_the_document_is_published_once_and_wakes_readers(system: System, nodes: Nodes) -> None:
    node = new_node()
    federation = federation_of(node)
    grant = (await system.backend.apply(federation))[node.member.uuid]
    reader = await nodes.reader(node, grant)
    wakes = await listen(reader, grant.heads)
    for payload in ("MQ==", "MQ==", "Mg=="):
        await system.backend.publish_document(federation, Signed(payload=payload, key="k", sig="s"))
    seen = [json.loads((await wakes.next_msg(WAIT)).data)["payload"] for _ in range(2)]
    assert seen == ["MQ==", "Mg=="]


async def test_ask_reaches_the_other_readers_under_the_own_name_only(system: System, nodes: Nodes) -> None:
    one, two = new_node(), new_node()
    grants = await system.backend.apply(federation_of(one, two))
    asking = await nodes.reader(one, grants[one.member.uuid])
    asked = await nodes.reader(two, grants[two.member.uuid])
    wakes = await listen(asked, f"{grants[two.member.uuid].ask}.*")
    await asking.publish(f"ask.{two.member.uuid}", b"forged")
    await asking.publish(f"ask.{one.member.uuid}", b"mine")
    assert (await wakes.next_msg(WAIT)).subject == f"ask.{one.member.uuid}"


async def test_a_writer_keeps_to_its_subjects(system: System, nodes: Nodes) -> None:
    one, two = new_node(), new_node()
    grants = await system.backend.apply(federation_of(one, two))
    writer = await nodes.writer(one, grants[one.member.uuid])
    jetstream = writer.jetstream(timeout=REFUSED)
    await jetstream.publish("head", b"kept", timeout=WAIT)
    refused: list[Callable[[], Awaitable[object]]] = [
        lambda: jetstream.purge_stream("SNAPSHOT"),
        lambda: jetstream.delete_stream("SNAPSHOT"),
        lambda: jetstream.add_stream(name="OTHER", subjects=["other"]),
        lambda: writer.request("other", b"", timeout=REFUSED),
        lambda: writer.request(f"get.{two.member.uuid}", b"", timeout=REFUSED),
    ]
    for attempt in refused:
        with pytest.raises((nats.errors.TimeoutError, nats.errors.NoRespondersError)):
            await attempt()
    reader = await nodes.reader(two, grants[two.member.uuid])
    assert await last_head(reader, address_of(one.member.uuid).get) == b"kept"


async def test_a_forged_reply_subject_changes_nothing_of_another_member(system: System, nodes: Nodes) -> None:
    victim, attacker = new_node(), new_node()
    grants = await system.backend.apply(federation_of(victim, attacker))
    await (await nodes.writer(victim, grants[victim.member.uuid])).jetstream().publish("head", b"true")
    await (await nodes.writer(attacker, grants[attacker.member.uuid])).jetstream().publish("head", b"false")
    attacking = await nodes.reader(attacker, grants[attacker.member.uuid])
    own = address_of(attacker.member.uuid).get
    for reply in (address_of(victim.member.uuid).head, "head", "$JS.API.STREAM.PURGE.SNAPSHOT"):
        await attacking.publish(own, b'{"last_by_subj":"head"}', reply=reply)
    assert await last_head(attacking, own) == b"false"  # all of them have been served by now
    reader = await nodes.reader(victim, grants[victim.member.uuid])
    assert await last_head(reader, address_of(victim.member.uuid).get) == b"true"
    assert await last_head(reader, own) == b"false"


async def test_a_second_apply_changes_nothing(system: System) -> None:
    federation = federation_of(new_node(), new_node())
    first = await system.backend.apply(federation)
    pushed = system.pushed()
    assert pushed == 4
    assert await system.backend.apply(federation) == first
    assert system.pushed() == pushed


async def test_a_third_member_disconnects_nobody(system: System, nodes: Nodes) -> None:
    one, two, three = new_node(), new_node(), new_node()
    federation = federation_of(one, two)
    grants = await system.backend.apply(federation)
    writer = await nodes.writer(one, grants[one.member.uuid])
    reader = await nodes.reader(two, grants[two.member.uuid])
    wakes = await listen(reader, "head.*")

    grants = await system.backend.apply(with_members(federation, one, two, three))
    await (await nodes.writer(three, grants[three.member.uuid])).jetstream().publish("head", b"three")
    await writer.jetstream().publish("head", b"one")
    subjects = {(await wakes.next_msg(WAIT)).subject for _ in range(2)}
    assert subjects == {address_of(one.member.uuid).head, address_of(three.member.uuid).head}
    assert await last_head(reader, address_of(three.member.uuid).get) == b"three"
    assert writer.is_connected
    assert reader.is_connected


async def test_a_removed_member_is_cut_and_can_no_longer_be_read(system: System, nodes: Nodes) -> None:
    stays, goes = new_node(), new_node()
    federation = federation_of(stays, goes)
    grants = await system.backend.apply(federation)
    granted = grants[goes.member.uuid]
    writer, reader = await nodes.writer(goes, granted), await nodes.reader(goes, granted)
    other = await nodes.reader(stays, grants[stays.member.uuid])
    await writer.jetstream().publish("head", b"last words")
    assert await last_head(other, address_of(goes.member.uuid).get) == b"last words"

    remaining = with_members(federation, stays)
    await system.backend.remove_member(remaining, goes.member.seeds)
    await nodes.closed(writer)
    await nodes.closed(reader)
    with pytest.raises(nats.errors.NoRespondersError):
        await other.request(address_of(goes.member.uuid).get, b'{"last_by_subj":"head"}', timeout=WAIT)
    assert other.is_connected
    assert public_key(goes.member.seeds.account) not in await system.accounts()
    for connect in (nodes.writer, nodes.reader):
        with pytest.raises(nats.errors.Error, match="Authorization Violation"):
            await connect(goes, granted)
    await system.backend.remove_member(remaining, goes.member.seeds)
    await system.backend.apply(remaining)


async def test_deleting_leaves_no_account_and_a_healthy_server(system: System) -> None:
    node = new_node()
    federation, other = federation_of(node), federation_of(new_node())
    await system.backend.apply(other)
    kept = await system.accounts()
    await system.backend.apply(federation)
    await system.backend.publish_document(federation, Signed(payload="MQ==", key="k", sig="s"))
    await system.backend.delete(federation)
    await system.backend.delete(federation)
    assert await system.accounts() == kept
    assert system.is_healthy()
    system.server.stop()
    system.server.start()
    assert system.is_healthy()
    assert await system.accounts() == kept
    await system.backend.apply(other)


async def test_a_missing_stream_is_made_again(system: System) -> None:
    node = new_node()
    federation = federation_of(node)
    await system.backend.apply(federation)
    seeds = node.member.seeds
    async with account_connection(
        (system.server.url,), seeds.account, seeds.signing, name="test", timeout=WAIT
    ) as connection:
        await connection.jetstream().delete_stream("SNAPSHOT")
        await system.backend.apply(federation)
        info = await connection.jetstream().stream_info("SNAPSHOT")
        assert info.config.subjects == ["data.*", "head"]
        await connection.jetstream().update_stream(info.config, allow_rollup_hdrs=False)
        await system.backend.apply(federation)
        assert (await connection.jetstream().stream_info("SNAPSHOT")).config.allow_rollup_hdrs


async def test_a_lost_or_changed_account_is_pushed_again(system: System, nodes: Nodes) -> None:
    node = new_node()
    federation = federation_of(node)
    grants = await system.backend.apply(federation)
    writer = await nodes.writer(node, grants[node.member.uuid])
    await writer.jetstream().publish("head", b"kept")
    connection = await system.system_user()
    changed = account_without_storage(
        "test",
        node.member.seeds.account,
        node.member.seeds.signing,
        system.identity.operator_signing_seed,
        ISSUED,
    )
    await connection.request("$SYS.REQ.CLAIMS.UPDATE", changed.encode(), timeout=WAIT)
    await connection.close()
    await system.backend.apply(federation)
    reader = await nodes.reader(node, grants[node.member.uuid])
    assert await last_head(reader, address_of(node.member.uuid).get) == b"kept"


async def test_everything_survives_a_restart_of_the_server(system: System, nodes: Nodes) -> None:
    node = new_node()
    federation = federation_of(node)
    grants = await system.backend.apply(federation)
    writer = await nodes.writer(node, grants[node.member.uuid])
    await writer.jetstream().publish("head", b"kept")
    system.server.process.kill()
    system.server.start()
    await nodes.closed(writer)
    pushed = system.pushed()
    assert await system.backend.apply(federation) == grants
    assert system.pushed() == pushed
    reader = await nodes.reader(node, grants[node.member.uuid])
    assert await last_head(reader, address_of(node.member.uuid).get) == b"kept"


async def test_an_import_without_a_token_gets_no_answer(system: System, nodes: Nodes) -> None:
    node = new_node()
    federation = federation_of(node)
    await system.backend.apply(federation)
    stranger = new_node()
    outside = federation_of(stranger)
    grants = await system.backend.apply(outside)
    # The stranger's readers' account with an import of the other federation's member, but no token for it.
    connection = await system.system_user()
    readers = public_key(outside.seeds.readers_account)
    stored = (await connection.request(f"$SYS.REQ.ACCOUNT.{readers}.CLAIMS.LOOKUP", timeout=WAIT)).data
    body = decode(stored.decode())["nats"]
    assert isinstance(body, dict)
    assert isinstance(body["imports"], list)
    body["imports"].append(
        {
            "name": "x",
            "subject": "$JS.API.DIRECT.GET.SNAPSHOT",
            "account": public_key(node.member.seeds.account),
            "local_subject": "get.stolen",
            "type": "service",
        }
    )
    forged = encode(
        "account", body, subject=readers, signer=system.identity.operator_signing_seed, issued=ISSUED
    )
    answer = await connection.request("$SYS.REQ.CLAIMS.UPDATE", forged.encode(), timeout=WAIT)
    assert json.loads(answer.data)["data"]["code"] == 200
    await connection.close()
    reader = await nodes.reader(stranger, grants[stranger.member.uuid])
    with pytest.raises((nats.errors.NoRespondersError, nats.errors.TimeoutError)):
        await reader.request("get.stolen", b'{"last_by_subj":"head"}', timeout=REFUSED)


async def test_a_full_stream_refuses_its_writer_alone(system: System, nodes: Nodes) -> None:
    full, other = new_node(), new_node()
    grants = await system.backend.apply(federation_of(full, other, stream_max_bytes=2 * MIB))
    jetstream = (await nodes.writer(full, grants[full.member.uuid])).jetstream()
    for _ in range(3):
        await jetstream.publish("data.0", b"x" * (MIB // 2))
    with pytest.raises(APIError, match="resource limits exceeded"):
        await jetstream.publish("data.0", b"x" * (MIB // 2))
    await jetstream.publish("data.0", b"", headers={"Nats-Rollup": "sub"})  # a full stream can be freed
    await jetstream.publish("data.0", b"x" * (MIB // 2))
    await (await nodes.writer(other, grants[other.member.uuid])).jetstream().publish("head", b"fine")


async def test_no_capacity_is_told_before_anything_is_pushed(programs: None, tmp_path: Path) -> None:
    async with running_system(tmp_path, "100Mi") as system:
        fits, too_much = new_node(), new_node()
        federation = federation_of(fits, stream_max_bytes=64 * MIB)
        await system.backend.apply(federation)
        before = await system.accounts()
        with pytest.raises(NoCapacityError, match=r"federation iris needs 67108864 bytes .*maxFileStore"):
            await system.backend.apply(with_members(federation, fits, too_much))
        assert await system.accounts() == before
        await system.backend.remove_member(with_members(federation, too_much), fits.member.seeds)
        await system.backend.apply(with_members(federation, too_much))


async def test_refused_credentials_and_keys_say_which_secret(system: System) -> None:
    foreign = identity_from(new_seed(OPERATOR), ISSUED)
    right = settings_for(system.server.url, system.identity)
    cases: list[tuple[NatsSettings, str]] = [
        (dataclasses.replace(right, system_creds=foreign.system_creds), "symfed-nats-system"),
        (dataclasses.replace(right, system_creds="nonsense"), "symfed-nats-system"),
        (
            dataclasses.replace(right, operator_signing_seed=foreign.operator_signing_seed),
            "symfed-nats-operator",
        ),
    ]
    for settings, secret in cases:
        backend = NatsBackend(settings)
        try:
            with pytest.raises(AuthorizationFailedError, match=secret) as caught:
                await backend.apply(federation_of(new_node()))
        finally:
            await backend.close()
        assert secret == "symfed-nats-system" or system.server.url in str(caught.value)
        assert right.operator_signing_seed not in str(caught.value)


async def test_a_server_that_is_down_is_named_and_found_again(system: System, nodes: Nodes) -> None:
    node = new_node()
    federation = federation_of(node)
    grants = await system.backend.apply(federation)
    writer = await nodes.writer(node, grants[node.member.uuid])
    system.server.stop()
    await nodes.closed(writer)
    with pytest.raises(UnreachableError, match=system.server.url):
        await system.backend.apply(federation)
    system.server.start()
    await system.backend.apply(federation)


async def test_nobody_listening_is_unreachable(system: System) -> None:
    url = f"nats://127.0.0.1:{free_port()}"
    backend = NatsBackend(settings_for(url, system.identity))
    with pytest.raises(UnreachableError, match=f"{url} cannot be reached: .*Connect call failed"):
        await backend.apply(federation_of(new_node()))


async def test_a_server_without_jetstream_is_told(programs: None, tmp_path: Path) -> None:
    identity = identity_from(new_seed(OPERATOR), ISSUED)
    text = nats_conf(identity, NatsServerSettings(nats_data=str(tmp_path)))
    config = tmp_path / "nats.conf"
    config.write_text(text[: text.index("jetstream {")])
    with ConfiguredServer(config, tmp_path / "nats") as server:
        backend = NatsBackend(settings_for(server.url, identity))
        with pytest.raises(JetStreamDisabledError, match="JetStream switched off"):
            await backend.apply(federation_of(new_node()))
        await backend.close()


SECRETS_MADE = ("symfed-nats-root", "symfed-nats-operator", "symfed-nats-system", "symfed-nats-config")


async def stored_secrets(kube: Kube, namespace: str) -> dict[str, JsonObject]:
    secrets = [await kube.get(SECRETS, namespace, name) for name in SECRETS_MADE]
    return {name: {"data": secret["data"]} for name, secret in zip(SECRETS_MADE, secrets, strict=True)}


async def test_the_hook_makes_the_identity_once(kube: Kube, namespace: str) -> None:
    settings = NatsServerSettings()
    await bootstrap(kube, namespace, settings)
    made = await stored_secrets(kube, namespace)
    await bootstrap(kube, namespace, settings)
    assert await stored_secrets(kube, namespace) == made
    for name in SECRETS_MADE[1:]:  # as a crash leaves them
        await kube.delete(SECRETS, namespace, name)
        await bootstrap(kube, namespace, settings)
        assert await stored_secrets(kube, namespace) == made


async def test_an_upgrade_changes_the_configuration_and_keeps_the_keys(kube: Kube, namespace: str) -> None:
    await bootstrap(kube, namespace, NatsServerSettings(nats_max_file_store="10Gi"))
    before = await stored_secrets(kube, namespace)
    await bootstrap(kube, namespace, NatsServerSettings(nats_max_file_store="20Gi"))
    after = await stored_secrets(kube, namespace)
    assert [name for name in SECRETS_MADE if before[name] != after[name]] == ["symfed-nats-config"]


async def test_a_lost_root_is_not_replaced_under_living_accounts(kube: Kube, namespace: str) -> None:
    await bootstrap(kube, namespace, NatsServerSettings())
    await kube.delete(SECRETS, namespace, "symfed-nats-root")
    with pytest.raises(BootstrapError, match="restore the symfed-nats-root"):
        await bootstrap(kube, namespace, NatsServerSettings())
