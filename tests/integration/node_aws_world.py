"""A federation of three peers in two AWS accounts on ministack, as its operators would make it."""

import asyncio
import hashlib
import json
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from symfed_node.exchange.aws import AwsExchange
from symfed_node.exchange.base import Outgoing, Wake
from symfed_node.exchange.keys import PeerKeys
from symfed_wire.aws_layout import DOCUMENT_OBJECT, PEER_ATTRIBUTE, Pointer
from symfed_wire.documents import (
    FEDERATION_CONTEXT,
    HEAD_CONTEXT,
    AwsAddress,
    FederationDocument,
    FederationSettings,
    Member,
    Signed,
    SnapshotHead,
    sign_document,
    verify_document,
)
from symfed_wire.join import AwsGrant
from symfed_wire.names import FEDERATION
from symfed_wire.node_config import AwsPlace, Membership
from symfed_wire.sealing import ChunkSealer
from tests.integration.aws_servers import ADMIN_ACCOUNT, PEER_ACCOUNT, REGION, AwsAccount, AwsServer
from tests.integration.node_world import SECONDS, NodeProcess, PeerIdentity, new_identity, to_text
from tests.integration.servers import wait_until

FAR_REGION = "us-east-2"
POLL_SECONDS = 120


@dataclass(frozen=True)
class AwsPeer:
    """A peer with its account, and the place that its operator made there."""

    identity: PeerIdentity
    account: AwsAccount
    place: AwsPlace
    credentials: Path
    prefix: str

    @property
    def uuid(self) -> str:
        return self.identity.uuid

    @property
    def member(self) -> Member:
        """As the document lists it."""
        address = AwsAddress(
            account_id=self.place.account_id,
            region=self.place.region,
            bucket=self.place.bucket,
            prefix=self.prefix,
        )
        return self.identity.member(address)

    def objects(self) -> list[str]:
        """What lies under its prefix, without the prefix."""
        found = self.account.s3.list_objects_v2(Bucket=self.place.bucket, Prefix=self.prefix)
        return sorted(each["Key"].removeprefix(self.prefix) for each in found.get("Contents", []))


@dataclass
class AwsWorld:
    """The admin and a second peer are of one account each, the third is in the second's account, far away."""

    server: AwsServer
    federation: str
    grant: AwsGrant
    peers: tuple[AwsPeer, ...]
    key: Ed25519PrivateKey
    document: FederationDocument

    @property
    def signed(self) -> Signed:
        return sign_document(self.document, FEDERATION_CONTEXT, self.key)

    def store(self, document: FederationDocument) -> None:
        """A version of the document, of which nobody is told."""
        self.document = document
        self.peers[0].account.s3.put_object(
            Bucket=self.grant.bucket,
            Key=self.grant.prefix + DOCUMENT_OBJECT,
            Body=self.signed.model_dump_json().encode(),
        )

    def publish(self, document: FederationDocument) -> None:
        """What the admin's operator does with a new version."""
        self.store(document)
        self.tell(Pointer(kind="document", federation=self.federation, peer=FEDERATION).to_text())

    def tell(self, text: str, sender: str = FEDERATION) -> None:
        """A message on the topic."""
        self.peers[0].account.sns.publish(
            TopicArn=self.grant.topic_arn,
            Message=text,
            MessageAttributes={PEER_ATTRIBUTE: {"DataType": "String", "StringValue": sender}},
        )

    def allow(self, accounts: Sequence[str]) -> None:
        """The bucket policies, as each peer's operator writes them: these accounts may read."""
        for peer in self.peers:
            if not accounts:
                peer.account.s3.delete_bucket_policy(Bucket=peer.place.bucket)
                continue
            statement = {
                "Sid": f"symfed{self.federation.replace('-', '')}",
                "Effect": "Allow",
                "Principal": {"AWS": [f"arn:aws:iam::{account}:root" for account in accounts]},
                "Action": "s3:GetObject",
                "Resource": f"arn:aws:s3:::{peer.place.bucket}/{self.grant.prefix}*",
            }
            policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            peer.account.s3.put_bucket_policy(Bucket=peer.place.bucket, Policy=policy)

    def node(self, number: int, folder: Path) -> NodeProcess:
        """A peer's node, not started yet."""
        peer = self.peers[number]
        membership = Membership(
            federation=self.federation,
            admin=number == 0,
            document_key=to_text(self.key.public_key().public_bytes_raw()),
            document=self.signed,
            aws=self.grant,
            aws_place=peer.place,
        )
        config = peer.identity.config(number + 1, membership)
        environment = {"SYMFED_AWS_CREDENTIALS": str(peer.credentials)}
        return NodeProcess(config, folder / peer.identity.name, POLL_SECONDS, environment)

    def exchange(self, number: int, endpoint_url: str = "") -> AwsExchange:
        """A peer's exchange, not opened yet."""
        peer = self.peers[number]
        place = peer.place.model_copy(update={"endpoint_url": endpoint_url or self.server.url})
        made = AwsExchange(peer.uuid, self.grant, place, peer.credentials)
        made.request_timeout = 5
        return made


class AwsExchanges:
    """The members' exchanges, and what wakes them."""

    def __init__(self, world: AwsWorld, endpoint_url: str) -> None:
        self._world = world
        self.keys = [PeerKeys(peer.uuid, peer.identity.seeds) for peer in world.peers]
        self.exchanges = [world.exchange(number, endpoint_url) for number in range(len(world.peers))]
        self.woken = [asyncio.Queue[Wake]() for _ in world.peers]

    async def open(self) -> None:
        for exchange, woken in zip(self.exchanges, self.woken, strict=True):
            await exchange.open(woken.put_nowait)

    async def put(
        self, number: int, epoch: int, body: bytes, sealer: ChunkSealer | None = None
    ) -> SnapshotHead:
        """As a node does: it knows its own stored head first."""
        exchange, peer = self.exchanges[number], self._world.peers[number]
        await exchange.head(peer.member)
        signed = await exchange.put(self.outgoing(number, epoch, body, sealer), self.keys[number].sign_head)
        return self.read_head(number, signed)

    def outgoing(self, number: int, epoch: int, body: bytes, sealer: ChunkSealer | None = None) -> Outgoing:
        return outgoing(self._world.federation, self._world.peers[number].uuid, epoch, body, sealer)

    def read_head(self, number: int, signed: Signed | None) -> SnapshotHead:
        assert signed is not None
        identity = self._world.peers[number].member.identity_key
        return verify_document(signed, HEAD_CONTEXT, identity, SnapshotHead)

    async def woke(self, number: int) -> Wake:
        async with asyncio.timeout(SECONDS):
            return await self.woken[number].get()


def outgoing(
    federation: str, peer: str, epoch: int, body: bytes, sealer: ChunkSealer | None = None
) -> Outgoing:
    """A snapshot as the rounds draft it."""
    draft = SnapshotHead(
        federation=federation,
        peer=peer,
        epoch=epoch,
        rows=1,
        schema_digest="s",
        size=len(body),
        chunk=1,
        sha256=hashlib.sha256(body).hexdigest(),
        created="2026-01-02T00:00:00Z",
    )
    return Outgoing(draft, body, sealer)


async def until(is_so: Callable[[], bool], what: str) -> None:
    """Asks again and again while the exchanges go on; ServerError says what is not so in time."""
    await asyncio.to_thread(wait_until, is_so, what, SECONDS)


@asynccontextmanager
async def opened_exchanges(world: AwsWorld, endpoint_url: str = "") -> AsyncIterator[AwsExchanges]:
    """All members' exchanges, open."""
    made = AwsExchanges(world, endpoint_url)
    async with AsyncExitStack() as stack:
        for exchange in made.exchanges:
            stack.push_async_callback(exchange.close)
        await made.open()
        yield made


def new_aws_world(
    server: AwsServer, folder: Path, accounts: tuple[str, str] = (ADMIN_ACCOUNT, PEER_ACCOUNT)
) -> AwsWorld:
    """Buckets with policies, a topic, queues and a stored document; their names are new."""
    own, other = accounts
    federation = str(uuid.uuid4())
    name = f"iris-{federation[:8]}"
    prefix = f"{federation}/"
    topic = server.account(own).sns.create_topic(Name=name)["TopicArn"]
    places = (
        ("admin", own, REGION),
        ("second", other, REGION),
        ("third", other, FAR_REGION),
    )
    peers = tuple(
        _new_peer(new_identity(peer), server.account(account, region), folder, prefix, topic)
        for peer, account, region in places
    )
    grant = AwsGrant(topic_arn=topic, region=REGION, bucket=peers[0].place.bucket, prefix=prefix)
    members = [peer.member for peer in peers]
    document = FederationDocument(
        federation=federation,
        name=name,
        version=1,
        issued="2026-01-02T00:00:00Z",
        settings=FederationSettings(schedule="d1", request_timeout_seconds=5),
        members=(members[0].model_copy(update={"admin": True}), *members[1:]),
    )
    world = AwsWorld(server, federation, grant, peers, Ed25519PrivateKey.generate(), document)
    world.store(document)
    world.allow(accounts)
    return world


def _new_peer(identity: PeerIdentity, account: AwsAccount, folder: Path, prefix: str, topic: str) -> AwsPeer:
    name = f"{topic.rpartition(':')[2]}-{identity.name}"
    account.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": account.location})
    queue = account.sqs.create_queue(QueueName=name)["QueueUrl"]
    account.sns_of(topic).subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=f"arn:aws:sqs:{account.region}:{account.account}:{name}",
        Attributes={
            "RawMessageDelivery": "true",
            "FilterPolicy": json.dumps({PEER_ATTRIBUTE: [{"anything-but": [identity.uuid]}]}),
        },
    )
    place = AwsPlace(
        account_id=account.account,
        region=account.region,
        bucket=name,
        queue_url=queue,
        endpoint_url=account.endpoint,
    )
    credentials = account.write_credentials(folder / f"{identity.name}-credentials")
    return AwsPeer(identity, account, place, credentials, f"{prefix}{identity.uuid}/")
