"""The NATS backend against a real server: what members can do, and what they cannot."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import nats.errors
import pytest

from symfed_operator.backends.nats.account import address_of
from symfed_operator.backends.nats.keys import (
    public_key,
)
from symfed_wire.documents import Signed
from tests.integration.nats_system import (
    REFUSED,
    WAIT,
    Nodes,
    System,
    federation_of,
    granted,
    last_head,
    listen,
    nats_grants,
    new_node,
    running_system,
    with_members,
)


@pytest.fixture
async def system(programs: None, tmp_path: Path) -> AsyncIterator[System]:
    async with running_system(tmp_path) as running:
        yield running


@pytest.fixture
async def nodes(system: System) -> AsyncIterator[Nodes]:
    async with AsyncExitStack() as stack:
        yield Nodes(system.server.url, stack)


async def test_members_read_each_other_and_the_document(system: System, nodes: Nodes) -> None:
    one, two = new_node(), new_node()
    federation = federation_of(one, two)
    grants = await granted(system.backend, federation)
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
    grant = (await granted(system.backend, federation))[node.member.uuid]
    reader = await nodes.reader(node, grant)
    wakes = await listen(reader, grant.heads)
    for payload in ("MQ==", "MQ==", "Mg=="):
        await system.backend.publish_document(federation, Signed(payload=payload, key="k", sig="s"))
    seen = [json.loads((await wakes.next_msg(WAIT)).data)["payload"] for _ in range(2)]
    assert seen == ["MQ==", "Mg=="]


async def test_ask_reaches_the_other_readers_under_the_own_name_only(system: System, nodes: Nodes) -> None:
    one, two = new_node(), new_node()
    grants = await granted(system.backend, federation_of(one, two))
    asking = await nodes.reader(one, grants[one.member.uuid])
    asked = await nodes.reader(two, grants[two.member.uuid])
    wakes = await listen(asked, f"{grants[two.member.uuid].ask}.*")
    await asking.publish(f"ask.{two.member.uuid}", b"forged")
    await asking.publish(f"ask.{one.member.uuid}", b"mine")
    assert (await wakes.next_msg(WAIT)).subject == f"ask.{one.member.uuid}"


async def test_a_writer_keeps_to_its_subjects(system: System, nodes: Nodes) -> None:
    one, two = new_node(), new_node()
    grants = await granted(system.backend, federation_of(one, two))
    writer = await nodes.writer(one, grants[one.member.uuid])
    jetstream = writer.jetstream(timeout=REFUSED)
    await jetstream.publish("head", b"kept", timeout=WAIT)
    refused: list[Callable[[], Awaitable[object]]] = [
        lambda: jetstream.purge_stream("SNAPSHOT"),
        lambda: jetstream.delete_stream("SNAPSHOT"),
        lambda: jetstream.add_stream(name="OTHER", subjects=["other"]),
        lambda: writer.request("other", b"", timeout=REFUSED),
        lambda: jetstream.publish("data.2", b""),
        lambda: writer.request(f"get.{two.member.uuid}", b"", timeout=REFUSED),
    ]
    for attempt in refused:
        with pytest.raises((nats.errors.TimeoutError, nats.errors.NoRespondersError)):
            await attempt()
    reader = await nodes.reader(two, grants[two.member.uuid])
    assert await last_head(reader, address_of(one.member.uuid).get) == b"kept"


async def test_a_member_that_takes_all_its_connections_harms_nobody_else(
    system: System, nodes: Nodes
) -> None:
    greedy, other, third = new_node(), new_node(), new_node()
    federation = federation_of(greedy, other)
    grants = await granted(system.backend, federation)
    for _ in range(8):
        await nodes.writer(greedy, grants[greedy.member.uuid])
    with pytest.raises(nats.errors.Error, match="maximum account active connections exceeded"):
        await nodes.writer(greedy, grants[greedy.member.uuid])
    applied = await system.backend.apply(with_members(federation, greedy, other, third))
    assert [fault.reason for fault in applied.faults] == ["TooManyConnections"]
    assert f"account of member {greedy.member.uuid} " in str(applied.faults[0])
    assert set(applied.grants) == {other.member.uuid, third.member.uuid}
    writer = await nodes.writer(third, nats_grants(applied)[third.member.uuid])
    await writer.jetstream().publish("head", b"fine")
    remaining = with_members(federation, other, third)
    await system.backend.remove_member(remaining, greedy.gone)
    assert public_key(greedy.member.seeds.account) not in await system.accounts()
    assert set(await granted(system.backend, remaining)) == {other.member.uuid, third.member.uuid}
    assert writer.is_connected


async def test_a_forged_reply_subject_changes_nothing_of_another_member(system: System, nodes: Nodes) -> None:
    victim, attacker = new_node(), new_node()
    grants = await granted(system.backend, federation_of(victim, attacker))
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
    grants = await granted(system.backend, federation)
    writer = await nodes.writer(one, grants[one.member.uuid])
    reader = await nodes.reader(two, grants[two.member.uuid])
    wakes = await listen(reader, "head.*")

    grants = await granted(system.backend, with_members(federation, one, two, three))
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
    grants = await granted(system.backend, federation)
    own_grant = grants[goes.member.uuid]
    writer, reader = await nodes.writer(goes, own_grant), await nodes.reader(goes, own_grant)
    other = await nodes.reader(stays, grants[stays.member.uuid])
    await writer.jetstream().publish("head", b"last words")
    assert await last_head(other, address_of(goes.member.uuid).get) == b"last words"

    remaining = with_members(federation, stays)
    await system.backend.remove_member(remaining, goes.gone)
    await nodes.closed(writer)
    await nodes.closed(reader)
    with pytest.raises(nats.errors.NoRespondersError):
        await other.request(address_of(goes.member.uuid).get, b'{"last_by_subj":"head"}', timeout=WAIT)
    assert other.is_connected
    assert public_key(goes.member.seeds.account) not in await system.accounts()
    for connect in (nodes.writer, nodes.reader):
        with pytest.raises(nats.errors.Error, match="Authorization Violation"):
            await connect(goes, own_grant)
    await system.backend.remove_member(remaining, goes.gone)
    await system.backend.apply(remaining)
