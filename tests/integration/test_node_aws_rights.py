"""A node on AWS with the least policies of docs/aws.md and what operators wrote, all of it judged."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from symfed_node.exchange.aws import AwsExchange
from symfed_node.exchange.aws_bodies import PART, WHOLE
from symfed_node.exchange.aws_faults import AwsError
from symfed_node.exchange.base import ReplacedError, Wake
from symfed_wire.aws_errors import AwsReason
from symfed_wire.documents import (
    HEAD_CONTEXT,
    FederationDocument,
    Member,
    Signed,
    SnapshotHead,
    sign_document,
    verify_document,
)
from symfed_wire.node_config import AwsPlace
from tests.integration.aws_rights import least, user
from tests.integration.aws_servers import ADMIN_ACCOUNT, PEER_ACCOUNT, AwsServer, running
from tests.integration.aws_world import Peer, World
from tests.integration.node_aws_world import outgoing
from tests.integration.node_world import SECONDS, to_text


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsServer]:
    started = AwsServer.ministack(tmp_path_factory.mktemp("ministack"), judges=True)
    with running(started), pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_CA_BUNDLE", str(started.ca_file))
        yield started


@dataclass
class Side:
    """One peer's node, with nothing but its least rights."""

    world: World
    peer: Peer
    exchange: AwsExchange
    woken: asyncio.Queue[Wake]
    key: Ed25519PrivateKey

    async def put(self, epoch: int, body: bytes) -> SnapshotHead:
        await self.exchange.head(self.member)
        signed = await self.exchange.put(outgoing(self.world.uid, self.peer.uuid, epoch, body), self._sign)
        public = to_text(self.key.public_key().public_bytes_raw())
        return verify_document(signed, HEAD_CONTEXT, public, SnapshotHead)

    @property
    def member(self) -> Member:
        member = self.world.document(self.peer).member(self.peer.uuid)
        assert member is not None
        return member

    def _sign(self, head: SnapshotHead) -> Signed:
        return sign_document(head, HEAD_CONTEXT, self.key)

    async def woke(self) -> Wake:
        async with asyncio.timeout(SECONDS):
            return await self.woken.get()


@pytest.fixture
async def sides(server: AwsServer, tmp_path: Path) -> AsyncIterator[tuple[Side, Side]]:
    """The admin's and a peer's, after both operators have done their part."""
    world = World(server)
    peer = world.peer()
    document = world.document(world.admin, peer)
    backend, wanted = await world.backend(), world.wanted(world.admin, peer)
    await backend.apply(wanted)
    await backend.publish_document(wanted, world.signed(document))
    # The emulator knows no sns:Endpoint: the peer subscribes under another policy, which goes again.
    anybody = {"Effect": "Allow", "Principal": "*", "Action": "sns:*", "Resource": world.topic}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [anybody]})
    sns = world.admin.account.sns
    sns.set_topic_attributes(TopicArn=world.topic, AttributeName="Policy", AttributeValue=policy)
    for each in (world.admin, peer):
        await (await world.peer_side(each, document)).apply()
    await backend.apply(wanted)
    made = (
        new_side(world, world.admin, document, "policy of the admin", tmp_path),
        new_side(world, peer, document, "policy of a peer", tmp_path),
    )
    for side in made:
        await side.exchange.open(side.woken.put_nowait)
    yield made
    for side in made:
        await side.exchange.close()


def new_side(world: World, peer: Peer, document: FederationDocument, policy: str, folder: Path) -> Side:
    keys = user(peer, least(world, policy, peer)).keys
    assert keys is not None
    credentials = folder / peer.project
    credentials.mkdir()
    (credentials / "accessKeyId").write_text(keys.access_key_id)
    (credentials / "secretAccessKey").write_text(keys.secret_access_key)
    queue = peer.account.sqs.get_queue_url(QueueName=peer.place(world.name).queue_arn.rpartition(":")[2])
    place = AwsPlace(
        account_id=peer.account.account,
        region=peer.account.region,
        bucket=peer.bucket,
        queue_url=queue["QueueUrl"],
        endpoint_url=world.server.url,
    )
    grant = world.answer(document).aws
    assert grant is not None
    exchange = AwsExchange(peer.uuid, grant, place, credentials)
    exchange.request_timeout = 5
    return Side(world, peer, exchange, asyncio.Queue[Wake](), Ed25519PrivateKey.generate())


async def test_the_least_policies_are_enough_for_all_that_a_node_does(sides: tuple[Side, Side]) -> None:
    for writer, reader in (sides, sides[::-1]):
        for epoch, size in enumerate((100, WHOLE + PART, 200), 1):
            head = await writer.put(epoch, body := secrets.token_bytes(size))
            assert await reader.woke() in (Wake.HEAD, Wake.DOCUMENT)
            assert await reader.exchange.head(writer.member) is not None
            assert await reader.exchange.body(writer.member, head, None) == body
        await writer.exchange.confirm(writer.member, head)
        await writer.exchange.ask()
        while await reader.woke() is not Wake.ASK:
            pass
        assert await writer.exchange.document() is not None
        assert writer.exchange.impaired == ""
        assert writer.exchange.is_open


async def test_who_is_removed_is_told_so_by_what_he_may_not_read(sides: tuple[Side, Side]) -> None:
    admin, removed = sides
    world = admin.world
    head = await admin.put(1, b"body")
    assert await removed.exchange.head(admin.member) is not None
    document = world.document(world.admin, removed=(removed.peer,), version=2)
    await (await world.backend()).apply(world.wanted(world.admin))
    await (await world.peer_side(world.admin, document)).apply()
    with pytest.raises(AwsError, match="it was removed, or the admin's operator cannot") as raised:
        await removed.exchange.document()
    assert raised.value.reason == AwsReason.ACCESS_DENIED
    with pytest.raises(AwsError, match=f"account {ADMIN_ACCOUNT} must allow it to account {PEER_ACCOUNT}"):
        await removed.exchange.head(admin.member)
    with pytest.raises(ReplacedError, match="s3:GetObject is not allowed on"):
        await removed.exchange.body(admin.member, head, None)
    with pytest.raises(AwsError, match=f"sns:Publish is not allowed on {world.topic}"):
        await removed.exchange.ask()


async def test_a_wrong_secret_is_refused_in_words(sides: tuple[Side, Side], tmp_path: Path) -> None:
    side = sides[1]
    secret = tmp_path / side.peer.project / "secretAccessKey"
    good = secret.read_text()
    secret.write_text("not a good secret")
    with pytest.raises(AwsError, match="AWS does not know these credentials") as raised:
        await side.exchange.document()
    assert raised.value.reason == AwsReason.CREDENTIALS_REFUSED
    assert "not a good" not in str(raised.value)
    secret.write_text(good)
    assert await side.exchange.document() is not None
