"""What AWS refuses, in words that say what to do; what stops the exchange, and what only part of it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from symfed_node.exchange.aws import AwsExchange
from symfed_node.exchange.aws_faults import AwsError
from symfed_node.exchange.base import RefusedError, ReplacedError, Wake
from symfed_wire.aws_errors import AwsReason
from symfed_wire.aws_layout import HEAD_OBJECT, Pointer
from tests.integration.aws_proxy import AwsProxy, Broken, Refusal, shorten_pauses
from tests.integration.aws_servers import ADMIN_ACCOUNT, PEER_ACCOUNT, AwsServer
from tests.integration.node_aws_world import (
    AwsExchanges,
    AwsWorld,
    new_aws_world,
    opened_exchanges,
    until,
)
from tests.integration.servers import free_port

REFUSALS = [
    (Refusal(403, "InvalidAccessKeyId"), AwsReason.CREDENTIALS_REFUSED, "AWS does not know these"),
    (Refusal(403, "SignatureDoesNotMatch"), AwsReason.CREDENTIALS_REFUSED, "the secret key"),
    (Refusal(400, "ExpiredToken"), AwsReason.CREDENTIALS_EXPIRED, "the credentials have expired"),
    (Refusal(403, "RequestTimeTooSkewed"), AwsReason.CLOCK_SKEW, "set the clock right"),
    (Refusal(400, "AuthorizationHeaderMalformed"), AwsReason.WRONG_REGION, "another region"),
    (Refusal(404, "NoSuchBucket"), AwsReason.BUCKET_MISSING, "there is no such bucket"),
    (Refusal(503, "SlowDown"), AwsReason.THROTTLED, "fewer requests"),
    (Refusal(500, "InternalError"), AwsReason.UNREACHABLE, "it is tried again"),
    (Refusal(400, "NeverHeardOf"), AwsReason.FAILED, "failed: NeverHeardOf: its words"),
    (Broken.REFUSED, AwsReason.UNREACHABLE, "no whole answer"),
    (Broken.CUT, AwsReason.UNREACHABLE, "no whole answer"),
]  # fmt: skip


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
        yield made


@pytest.mark.parametrize(("fault", "reason", "words"), REFUSALS)
async def test_a_refusal_has_a_reason_and_says_what_to_do(
    world: AwsWorld,
    proxy: AwsProxy,
    peers: AwsExchanges,
    fault: Refusal | Broken,
    reason: AwsReason,
    words: str,
) -> None:
    await peers.put(0, 1, b"body")
    proxy.fail(fault, "GetObject")
    with pytest.raises(AwsError, match=words) as raised:
        await peers.exchanges[1].head(world.peers[0].member)
    assert raised.value.reason == reason
    assert not isinstance(raised.value, RefusedError)  # two of those would count as a removal
    assert f"s3:GetObject on arn:aws:s3:::{world.peers[0].place.bucket}/" in str(raised.value)
    proxy.mend()
    assert await peers.exchanges[1].head(world.peers[0].member) is not None


async def test_without_a_bucket_policy_the_action_and_the_accounts_are_named(
    world: AwsWorld, peers: AwsExchanges
) -> None:
    await peers.put(0, 1, b"body")
    world.allow([ADMIN_ACCOUNT])
    with pytest.raises(AwsError) as raised:
        await peers.exchanges[1].head(world.peers[0].member)
    assert raised.value.reason == AwsReason.ACCESS_DENIED
    bucket, prefix = world.peers[0].place.bucket, world.peers[0].prefix
    assert str(raised.value) == (
        f"s3:GetObject is not allowed on arn:aws:s3:::{bucket}/{prefix}{HEAD_OBJECT};"
        f" account {ADMIN_ACCOUNT} must allow it to account {PEER_ACCOUNT} in its bucket's policy, which its"
        " operator writes; a peer without a snapshot is answered alike"
    )
    with pytest.raises(AwsError, match="it was removed, or the admin's operator"):
        await peers.exchanges[1].document()
    world.allow([ADMIN_ACCOUNT, PEER_ACCOUNT])
    assert await peers.exchanges[1].head(world.peers[0].member) is not None
    assert await peers.exchanges[1].document() == world.signed


async def test_a_snapshot_that_may_not_be_read_is_one_that_is_gone(
    world: AwsWorld, proxy: AwsProxy, peers: AwsExchanges
) -> None:
    """Without s3:ListBucket AWS answers both alike, so the head is read again."""
    head = await peers.put(0, 1, b"body")
    proxy.fail(Refusal(403, "AccessDenied"), "GetObject")
    with pytest.raises(ReplacedError, match="the snapshot is gone: s3:GetObject is not allowed on"):
        await peers.exchanges[1].body(world.peers[0].member, head, None)


async def test_the_own_bucket_must_be_of_the_own_account(
    world: AwsWorld, proxy: AwsProxy, peers: AwsExchanges
) -> None:
    """Each request names the account that the bucket must be of; AWS refuses it otherwise."""
    member, reader = world.peers[0].member, peers.exchanges[1]
    await reader.body(member, head := await peers.put(0, 1, b"body"), None)
    await reader.head(member)
    await reader.document()
    await peers.exchanges[0].confirm(member, head)
    owners = {asked.owner for asked in proxy.asked if "/admin" in asked.path or "Object" in asked.operation}
    assert owners == {ADMIN_ACCOUNT}
    proxy.fail(Refusal(403, "AccessDenied"), "PutObject")
    with pytest.raises(AwsError, match=f"the bucket must be of account {ADMIN_ACCOUNT}") as raised:
        await peers.exchanges[0].put(peers.outgoing(0, 2, b"body"), peers.keys[0].sign_head)
    assert "s3:PutObject is not allowed on arn:aws:s3:::" in str(raised.value)


async def test_a_snapshot_is_published_although_nobody_can_be_woken(
    world: AwsWorld, proxy: AwsProxy, peers: AwsExchanges
) -> None:
    proxy.fail(Refusal(403, "AuthorizationError"), "Publish")
    proxy.fail(Refusal(403, "AccessDenied"), "ListObjectsV2")
    head = await peers.put(0, 1, b"body")
    assert peers.read_head(0, await peers.exchanges[1].head(world.peers[0].member)) == head
    impaired = peers.exchanges[0].impaired
    assert f"the others are not woken: sns:Publish is not allowed on {world.grant.topic_arn}" in impaired
    assert "older snapshots are not deleted: s3:ListBucket is not allowed on arn:aws:s3:::" in impaired
    with pytest.raises(AwsError, match="sns:Publish is not allowed on") as raised:
        await peers.exchanges[0].ask()
    assert raised.value.reason == AwsReason.ACCESS_DENIED
    proxy.mend()
    world.tell(Pointer(kind="ask", federation=world.federation, peer="somebody").to_text())
    assert await peers.woke(0) is Wake.ASK  # after a poll what could not be told is told
    assert await peers.woke(1) in (Wake.ASK, Wake.HEAD)
    assert await peers.woke(1) in (Wake.ASK, Wake.HEAD)
    await peers.put(0, 2, b"another")
    assert peers.exchanges[0].impaired == ""


async def test_a_queue_that_is_gone_closes_and_is_named(
    world: AwsWorld, proxy: AwsProxy, peers: AwsExchanges
) -> None:
    peer, exchange, woken = world.peers[1], peers.exchanges[1], peers.woken[1]
    proxy.fail(Refusal(400, "AWS.SimpleQueueService.NonExistentQueue"), "ReceiveMessage")
    await peers.exchanges[0].ask()  # which ends the request that waits
    assert await peers.woke(1) is Wake.ASK
    assert await peers.woke(1) is Wake.CLOSED
    peer.account.sqs.delete_queue(QueueUrl=peer.place.queue_url)
    proxy.mend()
    assert not exchange.is_open
    with pytest.raises(AwsError, match="there is no such queue") as raised:
        await exchange.open(woken.put_nowait)
    assert raised.value.reason == AwsReason.QUEUE_MISSING
    name = peer.place.queue_url.rpartition("/")[2]
    assert f"arn:aws:sqs:{peer.place.region}:{PEER_ACCOUNT}:{name}" in str(raised.value)
    peer.account.sqs.create_queue(QueueName=name)
    await exchange.open(woken.put_nowait)
    assert exchange.is_open


async def test_a_topic_that_is_gone_is_named(world: AwsWorld, peers: AwsExchanges) -> None:
    world.peers[0].account.sns.delete_topic(TopicArn=world.grant.topic_arn)
    with pytest.raises(AwsError, match="there is no such topic") as raised:
        await peers.exchanges[1].ask()
    assert raised.value.reason == AwsReason.TOPIC_MISSING


async def test_a_queue_that_fails_for_a_while_does_not_close(
    world: AwsWorld, proxy: AwsProxy, peers: AwsExchanges
) -> None:
    exchange = peers.exchanges[0]
    proxy.fail(Refusal(500, "InternalError"), "ReceiveMessage")
    world.tell(ask := Pointer(kind="ask", federation=world.federation, peer="somebody").to_text())
    await until(lambda: exchange.impaired != "", "nothing is told")
    assert exchange.impaired.startswith("nothing wakes this peer: sqs:ReceiveMessage on arn:aws:sqs:")
    proxy.mend()
    world.tell(ask)
    await until(lambda: exchange.impaired == "", "it does not work again")
    assert exchange.is_open


async def test_credentials_that_change_are_taken_without_a_restart(
    world: AwsWorld, proxy: AwsProxy, peers: AwsExchanges
) -> None:
    """As when an administrator rotates a key, or a temporary one expires."""
    peer, exchange = world.peers[1], peers.exchanges[1]
    proxy.accept_only(
        lambda headers: headers.get("X-Amz-Security-Token") == "new", Refusal(400, "ExpiredToken")
    )
    with pytest.raises(AwsError) as raised:
        await exchange.document()
    assert raised.value.reason == AwsReason.CREDENTIALS_EXPIRED
    (peer.credentials / "sessionToken").write_text("new\n")
    assert await exchange.document() == world.signed


async def test_credentials_that_are_not_there_are_told_without_a_value(
    world: AwsWorld, peers: AwsExchanges
) -> None:
    folder, exchange = world.peers[1].credentials, peers.exchanges[1]
    (folder / "secretAccessKey").write_text("")
    with pytest.raises(AwsError, match="secretAccessKey is empty") as raised:
        await exchange.document()
    assert raised.value.reason == AwsReason.CREDENTIALS_MISSING
    (folder / "accessKeyId").unlink()
    with pytest.raises(AwsError, match="accessKeyId: No such file"):
        await exchange.open(lambda wake: None)
    assert not exchange.is_open


async def test_a_role_whose_token_is_not_there_is_told(
    world: AwsWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As where EKS has not put it into the pod."""
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", f"arn:aws:iam::{PEER_ACCOUNT}:role/node")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    peer = world.peers[1]
    with pytest.raises(AwsError, match=r"s3:GetObject on arn:aws:s3:::.*/token") as raised:
        await AwsExchange(peer.uuid, world.grant, peer.place).document()
    assert raised.value.reason == AwsReason.FAILED


async def test_an_endpoint_where_nobody_is_told_at_once(world: AwsWorld) -> None:
    exchange = world.exchange(1, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(AwsError, match="Could not connect to the endpoint URL") as raised:
        await exchange.open(lambda wake: None)
    assert raised.value.reason == AwsReason.UNREACHABLE
    exchange = world.exchange(1, "no URL")
    with pytest.raises(AwsError, match="Invalid endpoint: no URL") as raised:
        await exchange.open(lambda wake: None)
    assert raised.value.reason == AwsReason.FAILED


async def test_a_transfer_that_takes_too_long_ends(
    world: AwsWorld, proxy: AwsProxy, peers: AwsExchanges
) -> None:
    head = await peers.put(0, 1, b"body")
    proxy.fail(Broken.SILENT, "GetObject")
    exchange = peers.exchanges[1]
    exchange.request_timeout = 0.2
    with pytest.raises(AwsError, match=r"takes more than 0.8\d* s|Read timeout on endpoint URL"):
        await exchange.body(world.peers[0].member, head, None)
