"""The NATS backend against a real server: what is lost or full, gone or refused, and what is said then."""

import dataclasses
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import nats.errors
import pytest
from nats.js.errors import APIError

from symfed_operator.backends.base import (
    AuthorizationFailedError,
    JetStreamDisabledError,
    NoCapacityError,
    UnreachableError,
)
from symfed_operator.backends.nats.account import account_without_storage, address_of
from symfed_operator.backends.nats.backend import NatsBackend, NatsSettings
from symfed_operator.backends.nats.connection import account_connection
from symfed_operator.backends.nats.jwt import decode, encode
from symfed_operator.backends.nats.keys import (
    OPERATOR,
    new_seed,
    public_key,
)
from symfed_operator.bootstrap import (
    NatsServerSettings,
    identity_from,
    nats_conf,
)
from symfed_wire.documents import Signed
from tests.integration.nats_system import (
    ISSUED,
    MIB,
    REFUSED,
    WAIT,
    Nodes,
    System,
    federation_of,
    granted,
    last_head,
    new_node,
    running_system,
    settings_for,
    with_members,
)
from tests.integration.servers import NatsServer, free_port


@pytest.fixture
async def system(programs: None, tmp_path: Path) -> AsyncIterator[System]:
    async with running_system(tmp_path) as running:
        yield running


@pytest.fixture
async def nodes(system: System) -> AsyncIterator[Nodes]:
    async with AsyncExitStack() as stack:
        yield Nodes(system.server.url, stack)


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
    system.restart()
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
    grants = await granted(system.backend, federation)
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
    grants = await granted(system.backend, federation)
    writer = await nodes.writer(node, grants[node.member.uuid])
    await writer.jetstream().publish("head", b"kept")
    system.server.process.kill()
    system.server.start()
    await nodes.closed(writer)
    pushed = system.pushed()
    assert await granted(system.backend, federation) == grants
    assert system.pushed() == pushed
    reader = await nodes.reader(node, grants[node.member.uuid])
    assert await last_head(reader, address_of(node.member.uuid).get) == b"kept"


async def test_an_import_without_a_token_gets_no_answer(system: System, nodes: Nodes) -> None:
    node = new_node()
    federation = federation_of(node)
    await system.backend.apply(federation)
    stranger = new_node()
    outside = federation_of(stranger)
    grants = await granted(system.backend, outside)
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
    grants = await granted(system.backend, federation_of(full, other, stream_max_bytes=2 * MIB))
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
        await system.backend.remove_member(with_members(federation, too_much), fits.gone)
        await system.backend.apply(with_members(federation, too_much))


async def test_what_leaves_makes_room_for_what_comes(programs: None, tmp_path: Path) -> None:
    async with running_system(tmp_path, "100Mi") as system, AsyncExitStack() as stack:
        goes, comes = new_node(), new_node()
        federation = federation_of(goes, stream_max_bytes=64 * MIB)
        await system.backend.apply(federation)
        wanted = with_members(federation, comes)
        await system.backend.remove_member(wanted, goes.gone)
        grants = await granted(system.backend, wanted)
        nodes = Nodes(system.server.url, stack)
        writer = await nodes.writer(comes, grants[comes.member.uuid])
        await writer.jetstream().publish("head", b"there")
        reader = await nodes.reader(comes, grants[comes.member.uuid])
        assert await last_head(reader, address_of(comes.member.uuid).get) == b"there"


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
    grants = await granted(system.backend, federation)
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
    with NatsServer(config, tmp_path / "nats") as server:
        backend = NatsBackend(settings_for(server.url, identity))
        with pytest.raises(JetStreamDisabledError, match="JetStream switched off"):
            await backend.apply(federation_of(new_node()))
        await backend.close()
