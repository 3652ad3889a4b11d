"""A peer's own side on AWS, against ministack: its queue, its subscription, and who reads its bucket."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from symfed_operator.backends.aws.errors import BucketNotYoursError, TopicMissingError
from symfed_operator.backends.base import ExternalNameTakenError
from symfed_wire.aws_layout import Pointer
from symfed_wire.documents import FederationDocument
from tests.integration.aws_servers import PEER_ACCOUNT, AwsServer, running
from tests.integration.aws_world import THIRD_ACCOUNT, Peer, World, bucket_policy, changes, keys_in

if TYPE_CHECKING:
    from symfed_operator.backends.aws.peer import AwsPeerSide

CURRENT = "queue, subscription and the bucket's policy are as they must be"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsServer]:
    with running(AwsServer.ministack(tmp_path_factory.mktemp("ministack"))) as started:
        yield started


@pytest.fixture
def world(server: AwsServer) -> World:
    return World(server)


async def granted(world: World, *peers: Peer) -> FederationDocument:
    """A federation whose admin has granted these peers all they need."""
    backend, document = await world.backend(), world.document(*peers)
    await backend.apply(world.wanted(*peers))
    await backend.publish_document(world.wanted(*peers), world.signed(document))
    return document


async def joined(world: World, *peers: Peer) -> list["AwsPeerSide"]:
    """These peers with all that they have outside."""
    document = await granted(world, *peers)
    sides = [await world.peer_side(peer, document) for peer in peers]
    assert [await side.apply() for side in sides] == [CURRENT] * len(peers)
    return sides


def queue_url(side: "AwsPeerSide") -> str:
    place = side.told.aws_place
    assert place is not None
    return place.queue_url


def received(peer: Peer, side: "AwsPeerSide", seconds: int = 5) -> list[str]:
    """The bodies that wait in a peer's queue."""
    found = peer.account.sqs.receive_message(
        QueueUrl=queue_url(side), WaitTimeSeconds=seconds, MaxNumberOfMessages=10
    )
    return [message["Body"] for message in found.get("Messages", [])]


def send(world: World, peer: Peer) -> str:
    """A pointer to the peer's head on the topic, as its node sends it."""
    pointer = Pointer(kind="head", federation=world.uid, peer=peer.uuid)
    peer.account.sns.publish(
        TopicArn=world.topic,
        Message=pointer.to_text(),
        MessageAttributes={"peer": {"DataType": "String", "StringValue": peer.uuid}},
    )
    return pointer.to_text()


async def test_a_peer_hears_the_others_and_the_admin_and_not_itself(world: World) -> None:
    one, two = world.peer(), world.peer(THIRD_ACCOUNT)
    sides = await joined(world, one, two)
    received(one, sides[0])  # that the other one lets it read
    first, second = send(world, one), send(world, two)
    document = world.signed(world.document(one, two, version=2))
    await (await world.backend()).publish_document(world.wanted(one, two), document)
    told = Pointer(kind="document", federation=world.uid, peer="federation").to_text()
    assert sorted(received(one, sides[0])) == sorted([second, told])
    assert sorted(received(two, sides[1])) == sorted([first, told])


async def test_the_node_is_told_its_place(world: World) -> None:
    peer = world.peer()
    (side,) = await joined(world, peer)
    place = side.told.aws_place
    assert place is not None
    assert (place.account_id, place.region, place.bucket) == (PEER_ACCOUNT, "eu-central-1", peer.bucket)
    assert place.endpoint_url == world.server.url
    name = f"{world.name}_{peer.project}"
    assert place.queue_url == peer.account.sqs.get_queue_url(QueueName=name)["QueueUrl"]


async def test_the_queue_is_as_it_must_be(world: World) -> None:
    peer = world.peer()
    (side,) = await joined(world, peer)
    sqs, url = peer.account.sqs, queue_url(side)
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert found["SqsManagedSseEnabled"] == "true"
    assert found["ReceiveMessageWaitTimeSeconds"] == "20"
    assert found["MessageRetentionPeriod"] == "1209600"
    assert world.topic in found["Policy"]
    redrive = json.loads(found["RedrivePolicy"])
    assert redrive == {"deadLetterTargetArn": f"{found['QueueArn']}-dlq", "maxReceiveCount": 5}
    dead = sqs.get_queue_attributes(QueueUrl=f"{url}-dlq", AttributeNames=["All"])["Attributes"]
    assert (dead["SqsManagedSseEnabled"], dead["MessageRetentionPeriod"]) == ("true", "1209600")
    tags = {"symfed.dev/federation": world.uid, "symfed.dev/peer": peer.uuid}
    assert [sqs.list_queue_tags(QueueUrl=each)["Tags"] for each in (url, f"{url}-dlq")] == [tags, tags]


async def test_a_second_look_changes_nothing(world: World) -> None:
    peer = world.peer()
    (side,) = await joined(world, peer)
    with changes(await world.side(peer)) as made:
        await side.apply()
    assert made == []


async def test_what_somebody_changed_is_set_right(world: World) -> None:
    peer = world.peer()
    (side,) = await joined(world, peer)
    sqs, url = peer.account.sqs, queue_url(side)
    attributes = {"Policy": "", "ReceiveMessageWaitTimeSeconds": "0"}
    sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)  # type: ignore[arg-type]
    subscription = world.admin.account.sns.list_subscriptions_by_topic(TopicArn=world.topic)["Subscriptions"]
    peer.account.sns.set_subscription_attributes(
        SubscriptionArn=subscription[0]["SubscriptionArn"],
        AttributeName="RawMessageDelivery",
        AttributeValue="false",
    )
    sqs.delete_queue(QueueUrl=f"{url}-dlq")
    peer.account.s3.delete_bucket_policy(Bucket=peer.bucket)
    with changes(await world.side(peer)) as made:
        await side.apply()
    assert made == [
        "PutBucketPolicy",
        "CreateQueue",
        "SetQueueAttributes",
        "SetSubscriptionAttributes",
        "Publish",  # the others may have been refused
    ]
    sqs.delete_queue(QueueUrl=url)
    with changes(await world.side(peer)) as made:
        await side.apply()
    assert made == ["CreateQueue"]


@pytest.mark.parametrize("suffix", ["", "-dlq"])
async def test_somebody_elses_queue_is_left_alone(world: World, suffix: str) -> None:
    peer = world.peer()
    side = await world.peer_side(peer, await granted(world, peer))
    name = f"{world.name}_{peer.project}{suffix}"
    tags = {"symfed.dev/federation": world.uid, "symfed.dev/peer": "another"}
    url = peer.account.sqs.create_queue(QueueName=name, tags=tags)["QueueUrl"]
    with pytest.raises(ExternalNameTakenError) as caught:
        await side.apply()
    assert str(caught.value) == (
        f"arn:aws:sqs:eu-central-1:{PEER_ACCOUNT}:{name} exists already and belongs to somebody else"
        f" (symfed.dev/federation={world.uid}, symfed.dev/peer=another): delete it, or choose another name"
        " for the federation or the project"
    )
    await side.delete(retains=True)
    assert peer.account.sqs.get_queue_url(QueueName=name)["QueueUrl"] == url


async def test_without_a_topic_there_is_no_subscription(world: World) -> None:
    peer = world.peer()
    side = await world.peer_side(peer, world.document(peer))
    with pytest.raises(TopicMissingError) as caught:
        await side.apply()
    assert world.topic in str(caught.value)


# --- who reads the bucket ----------------------------------------------------------------------------------


def may_read(reader: Peer, owner: Peer, key: str) -> bool:
    try:
        reader.account.s3.get_object(Bucket=owner.bucket, Key=key)
    except ClientError as error:
        return error.response["Error"]["Code"] != "AccessDenied"
    return True


async def test_members_read_each_others_buckets_as_the_newest_document_says(world: World) -> None:
    one, two = world.peer(), world.peer(THIRD_ACCOUNT)
    sides = await joined(world, one)
    key = f"{world.uid}/{one.uuid}/latest.json"
    one.account.s3.put_object(Bucket=one.bucket, Key=key, Body=b"head")
    assert not may_read(two, one, key)

    async def publish(document: FederationDocument) -> None:
        members = [peer for peer in (one, two) if document.member(peer.uuid) in document.active_members()]
        await (await world.backend()).apply(world.wanted(*members))
        await (await world.backend()).publish_document(world.wanted(*members), world.signed(document))
        await sides[0].apply()

    await publish(world.document(one, two, version=2))
    assert may_read(two, one, key)
    assert not may_read(two, one, "private")
    await publish(world.document(one, removed=(two,), version=3))
    assert not may_read(two, one, key)


async def test_who_may_read_since_now_is_woken(world: World) -> None:
    one, two = world.peer(), world.peer(THIRD_ACCOUNT)
    sides = await joined(world, one)
    document = await granted(world, one, two)
    second = await world.peer_side(two, document)
    await second.apply()
    woken = Pointer(kind="head", federation=world.uid, peer=one.uuid).to_text()
    await sides[0].apply()
    assert received(two, second) == [woken]
    await sides[0].apply()
    assert received(two, second, seconds=1) == [], "once is enough"


@pytest.mark.parametrize("fault", ["not signed by the federation", "older", "of another federation", "text"])
async def test_a_document_that_cannot_be_believed_changes_no_grants(world: World, fault: str) -> None:
    one, two = world.peer(), world.peer(THIRD_ACCOUNT)
    document = world.document(one, version=2)
    await (await world.backend()).apply(world.wanted(one, two))
    other = World(world.server)
    text = {
        "not signed by the federation": other.signed(world.document(one, two, version=3)).model_dump_json(),
        "older": world.signed(world.document(one, two, version=1)).model_dump_json(),
        "of another federation": world.signed(other.document(one, two, version=3)).model_dump_json(),
        "text": "no document",
    }[fault]
    world.admin.account.s3.put_object(
        Bucket=world.admin.bucket, Key=f"{world.uid}/federation.json", Body=text.encode()
    )
    side = await world.peer_side(one, document)
    await side.apply()
    assert PEER_ACCOUNT in json.dumps(bucket_policy(one))
    assert THIRD_ACCOUNT not in json.dumps(bucket_policy(one))


async def test_a_bucket_of_another_account_is_told(world: World) -> None:
    owner = world.peer(THIRD_ACCOUNT)
    peer = world.peer(bucket=owner.bucket)
    side = await world.peer_side(peer, await granted(world, peer))
    with pytest.raises(BucketNotYoursError) as caught:
        await side.apply()
    assert str(caught.value) == (
        f"arn:aws:s3:::{owner.bucket} is not a bucket of the account {PEER_ACCOUNT}: only a bucket's owner"
        " can let others read it, so set spec.aws.bucket to one of your own"
    )


async def test_the_admins_bucket_has_its_policy_from_the_admin(world: World) -> None:
    backend, admin, member = await world.backend(), world.admin, world.peer()
    await backend.apply(world.wanted(admin, member))
    before = bucket_policy(admin)
    old = world.document(admin)  # the member has come since
    side = await world.peer_side(admin, old)
    await side.apply()
    assert bucket_policy(admin) == before
    await side.delete(retains=True)
    assert bucket_policy(admin) == before


# --- deletion ----------------------------------------------------------------------------------------------


def exists(peer: Peer, name: str) -> bool:
    sqs = peer.account.sqs
    try:
        sqs.get_queue_url(QueueName=name)
    except sqs.exceptions.QueueDoesNotExist:
        return False
    return True


@pytest.mark.parametrize("retains", [True, False])
async def test_deletion_takes_the_peers_own_and_nothing_else(world: World, *, retains: bool) -> None:
    peer, other = world.peer(), world.peer(THIRD_ACCOUNT)
    (side, _) = await joined(world, peer, other)
    s3, mine = peer.account.s3, f"{world.uid}/{peer.uuid}/latest.json"
    others = {f"{world.uid}/{other.uuid}/latest.json", "private"}
    for key in (mine, *others):
        s3.put_object(Bucket=peer.bucket, Key=key, Body=b"1")
    await side.delete(retains=retains)
    await side.delete(retains=retains)  # as after a crash
    assert set(keys_in(s3, peer.bucket)) == (others | {mine} if retains else others)
    assert bucket_policy(peer) == {}
    assert not exists(peer, f"{world.name}_{peer.project}")
    assert not exists(peer, f"{world.name}_{peer.project}-dlq")


async def test_a_shared_buckets_policy_stays_for_the_other_peer(world: World) -> None:
    one = world.peer()
    two = world.peer(bucket=one.bucket)
    sides = await joined(world, one, two)
    await sides[0].delete(retains=False)
    assert PEER_ACCOUNT in json.dumps(bucket_policy(one))
    last = world.document(two, removed=(one,), version=2)
    await (await world.backend()).publish_document(world.wanted(two), world.signed(last))
    await sides[1].delete(retains=False)
    assert bucket_policy(one) == {}


async def test_a_bucket_that_is_gone_keeps_nothing_from_going(world: World) -> None:
    peer = world.peer()
    (side,) = await joined(world, peer)
    peer.account.s3.delete_bucket(Bucket=peer.bucket)
    await side.delete(retains=False)
    assert not exists(peer, f"{world.name}_{peer.project}")
