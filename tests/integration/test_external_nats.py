"""What operators make on a NATS that somebody else runs, by each way of logging in, and what they free."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from symfed_operator.backends.nats import shared
from tests.integration.external_federation import MIB, ExternalFederation, new_federation
from tests.integration.external_nats import WAYS, external_server, fill


@pytest.fixture(params=WAYS, ids=lambda way: way.name)
async def federation(
    programs: None, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[ExternalFederation]:
    """On a server with one way of logging in; nothing is made yet."""
    nats = external_server(tmp_path, request.param)
    with nats.server:
        yield new_federation(nats)


@pytest.fixture
async def somebody(federation: ExternalFederation) -> AsyncIterator[JetStreamContext]:
    """Who has the login too."""
    async with federation.nats.somebody() as connection:
        yield connection.jetstream()


async def names(of: JetStreamContext) -> set[str]:
    return {info.config.name or "" for info in await of.streams_info()}


async def config(of: JetStreamContext, stream: str) -> StreamConfig:
    return (await of.stream_info(stream)).config


async def test_each_operator_makes_its_own_stream(
    federation: ExternalFederation, somebody: JetStreamContext
) -> None:
    one, two = federation.peers
    applied = await federation.backend.apply(federation.wanted)
    assert applied.grants == {
        peer: shared.grant(federation.uid, peer, (federation.nats.url,)) for peer in federation.peers
    }
    assert applied.faults == ()
    assert await names(somebody) == {federation.stream("federation")}
    assert await federation.side(one).apply() == "the stream is as it must be"
    assert await names(somebody) == {federation.stream("federation"), federation.stream(one)}
    await federation.side(two).apply()

    made = await config(somebody, federation.stream(one))
    assert made.subjects == [f"sf.{federation.uid}.{one}.data.*", f"sf.{federation.uid}.{one}.head"]
    assert made.max_bytes == 16 * MIB
    kinds = (made.retention, made.storage, made.discard)
    assert kinds == (RetentionPolicy.LIMITS, StorageType.FILE, DiscardPolicy.NEW)
    assert made.num_replicas == 1
    assert made.allow_rollup_hdrs
    assert made.allow_direct
    assert made.deny_delete
    assert not made.deny_purge
    assert (made.max_msgs, made.max_msgs_per_subject, made.max_age) == (-1, -1, 0)
    document = await config(somebody, federation.stream("federation"))
    assert document.max_bytes == 16 * MIB


async def test_what_is_as_it_must_be_is_left_alone(
    federation: ExternalFederation, somebody: JetStreamContext
) -> None:
    await federation.make()
    before = {name: (await somebody.stream_info(name)).state for name in await names(somebody)}
    assert len(before) == 3
    await federation.make()
    assert {name: (await somebody.stream_info(name)).state for name in await names(somebody)} == before


async def test_a_changed_document_is_published_and_a_forged_one_replaced(
    federation: ExternalFederation, somebody: JetStreamContext
) -> None:
    await federation.make()
    stream, head = federation.stream("federation"), f"sf.{federation.uid}.federation.head"
    forged = federation.document(9, key=Ed25519PrivateKey.generate())
    await somebody.publish(head, forged.model_dump_json().encode())
    second = federation.document(2)
    for _ in range(2):
        await federation.backend.publish_document(federation.wanted, second)
    newest = await somebody.get_last_msg(stream, head)
    assert newest.data == second.model_dump_json().encode()
    assert newest.seq == 3


@pytest.mark.parametrize("subject", ["head", "data.x"])
async def test_a_document_is_published_where_somebody_has_left_no_room(
    federation: ExternalFederation, somebody: JetStreamContext, subject: str
) -> None:
    await federation.make()
    stream, prefix = federation.stream("federation"), f"sf.{federation.uid}.federation"
    await fill(somebody, f"{prefix}.{subject}")
    second = federation.document(2)
    await federation.backend.publish_document(federation.wanted, second)
    newest = await somebody.get_last_msg(stream, f"{prefix}.head")
    assert newest.data == second.model_dump_json().encode()


async def test_drift_is_set_right(federation: ExternalFederation, somebody: JetStreamContext) -> None:
    await federation.make()
    peer = federation.peers[0]
    name = federation.stream(peer)
    await somebody.publish(f"sf.{federation.uid}.{peer}.head", b"kept")
    good = await config(somebody, name)
    drifts: list[dict[str, object]] = [
        {"max_age": 600.0},
        {"discard": DiscardPolicy.OLD},
        {"max_msgs_per_subject": 1},
        {"subjects": [*(good.subjects or []), "other"]},
        {"max_bytes": MIB},
        {"allow_direct": False},
    ]
    for drift in drifts:
        await somebody.update_stream(good, **drift)
        assert await config(somebody, name) != good
        await federation.side(peer).apply()
        assert await config(somebody, name) == good
    assert (await somebody.stream_info(name)).state.messages == 1


async def test_what_cannot_be_set_right_is_made_anew(
    federation: ExternalFederation, somebody: JetStreamContext
) -> None:
    await federation.make()
    peer = federation.peers[0]
    name = federation.stream(peer)
    good = await config(somebody, name)
    await somebody.update_stream(good, sealed=True)
    await federation.side(peer).apply()
    assert await config(somebody, name) == good
    others: list[dict[str, object]] = [
        {"storage": StorageType.MEMORY},
        {"retention": RetentionPolicy.WORK_QUEUE, "deny_delete": False},
        {"allow_msg_counter": True, "discard": DiscardPolicy.OLD},
        {"persist_mode": "async"},
    ]
    for other in others:
        await somebody.delete_stream(name)
        await somebody.add_stream(good, **other)
        assert await config(somebody, name) != good
        await federation.side(peer).apply()
        assert await config(somebody, name) == good


async def test_old_heads_are_dropped(federation: ExternalFederation, somebody: JetStreamContext) -> None:
    await federation.make()
    peer = federation.peers[0]
    head = f"sf.{federation.uid}.{peer}.head"
    for number in range(1001):
        await somebody.publish(head, str(number).encode())
    await federation.side(peer).apply()
    assert (await somebody.stream_info(federation.stream(peer))).state.messages == 100
    assert (await somebody.get_last_msg(federation.stream(peer), head)).data == b"1000"


async def test_a_stream_is_as_large_as_the_newest_document_says(
    federation: ExternalFederation, somebody: JetStreamContext
) -> None:
    await federation.make()
    peer = federation.peers[0]
    newer = federation.document(2, stream_max_bytes=32 * MIB)
    await federation.backend.publish_document(federation.wanted, newer)
    await federation.side(peer).apply()
    assert (await config(somebody, federation.stream(peer))).max_bytes == 32 * MIB


async def test_a_forged_document_makes_no_stream_smaller(
    federation: ExternalFederation, somebody: JetStreamContext
) -> None:
    await federation.make()
    peer = federation.peers[0]
    forged = federation.document(9, stream_max_bytes=MIB, key=Ed25519PrivateKey.generate())
    for data in (forged.model_dump_json().encode(), b"no document", b""):
        await somebody.publish(f"sf.{federation.uid}.federation.head", data)
        await federation.side(peer).apply()
        assert (await config(somebody, federation.stream(peer))).max_bytes == 16 * MIB


async def test_a_removed_members_stream_goes_and_does_not_come_back(
    federation: ExternalFederation, somebody: JetStreamContext
) -> None:
    await federation.make()
    stays, goes = federation.peers
    remaining = federation.wanting(stays)
    await federation.backend.publish_document(remaining, federation.document(2, removed=goes))
    for _ in range(2):
        await federation.backend.remove_member(remaining, federation.gone(goes))
    kept = {federation.stream("federation"), federation.stream(stays)}
    assert await names(somebody) == kept
    assert "removed this peer" in await federation.side(goes).apply()
    assert await names(somebody) == kept


async def test_a_member_that_another_object_still_is_keeps_its_stream(
    federation: ExternalFederation, somebody: JetStreamContext
) -> None:
    await federation.make()
    await federation.backend.remove_member(federation.wanted, federation.gone(federation.peers[0]))
    assert federation.stream(federation.peers[0]) in await names(somebody)


async def test_a_peer_that_leaves_deletes_its_stream_or_retains_it(
    federation: ExternalFederation, somebody: JetStreamContext
) -> None:
    await federation.make()
    leaves = federation.peers[0]
    await federation.side(leaves).delete(retains=True)
    assert federation.stream(leaves) in await names(somebody)
    for _ in range(2):
        await federation.side(leaves).delete(retains=False)
    assert federation.stream(leaves) not in await names(somebody)


async def test_retain_leaves_all_and_delete_frees_all_of_this_federation(
    federation: ExternalFederation, somebody: JetStreamContext
) -> None:
    other = new_federation(federation.nats)
    await federation.make()
    await other.make()
    await somebody.add_stream(name="SF_x", subjects=["somebodys.own"])
    before = await names(somebody)
    await federation.backend.retain_member(federation.wanting(), federation.gone(federation.peers[0]))
    await federation.backend.retain(federation.wanting())
    assert await names(somebody) == before
    for _ in range(2):
        await federation.backend.delete(federation.wanting())
    assert await names(somebody) == {name for name in before if federation.uid not in name}
    with pytest.raises(NotFoundError):
        await somebody.stream_info(federation.stream("federation"))
