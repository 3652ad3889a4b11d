"""What AWS refuses in words, and what passes by itself: time-outs, 500, SlowDown, cut answers, lost ones."""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from symfed_node.exchange.aws_bodies import WHOLE
from symfed_node.exchange.base import Wake
from symfed_wire.aws_layout import HEAD_OBJECT
from tests.integration.aws_proxy import AwsProxy, Broken, Refusal, shorten_pauses
from tests.integration.aws_servers import AwsServer
from tests.integration.node_aws_world import AwsExchanges, AwsWorld, new_aws_world, opened_exchanges

WRITING = ("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload")
AROUND = ("ListObjectsV2", "DeleteObjects", "Publish")
INTERNAL = Refusal(500, "InternalError")
SLOW_DOWN = Refusal(503, "SlowDown")


@pytest.fixture
def proxy(ministack: AwsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsProxy]:
    shorten_pauses(monkeypatch)
    with AwsProxy(ministack.url).running() as running:
        yield running


@pytest.fixture
def world(ministack: AwsServer, tmp_path: Path) -> AwsWorld:
    return new_aws_world(ministack, tmp_path)


@pytest.fixture
async def peers(world: AwsWorld, proxy: AwsProxy) -> AsyncIterator[AwsExchanges]:
    """All requests go through the proxy."""
    async with opened_exchanges(world, proxy.url) as made:
        for exchange in made.exchanges:
            exchange.request_timeout = 20  # a large part on a busy machine
        yield made


async def test_the_answer_to_a_put_is_lost(world: AwsWorld, proxy: AwsProxy, peers: AwsExchanges) -> None:
    """boto3 repeats it, and then its condition does not hold: that is no other node's doing."""
    await peers.put(0, 1, b"body")
    for part in (HEAD_OBJECT, "2-"):
        proxy.fail(Broken.LOST, "PutObject", times=1, path=part)
    begun = len(proxy.asked)
    head = await peers.put(0, 2, b"another")
    statuses = [asked.status for asked in proxy.asked[begun:] if asked.operation == "PutObject"]
    assert statuses == [200, 412, 200, 412]
    assert peers.read_head(0, await peers.exchanges[1].head(world.peers[0].member)) == head
    assert await peers.exchanges[1].body(world.peers[0].member, head, None) == b"another"


@pytest.mark.parametrize(
    "fault",
    [INTERNAL, SLOW_DOWN, Broken.REFUSED, Broken.LOST, Broken.CUT],
    ids=["500", "SlowDown", "refused", "lost", "cut"],
)
async def test_what_passes_by_itself_is_not_noticed(
    world: AwsWorld, proxy: AwsProxy, peers: AwsExchanges, fault: Broken | Refusal
) -> None:
    """Every kind of request fails once."""
    peer = world.peers[0]
    peer.account.s3.put_object(Bucket=peer.place.bucket, Key=f"{peer.prefix}0-0123456789abcdef", Body=b"old")
    kinds = ("GetObject", *WRITING, *AROUND)
    proxy.fail(fault, *kinds, times=1)
    for epoch, size in enumerate((1000, WHOLE + 1), 1):
        head = await peers.put(0, epoch, body := secrets.token_bytes(size))
        assert peers.read_head(0, await peers.exchanges[1].head(peer.member)) == head
        assert await peers.exchanges[1].body(peer.member, head, None) == body
    assert not proxy.standing()
    assert [exchange.impaired for exchange in peers.exchanges] == ["", "", ""]
    assert len(peer.objects()) == 3
    assert await peers.woke(1) is Wake.HEAD


async def test_a_request_without_an_answer_is_repeated(
    world: AwsWorld, proxy: AwsProxy, peers: AwsExchanges
) -> None:
    for exchange in peers.exchanges:
        exchange.request_timeout = 2
    proxy.fail(Broken.SILENT, "GetObject", "PutObject", "Publish", times=1)
    head = await peers.put(0, 1, b"body")
    assert await peers.exchanges[1].body(world.peers[0].member, head, None) == b"body"
    assert not proxy.standing()
    assert peers.exchanges[0].impaired == ""
