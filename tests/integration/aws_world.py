"""Federations on an emulated AWS: an admin and peers in accounts of their own, each with a bucket."""

import base64
import dataclasses
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from symfed_operator.backends.access import AwsAccess, AwsKeys
from symfed_operator.backends.aws.backend import AwsBackend
from symfed_operator.backends.aws.names import peer_prefix, queue_arn, queue_name
from symfed_operator.backends.aws.peer import AwsPeerSide
from symfed_operator.backends.aws.session import AwsSide, AwsSides
from symfed_operator.backends.base import FederationSeeds, MemberSeeds, WantedFederation, WantedMember
from symfed_wire.documents import (
    FEDERATION_CONTEXT,
    AwsAddress,
    FederationDocument,
    FederationSettings,
    Member,
    Signed,
    sign_document,
)
from symfed_wire.join import AwsGrant, AwsMember, JoinAnswer
from tests.integration.aws_servers import (
    ADMIN_ACCOUNT,
    PEER_ACCOUNT,
    REGION,
    SECRET_KEY,
    AwsAccount,
    AwsServer,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.literals import BucketLocationConstraintType

THIRD_ACCOUNT = "333333333333"
PUBLIC_KEY = base64.b64encode(bytes(range(32))).decode()
SEALING_KEY = "B6N8vBQgk8i3VdwbEOhstCY3StFqqFPtC9/AsrhtHHw="
NO_SEEDS = MemberSeeds("", "", "", "")  # those are NATS's
_FEDERATION_SEEDS = FederationSeeds("", "", "")
_READS = ("Get", "List", "Head", "Receive", "Subscribe")  # what changes nothing when it is repeated


@dataclass(frozen=True)
class Peer:
    """One peer: its account with its bucket, and its identity."""

    account: AwsAccount
    bucket: str
    project: str
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))

    def access(self, **changes: Any) -> AwsAccess:
        """The way to its side."""
        keys = AwsKeys(self.account.account, SECRET_KEY)
        plain = AwsAccess(self.account.region, self.bucket, None, self.account.endpoint, keys)
        return dataclasses.replace(plain, **changes)

    def place(self, federation_name: str) -> AwsMember:
        """What its admin is told."""
        account, region = self.account.account, self.account.region
        arn = queue_arn(region, account, queue_name(federation_name, self.project))
        return AwsMember(account_id=account, region=region, bucket=self.bucket, queue_arn=arn)


@dataclass
class World:
    """One federation of an admin, with names that no other test has."""

    server: AwsServer
    sides: AwsSides = field(default_factory=AwsSides)
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    name: str = field(default_factory=lambda: f"study-{uuid.uuid4().hex[:8]}")
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    def __post_init__(self) -> None:
        self.admin = self.peer(ADMIN_ACCOUNT)

    def peer(
        self,
        account: str = PEER_ACCOUNT,
        *,
        bucket: str = "",
        region: "BucketLocationConstraintType" = REGION,
    ) -> Peer:
        """A new peer with a bucket of its own, unless one is named."""
        owner = self.server.account(account, region)
        if not bucket:
            bucket = f"bucket-{uuid.uuid4().hex[:12]}"
            owner.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
        return Peer(owner, bucket, f"p-{uuid.uuid4().hex[:8]}")

    @property
    def topic(self) -> str:
        return f"arn:aws:sns:{self.admin.account.region}:{self.admin.account.account}:{self.name}"

    async def side(self, peer: Peer) -> AwsSide:
        return await self.sides.open(peer.access(), self.admin.account.region)

    async def backend(self) -> AwsBackend:
        return AwsBackend(await self.side(self.admin))

    async def peer_side(self, peer: Peer, document: FederationDocument) -> AwsPeerSide:
        """The peer's side as its operator has it, with this document in the join answer."""
        answer = self.answer(document)
        assert answer.aws is not None
        return AwsPeerSide(await self.side(peer), answer, answer.aws, uuid=peer.uuid, project=peer.project)

    def wanted(self, *peers: Peer) -> WantedFederation:
        """What the reconcile asks for with these active members."""
        members = tuple(
            WantedMember(
                uuid=peer.uuid,
                seeds=NO_SEEDS,
                issued=datetime(2026, 1, 2, tzinfo=UTC),
                aws=peer.place(self.name),
            )
            for peer in peers
        )
        return WantedFederation(self.uid, self.name, _FEDERATION_SEEDS, 0, members)

    def document(self, *peers: Peer, removed: tuple[Peer, ...] = (), version: int = 1) -> FederationDocument:
        """A document with these members."""
        return FederationDocument(
            federation=self.uid,
            name=self.name,
            version=version,
            issued="2026-01-02T00:00:00Z",
            settings=FederationSettings(schedule="m1"),
            members=tuple(
                Member(
                    uuid=peer.uuid,
                    name=peer.project,
                    state="removed" if peer in removed else "active",
                    identity_key=PUBLIC_KEY,
                    sealing_key=SEALING_KEY,
                    aws=AwsAddress(
                        account_id=peer.account.account,
                        region=peer.account.region,
                        bucket=peer.bucket,
                        prefix=peer_prefix(self.uid, peer.uuid),
                    ),
                )
                for peer in (*peers, *removed)
            ),
        )

    def signed(self, document: FederationDocument) -> Signed:
        return sign_document(document, FEDERATION_CONTEXT, self.key)

    def answer(self, document: FederationDocument) -> JoinAnswer:
        public = base64.b64encode(self.key.public_key().public_bytes_raw()).decode()
        return JoinAnswer(
            federation=self.uid,
            document_key=public,
            document=self.signed(document),
            aws=AwsGrant(
                topic_arn=self.topic,
                region=self.admin.account.region,
                bucket=self.admin.bucket,
                prefix=f"{self.uid}/",
            ),
        )

    def topic_policy(self) -> str:
        """Its text, for a look at who is in it."""
        return self.admin.account.sns.get_topic_attributes(TopicArn=self.topic)["Attributes"]["Policy"]


def bucket_policy(peer: Peer) -> dict[str, Any]:
    """The policy of a peer's bucket; empty where it has none."""
    s3 = peer.account.s3
    try:
        return dict(json.loads(s3.get_bucket_policy(Bucket=peer.bucket)["Policy"]))
    except s3.exceptions.ClientError:
        return {}


def keys_in(s3: "S3Client", bucket: str) -> list[str]:
    return [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


@contextmanager
def changes(side: AwsSide) -> Iterator[list[str]]:
    """The operations on AWS within the block that change anything."""
    seen: list[str] = []

    def note(**call: Any) -> None:
        if not call["model"].name.startswith(_READS):
            seen.append(call["model"].name)

    for client in (side.sns, side.sqs, side.s3):
        client.meta.events.register("before-call", note)
    yield seen
    for client in (side.sns, side.sqs, side.s3):
        client.meta.events.unregister("before-call", note)
