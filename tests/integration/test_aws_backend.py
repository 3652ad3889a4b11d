"""The admin's side of a federation on AWS, against ministack: what members may do, and who no longer."""

import json
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from symfed_operator.backends.base import ExternalNameTakenError, GoneMember
from symfed_wire.documents import AwsAddress
from symfed_wire.join import AwsGrant
from tests.integration.aws_servers import ADMIN_ACCOUNT, PEER_ACCOUNT, AwsServer, running
from tests.integration.aws_world import NO_SEEDS, THIRD_ACCOUNT, Peer, World, bucket_policy, changes, keys_in


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsServer]:
    with running(AwsServer.ministack(tmp_path_factory.mktemp("ministack"))) as started:
        yield started


@pytest.fixture
def world(server: AwsServer) -> World:
    return World(server)


def gone(peer: Peer) -> GoneMember:
    return GoneMember(NO_SEEDS, peer.uuid)


async def test_members_are_granted_the_topic_and_the_document(world: World) -> None:
    one, two = world.peer(), world.peer(THIRD_ACCOUNT)
    backend = await world.backend()
    applied = await backend.apply(world.wanted(one, two))
    assert applied.topic_arn == world.topic
    assert applied.faults == ()
    grant = applied.grants[one.uuid]
    assert grant == AwsGrant(
        topic_arn=world.topic, region="eu-central-1", bucket=world.admin.bucket, prefix=f"{world.uid}/"
    )
    document = world.signed(world.document(one, two))
    await backend.publish_document(world.wanted(one, two), document)
    for peer in (one, two):
        key = f"{grant.prefix}federation.json"
        body = peer.account.s3.get_object(Bucket=grant.bucket, Key=key)["Body"].read()
        assert body.decode() == document.model_dump_json()
    stranger = world.server.account("444444444444")
    with pytest.raises(ClientError, match="AccessDenied"):
        stranger.s3.get_object(Bucket=grant.bucket, Key=f"{grant.prefix}federation.json")


async def test_a_member_is_found_in_its_own_bucket(world: World) -> None:
    peer = world.peer()
    (member,) = world.wanted(peer).members
    address = (await world.backend()).address_of(world.uid, member)
    assert address == AwsAddress(
        account_id=PEER_ACCOUNT,
        region="eu-central-1",
        bucket=peer.bucket,
        prefix=f"{world.uid}/{peer.uuid}/",
    )


async def test_a_second_look_changes_nothing(world: World) -> None:
    one = world.peer()
    backend, wanted = await world.backend(), world.wanted(one)
    document = world.signed(world.document(one))
    with changes(await world.side(world.admin)) as first:
        await backend.apply(wanted)
        await backend.publish_document(wanted, document)
    assert first == ["CreateTopic", "SetTopicAttributes", "PutBucketPolicy", "PutObject", "Publish"]
    with changes(await world.side(world.admin)) as second:
        await backend.apply(wanted)
        await backend.publish_document(wanted, document)
    assert second == []


async def test_what_somebody_changed_is_set_right(world: World) -> None:
    one = world.peer()
    backend, wanted = await world.backend(), world.wanted(one)
    await backend.apply(wanted)
    good = world.topic_policy()
    owner = world.admin.account
    owner.sns.add_permission(
        TopicArn=world.topic, Label="theirs", AWSAccountId=["444444444444"], ActionName=["Publish"]
    )
    owner.s3.delete_bucket_policy(Bucket=world.admin.bucket)
    assert "theirs" in world.topic_policy()
    await backend.apply(wanted)
    assert world.topic_policy() == good
    assert PEER_ACCOUNT in json.dumps(bucket_policy(world.admin))
    owner.sns.delete_topic(TopicArn=world.topic)
    await backend.apply(wanted)
    assert world.topic_policy() == good


async def test_the_topic_keeps_what_is_not_ours(world: World) -> None:
    backend, wanted = await world.backend(), world.wanted(world.peer())
    await backend.apply(wanted)
    owner = world.admin.account
    owner.sns.set_topic_attributes(TopicArn=world.topic, AttributeName="DisplayName", AttributeValue="Ours")
    with changes(await world.side(world.admin)) as made:
        await backend.apply(world.wanted(world.peer(THIRD_ACCOUNT)))
    assert made == ["SetTopicAttributes", "PutBucketPolicy"]
    attributes = owner.sns.get_topic_attributes(TopicArn=world.topic)["Attributes"]
    assert attributes["DisplayName"] == "Ours"


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({}, "has no tag symfed.dev/federation, so symfed has not made it"),
        ({"symfed.dev/federation": "another"}, "belongs to somebody else (symfed.dev/federation=another)"),
    ],
)
async def test_somebody_elses_topic_is_left_alone(world: World, tags: dict[str, str], words: str) -> None:
    owner = world.admin.account
    owner.sns.create_topic(
        Name=world.name, Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
    )
    before = world.topic_policy()
    backend, wanted = await world.backend(), world.wanted(world.peer())
    with pytest.raises(ExternalNameTakenError) as caught:
        await backend.apply(wanted)
    assert str(caught.value) == (
        f"{world.topic} exists already and {words}: delete it, or choose another name for the federation or"
        " the project"
    )
    await backend.remove_member(wanted, gone(world.peer()))
    await backend.delete(wanted)
    assert world.topic_policy() == before


# --- removal -----------------------------------------------------------------------------------------------


def subscribe(world: World, peer: Peer) -> str:
    """A queue of the peer's account on the topic."""
    return peer.account.sns.subscribe(
        TopicArn=world.topic,
        Protocol="sqs",
        Endpoint=peer.place(world.name).queue_arn,
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]


def subscribers(world: World) -> set[str]:
    listed = world.admin.account.sns.list_subscriptions_by_topic(TopicArn=world.topic)["Subscriptions"]
    return {each["Owner"] for each in listed}


def may_read(world: World, peer: Peer) -> bool:
    s3 = peer.account.s3
    try:
        s3.get_object(Bucket=world.admin.bucket, Key=f"{world.uid}/federation.json")
    except s3.exceptions.NoSuchKey:
        raise
    except ClientError as error:
        return error.response["Error"]["Code"] != "AccessDenied"
    return True


async def test_a_removed_member_loses_all_its_grants(world: World) -> None:
    one, two = world.peer(), world.peer(THIRD_ACCOUNT)
    backend = await world.backend()
    await backend.apply(world.wanted(one, two))
    await backend.publish_document(world.wanted(one, two), world.signed(world.document(one, two)))
    subscribe(world, one)
    subscribe(world, two)
    assert subscribers(world) == {PEER_ACCOUNT, THIRD_ACCOUNT}
    with changes(await world.side(world.admin)) as made:
        await backend.remove_member(world.wanted(one), gone(two))
    # ministack does not let a topic's owner unsubscribe others, so that it is asked to is all that is seen.
    assert made == ["SetTopicAttributes", "Unsubscribe", "PutBucketPolicy"]
    assert THIRD_ACCOUNT not in world.topic_policy()
    assert (may_read(world, one), may_read(world, two)) == (True, False)


async def test_an_account_stays_while_another_member_has_it(world: World) -> None:
    one, two = world.peer(), world.peer()
    backend = await world.backend()
    await backend.apply(world.wanted(one, two))
    await backend.publish_document(world.wanted(one, two), world.signed(world.document(one, two)))
    subscribe(world, one)
    await backend.remove_member(world.wanted(one, two), gone(two))
    assert subscribers(world) == {PEER_ACCOUNT}
    assert may_read(world, one)


async def test_the_admins_own_subscriptions_stay(world: World) -> None:
    backend = await world.backend()
    await backend.apply(world.wanted())
    subscribe(world, world.admin)
    await backend.apply(world.wanted(world.peer()))
    assert subscribers(world) == {ADMIN_ACCOUNT}


async def test_a_removal_makes_no_topic_and_no_policy(world: World) -> None:
    backend = await world.backend()
    with changes(await world.side(world.admin)) as made:
        await backend.retain_member(world.wanted(), gone(world.peer()))
    assert made == []


# --- deletion ----------------------------------------------------------------------------------------------

OTHERS = {"Sid": "Theirs", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444444444444:root"}}


async def test_deletion_takes_the_federations_own_and_nothing_else(world: World) -> None:
    backend, one = await world.backend(), world.peer()
    bucket, s3 = world.admin.bucket, world.admin.account.s3
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    theirs = OTHERS | {"Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/theirs/*"}
    policy = {"Version": "2012-10-17", "Statement": [theirs]}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    await backend.apply(world.wanted(one))
    await backend.publish_document(world.wanted(one), world.signed(world.document(one)))
    await backend.publish_document(world.wanted(one), world.signed(world.document(one, version=2)))
    for key in (f"{world.uid}/peer/latest.json", f"{world.uid}x/theirs", "theirs/1"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    s3.delete_object(Bucket=bucket, Key=f"{world.uid}/peer/latest.json")
    await backend.delete(world.wanted())
    await backend.delete(world.wanted())  # as after a crash
    left = s3.list_object_versions(Bucket=bucket)
    assert {each["Key"] for each in left["Versions"]} == {"theirs/1", f"{world.uid}x/theirs"}
    assert not left.get("DeleteMarkers")
    assert bucket_policy(world.admin) == policy
    with pytest.raises(ClientError, match="NotFound"):
        world.topic_policy()


async def test_a_retained_federation_keeps_its_objects_for_their_owner(world: World) -> None:
    backend, one = await world.backend(), world.peer()
    await backend.apply(world.wanted(one))
    await backend.publish_document(world.wanted(one), world.signed(world.document(one)))
    await backend.retain(world.wanted())
    assert keys_in(world.admin.account.s3, world.admin.bucket) == [f"{world.uid}/federation.json"]
    assert bucket_policy(world.admin) == {}
    assert not may_read(world, one)
    with pytest.raises(ClientError, match="NotFound"):
        world.topic_policy()


async def test_many_objects_go_in_several_requests(world: World) -> None:
    backend, s3 = await world.backend(), world.admin.account.s3
    for number in range(1_050):
        s3.put_object(Bucket=world.admin.bucket, Key=f"{world.uid}/p/{number}", Body=b"1")
    await backend.delete(world.wanted())
    assert keys_in(s3, world.admin.bucket) == []


async def test_a_bucket_that_is_gone_keeps_nothing_from_going(world: World) -> None:
    backend = await world.backend()
    await backend.apply(world.wanted())
    world.admin.account.s3.delete_bucket(Bucket=world.admin.bucket)
    await backend.remove_member(world.wanted(), gone(world.peer()))
    await backend.delete(world.wanted())
    with pytest.raises(ClientError, match="NotFound"):
        world.topic_policy()
