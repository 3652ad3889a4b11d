"""Snapshots over AWS between two accounts: parts, two epochs, conditional puts, sealing, wake-ups."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from symfed_node.exchange.aws_bodies import PART, WHOLE
from symfed_node.exchange.base import ReplacedError, Wake
from symfed_node.exchange.chunks import CHUNK
from symfed_wire.aws_layout import HEAD_OBJECT, Pointer, snapshot_object
from symfed_wire.errors import MalformedError, UnsealError
from symfed_wire.sealing import ChunkSealer
from tests.integration.aws_proxy import AwsProxy
from tests.integration.aws_servers import MOTO_ACCOUNT, AwsServer, running
from tests.integration.node_aws_world import AwsExchanges, AwsWorld, new_aws_world, opened_exchanges, until

SIZE = 3 * CHUNK + 12345


@pytest.fixture
def world(ministack: AwsServer, tmp_path: Path) -> AwsWorld:
    """A federation without nodes."""
    return new_aws_world(ministack, tmp_path)


@pytest.fixture
async def peers(world: AwsWorld) -> AsyncIterator[AwsExchanges]:
    async with opened_exchanges(world) as made:
        yield made


async def test_a_snapshot_comes_through_to_another_account(world: AwsWorld, peers: AwsExchanges) -> None:
    member = world.peers[0].member
    assert await peers.exchanges[1].head(member) is None
    head = await peers.put(0, 1, body := secrets.token_bytes(SIZE))
    assert head.object == world.peers[0].prefix + snapshot_object(1, head.sha256)
    assert await peers.woke(1) is Wake.HEAD
    assert await peers.woke(2) is Wake.HEAD
    assert peers.read_head(0, await peers.exchanges[1].head(member)) == head
    assert await peers.exchanges[1].body(member, head, None) == body
    assert peers.woken[0].empty()  # nobody wakes itself


async def test_a_snapshot_of_many_parts_comes_through(world: AwsWorld, peers: AwsExchanges) -> None:
    body = secrets.token_bytes(WHOLE + PART + 1)
    head = await peers.put(2, 1, body)
    assert await peers.exchanges[0].body(world.peers[2].member, head, None) == body
    s3 = world.peers[2].account.s3
    etag = s3.head_object(Bucket=world.peers[2].place.bucket, Key=head.object or "")["ETag"]
    assert etag.endswith('-4"')


async def test_two_epochs_are_kept(world: AwsWorld, peers: AwsExchanges) -> None:
    member, reader = world.peers[0].member, peers.exchanges[2]
    bodies = [secrets.token_bytes(SIZE) for _ in range(5)]
    heads = [await peers.put(0, epoch, body) for epoch, body in enumerate(bodies, 1)]
    assert world.peers[0].objects() == sorted(
        [HEAD_OBJECT, *(snapshot_object(head.epoch, head.sha256) for head in heads[-2:])]
    )
    assert await reader.body(member, heads[-1], None) == bodies[-1]
    assert await reader.body(member, heads[-2], None) == bodies[-2]
    with pytest.raises(ReplacedError, match="the snapshot is gone: s3:GetObject on arn:aws:s3:::iris-"):
        await reader.body(member, heads[-3], None)


async def test_a_put_that_got_no_head_is_tidied_up_by_the_next(world: AwsWorld, peers: AwsExchanges) -> None:
    """Also one of another process, and nothing that is not a snapshot of this peer."""
    peer = world.peers[0]
    strangers = ["7-not-a-snapshot", "9-0123456789abcdef", "notes.txt"]
    for name in (*strangers, "1-0123456789abcdef"):
        peer.account.s3.put_object(Bucket=peer.place.bucket, Key=peer.prefix + name, Body=b"orphan")
    heads = [await peers.put(0, epoch, secrets.token_bytes(100)) for epoch in (2, 3, 4)]
    kept = [snapshot_object(head.epoch, head.sha256) for head in heads[-2:]]
    assert peer.objects() == sorted([HEAD_OBJECT, *kept, *strangers])


async def test_a_repeated_put_of_one_epoch_is_whole(world: AwsWorld, peers: AwsExchanges) -> None:
    """What a node does whose answer was lost."""
    body = secrets.token_bytes(SIZE)
    await peers.put(0, 1, body)
    await peers.put(0, 1, body)
    head = peers.read_head(0, await peers.exchanges[1].head(world.peers[0].member))
    assert await peers.exchanges[1].body(world.peers[0].member, head, None) == body


async def test_what_is_left_of_an_epoch_under_another_key_is_replaced(
    world: AwsWorld, peers: AwsExchanges
) -> None:
    peer = world.peers[0]
    body = secrets.token_bytes(SIZE)
    outgoing = peers.outgoing(0, 1, body)
    key = peer.prefix + snapshot_object(1, outgoing.draft.sha256)
    peer.account.s3.put_object(Bucket=peer.place.bucket, Key=key, Body=b"sealed with a key that is gone")
    head = await peers.put(0, 1, body)
    assert head.object == key
    assert await peers.exchanges[1].body(peer.member, head, None) == body


async def test_a_second_node_with_the_same_identity_is_noticed(world: AwsWorld, peers: AwsExchanges) -> None:
    other = world.exchange(0)
    await other.head(world.peers[0].member)
    await peers.put(0, 1, b"of this one")
    with pytest.raises(ReplacedError, match="does another node run as this peer"):
        await other.put(peers.outgoing(0, 1, b"of the other"), peers.keys[0].sign_head)
    head = peers.read_head(0, await other.head(world.peers[0].member))
    assert await other.body(world.peers[0].member, head, None) == b"of this one"
    # It has seen that head now, so it may go on above it.
    await other.put(peers.outgoing(0, 2, b"of the other"), peers.keys[0].sign_head)


async def test_sealed_chunks_open_with_their_key_alone(world: AwsWorld, peers: AwsExchanges) -> None:
    peer, reader = world.peers[0], peers.exchanges[1]
    key = secrets.token_bytes(16)
    body = secrets.token_bytes(SIZE)

    def sealer(of: bytes = key, epoch: int = 1) -> ChunkSealer:
        return ChunkSealer(of, world.federation, peer.uuid, epoch)

    head = await peers.put(0, 1, body, sealer())
    assert await reader.body(peer.member, head, sealer()) == body
    stored = peer.account.s3.get_object(Bucket=peer.place.bucket, Key=head.object or "")["Body"].read()
    assert body[:64] not in stored
    for wrong in (sealer(epoch=2), sealer(bytes(16))):
        with pytest.raises(UnsealError):
            await reader.body(peer.member, head, wrong)
    with pytest.raises(ReplacedError, match=f"has not the {SIZE} bytes of its head"):
        await reader.body(peer.member, head, None)


async def test_no_more_is_read_than_the_head_says(world: AwsWorld, peers: AwsExchanges) -> None:
    member, reader = world.peers[0].member, peers.exchanges[1]
    head = await peers.put(0, 1, secrets.token_bytes(WHOLE + 2 * PART))
    for size in (head.size - 1, head.size - PART, head.size + 1, PART, 1):
        with pytest.raises(ReplacedError, match=f"has not the {size} bytes of its head"):
            await reader.body(member, head.model_copy(update={"size": size}), None)
    with pytest.raises(ReplacedError, match="is not that of its head"):
        await reader.body(member, head.model_copy(update={"sha256": "0" * 64}), None)


async def test_a_head_points_under_its_own_peer(world: AwsWorld, peers: AwsExchanges) -> None:
    head = await peers.put(0, 1, b"body")
    for elsewhere in (None, world.peers[1].prefix + "1-0123456789abcdef", "other/1-0123456789abcdef"):
        lying = head.model_copy(update={"object": elsewhere})
        with pytest.raises(MalformedError, match="does not point to a snapshot under"):
            await peers.exchanges[1].body(world.peers[0].member, lying, None)


async def test_a_member_is_read_under_its_own_prefix(world: AwsWorld, peers: AwsExchanges) -> None:
    member, other = world.peers[0].member, world.peers[2].member
    assert member.aws is not None
    for address, words in ((None, "has no AWS address of peer"), (other.aws, "in this federation that is")):
        with pytest.raises(MalformedError, match=words):
            await peers.exchanges[1].head(member.model_copy(update={"aws": address}))


async def test_a_head_that_is_none_is_replaced(world: AwsWorld, peers: AwsExchanges) -> None:
    peer = world.peers[0]
    for broken, words in ((b"{}", "not a signed document"), (b"", "is empty, or has more than")):
        peer.account.s3.put_object(Bucket=peer.place.bucket, Key=peer.prefix + HEAD_OBJECT, Body=broken)
        for reader in peers.exchanges[:2]:
            for _ in range(2):  # the second time AWS says that it is the same
                with pytest.raises(MalformedError, match=words):
                    await reader.head(peer.member)
    await peers.exchanges[0].put(peers.outgoing(0, 1, b"body"), peers.keys[0].sign_head)
    assert peers.read_head(0, await peers.exchanges[1].head(peer.member)).epoch == 1


async def test_a_snapshot_that_somebody_deleted_is_missed_by_its_owner(
    world: AwsWorld, peers: AwsExchanges
) -> None:
    peer, exchange = world.peers[0], peers.exchanges[0]
    head = await peers.put(0, 1, b"body")
    await exchange.confirm(peer.member, head)
    peer.account.s3.delete_object(Bucket=peer.place.bucket, Key=head.object or "")
    with pytest.raises(ReplacedError, match="the snapshot is gone: s3:HeadObject on arn:aws:s3:::iris-"):
        await exchange.confirm(peer.member, head)


async def test_an_ask_wakes_the_others(peers: AwsExchanges) -> None:
    await peers.exchanges[0].ask()
    assert await peers.woke(1) is Wake.ASK
    assert await peers.woke(2) is Wake.ASK
    assert peers.woken[0].empty()


async def test_a_new_document_wakes_all_and_is_read(world: AwsWorld, peers: AwsExchanges) -> None:
    world.publish(world.document.model_copy(update={"version": 2}))
    for number in range(3):
        assert await peers.woke(number) is Wake.DOCUMENT
        assert await peers.exchanges[number].document() == world.signed


async def test_other_messages_wake_nobody_and_are_deleted(
    world: AwsWorld, peers: AwsExchanges, caplog: pytest.LogCaptureFixture
) -> None:
    peer, woken = world.peers[1], peers.woken[1]
    world.tell("no JSON")
    world.tell('{"v":2}')
    world.tell(Pointer(kind="document", federation="another", peer="somebody").to_text())
    world.tell(Pointer(kind="head", federation=world.federation, peer=peer.uuid).to_text())
    await peers.exchanges[0].ask()
    assert await peers.woke(1) is Wake.ASK

    def is_empty() -> bool:
        told = peer.account.sqs.get_queue_attributes(QueueUrl=peer.place.queue_url, AttributeNames=["All"])
        counts = told["Attributes"]
        waiting = counts["ApproximateNumberOfMessages"], counts["ApproximateNumberOfMessagesNotVisible"]
        return waiting == ("0", "0")

    await until(is_empty, "the queue is not empty")
    assert woken.empty()
    told = [record.message for record in caplog.records if "-second: " in record.message]
    assert len(told) == 1
    assert "there was something else in it" in told[0]


async def test_what_came_while_nobody_listened_wakes_when_it_opens(
    world: AwsWorld, peers: AwsExchanges
) -> None:
    await peers.exchanges[1].close()
    for _ in range(12):  # more than one request gives
        await peers.exchanges[0].ask()
    await peers.exchanges[1].open(peers.woken[1].put_nowait)
    assert await peers.woke(1) is Wake.ASK


async def test_polling_costs_little(world: AwsWorld) -> None:
    """What stays the same is not sent again."""
    peer = world.peers[0]
    with AwsProxy(world.server.url).running() as proxy:
        async with opened_exchanges(world, proxy.url) as peers:
            reader, signed = peers.exchanges[1], None

            async def read_again(status: int) -> None:
                asked = len(proxy.asked)
                assert await reader.head(peer.member) == signed
                assert [each.status for each in proxy.asked[asked:] if "Get" in each.operation] == [status]

            await read_again(404)
            await peers.put(0, 1, b"body")
            signed = await peers.exchanges[2].head(peer.member)
            await read_again(200)
            await read_again(304)
            await read_again(304)
            await peers.put(0, 2, b"another")
            signed = await peers.exchanges[2].head(peer.member)
            await read_again(200)
            peer.account.s3.delete_object(Bucket=peer.place.bucket, Key=peer.prefix + HEAD_OBJECT)
            signed = None
            await read_again(404)


async def test_it_closes_at_once_in_a_long_poll(peers: AwsExchanges) -> None:
    async with asyncio.timeout(2):
        await peers.exchanges[0].close()
    assert not peers.exchanges[0].is_open


async def test_a_second_emulator_takes_the_same_requests(tmp_path: Path) -> None:
    """moto, which has one account."""
    with running(AwsServer.moto(tmp_path)) as server:
        world = new_aws_world(server, tmp_path, (MOTO_ACCOUNT, MOTO_ACCOUNT))
        async with opened_exchanges(world) as peers:
            member, reader = world.peers[0].member, peers.exchanges[1]
            for epoch, size in enumerate((100, WHOLE + PART, 200), 1):
                head = await peers.put(0, epoch, body := secrets.token_bytes(size))
                assert await peers.woke(1) is Wake.HEAD
                assert peers.read_head(0, await reader.head(member)) == head
                assert await reader.body(member, head, None) == body
            await peers.exchanges[0].confirm(member, head)
            assert len(world.peers[0].objects()) == 3
            assert peers.exchanges[0].impaired == ""
