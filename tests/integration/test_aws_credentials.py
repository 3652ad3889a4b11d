"""Credentials and rights on AWS, against ministack where it judges both: keys, roles, the least policies."""

import dataclasses
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest

from symfed_operator.backends.access import AwsAccess, AwsKeys
from symfed_operator.backends.aws.backend import AwsBackend
from symfed_operator.backends.aws.errors import (
    AccessDeniedError,
    BucketMissingError,
    ClockSkewError,
    WrongAccountError,
)
from symfed_operator.backends.aws.peer import AwsPeerSide
from symfed_operator.backends.aws.session import AwsSides
from symfed_operator.backends.base import AuthorizationFailedError, GoneMember, UnreachableError
from tests.integration.aws_rights import least, user
from tests.integration.aws_servers import ADMIN_ACCOUNT, PEER_ACCOUNT, AwsServer, running
from tests.integration.aws_world import NO_SEEDS, World, keys_in


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsServer]:
    started = AwsServer.ministack(tmp_path_factory.mktemp("ministack"), judges=True)
    with running(started), pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_CA_BUNDLE", str(started.ca_file))
        yield started


@pytest.fixture
def world(server: AwsServer) -> World:
    return World(server)


# --- the least policies ------------------------------------------------------------------------------------


async def test_the_admins_least_policy_is_enough_for_all_that_its_operator_does(world: World) -> None:
    admin, member = world.admin, world.peer()
    side = await AwsSides().open(user(admin, least(world, "policy of the admin", admin)))
    backend, everybody = AwsBackend(side), world.wanted(admin, member)
    await backend.apply(everybody)
    document = world.document(admin, member)
    await backend.publish_document(everybody, world.signed(document))
    answer = world.answer(document)
    assert answer.aws is not None
    own = AwsPeerSide(side, answer, answer.aws, uuid=admin.uuid, project=admin.project)
    await own.apply()
    queue = admin.account.sqs.get_queue_url(QueueName=f"{world.name}_{admin.project}")["QueueUrl"]
    admin.account.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": ""})
    admin.account.sns.set_topic_attributes(
        TopicArn=world.topic, AttributeName="Policy", AttributeValue='{"Statement":[]}'
    )
    await backend.apply(everybody)
    await own.apply()
    await backend.remove_member(world.wanted(admin), GoneMember(NO_SEEDS, member.uuid))
    await own.delete(retains=False)
    await backend.delete(world.wanted())
    assert keys_in(admin.account.s3, admin.bucket) == []


async def test_a_peers_least_policy_is_enough_and_says_what_the_admin_has_not_granted(world: World) -> None:
    peer = world.peer()
    document = world.document(peer)
    await (await world.backend()).apply(world.wanted())
    side = await AwsSides().open(user(peer, least(world, "policy of a peer", peer)))
    answer = world.answer(document)
    assert answer.aws is not None
    own = AwsPeerSide(side, answer, answer.aws, uuid=peer.uuid, project=peer.project)
    with pytest.raises(AccessDeniedError) as caught:
        await own.apply()
    assert str(caught.value).startswith(f"sns:Subscribe is not allowed on {world.topic}")
    peer.account.s3.put_object(Bucket=peer.bucket, Key=f"{world.uid}/{peer.uuid}/latest.json", Body=b"1")
    await own.delete(retains=False)
    assert keys_in(peer.account.s3, peer.bucket) == []


async def test_a_missing_right_is_told_with_action_and_thing(world: World) -> None:
    policy = least(world, "policy of the admin", world.admin).replace(
        "sns:CreateTopic", "sns:GetSMSAttributes"
    )
    backend = AwsBackend(await AwsSides().open(user(world.admin, policy)))
    with pytest.raises(AccessDeniedError) as caught:
        await backend.apply(world.wanted())
    assert str(caught.value) == (
        f"sns:CreateTopic is not allowed on {world.topic}: no identity-based policy allows the"
        " sns:CreateTopic action"
    )
    assert caught.value.reason == "AccessDenied"


async def test_a_queue_takes_messages_of_its_topic_and_of_no_other(world: World) -> None:
    admin = world.admin
    document = world.document(admin)
    await (await world.backend()).apply(world.wanted(admin))
    await (await world.peer_side(admin, document)).apply()
    sns, sqs = admin.account.sns, admin.account.sqs
    other = sns.create_topic(Name=f"{world.name}-other")["TopicArn"]
    sns.subscribe(TopicArn=other, Protocol="sqs", Endpoint=admin.place(world.name).queue_arn)
    peer = {"peer": {"DataType": "String", "StringValue": "federation"}}
    for topic in (other, world.topic):
        sns.publish(TopicArn=topic, Message=topic, MessageAttributes=dict(peer))  # type: ignore[arg-type]
    url = sqs.get_queue_url(QueueName=f"{world.name}_{admin.project}")["QueueUrl"]
    found = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5, MaxNumberOfMessages=10)
    assert [message["Body"] for message in found.get("Messages", [])] == [world.topic]


# --- keys --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["unknown key", "wrong secret", "a token too many"])
async def test_keys_that_aws_does_not_know_are_told_without_the_secret(world: World, fault: str) -> None:
    good = user(world.admin, least(world, "policy of the admin", world.admin)).keys
    assert good is not None
    keys = {
        "unknown key": AwsKeys("AKIAIOSFODNN7EXAMPLE", "not a good secret"),
        "wrong secret": AwsKeys(good.access_key_id, "not a good secret"),
        "a token too many": AwsKeys(good.access_key_id, good.secret_access_key, "not a good token"),
    }[fault]
    with pytest.raises(AuthorizationFailedError) as caught:
        await AwsSides().open(world.admin.access(keys=keys))
    text = str(caught.value)
    assert text.startswith(f"sts:GetCallerIdentity on access key {keys.access_key_id}: AWS does not know")
    assert "not a good" not in text
    assert good.secret_access_key not in text


async def test_a_wrong_clock_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    access = user(world.admin, least(world, "policy of the admin", world.admin))
    late = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: late)
    with pytest.raises(ClockSkewError) as caught:
        await AwsSides().open(access)
    assert "set the clock right" in str(caught.value)


async def test_another_account_than_the_specs_is_told(world: World) -> None:
    with pytest.raises(WrongAccountError) as caught:
        await AwsSides().open(world.admin.access(account_id=PEER_ACCOUNT))
    assert str(caught.value) == (
        f"access key {ADMIN_ACCOUNT} is of the account {ADMIN_ACCOUNT}, and spec.aws.accountId is"
        f" {PEER_ACCOUNT}: set spec.aws.accountId right, or use credentials of that account"
    )
    side = await AwsSides().open(world.admin.access(account_id=ADMIN_ACCOUNT))
    assert side.account == ADMIN_ACCOUNT


async def test_a_bucket_that_is_not_there_is_told(world: World) -> None:
    side = await AwsSides().open(world.admin.access(bucket="never-made"))
    with pytest.raises(BucketMissingError) as caught:
        await AwsBackend(side).apply(world.wanted(world.peer()))
    assert "arn:aws:s3:::never-made: there is no such bucket" in str(caught.value)


async def test_an_address_where_nobody_answers_is_told(world: World) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(UnreachableError) as caught:
            await AwsSides().open(world.admin.access(endpoint_url=url))
    assert f'AWS cannot be reached: Could not connect to the endpoint URL: "{url}/"' in str(caught.value)
    assert "spec.aws.endpointUrl" in str(caught.value)


async def test_an_address_where_something_else_answers_is_told_without_its_words(world: World) -> None:
    def answer(connection: socket.socket) -> None:
        with connection.accept()[0] as client:
            client.recv(10_000)
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\nan inner secret")

    with socket.create_server(("127.0.0.1", 0)) as inner:
        Thread(target=answer, args=[inner], daemon=True).start()
        url = f"http://127.0.0.1:{inner.getsockname()[1]}"
        with pytest.raises(UnreachableError) as caught:
            await AwsSides().open(world.admin.access(endpoint_url=url))
    assert str(caught.value) == (
        f"access key {ADMIN_ACCOUNT}: something else than AWS answers (ResponseParserError): check"
        " spec.aws.endpointUrl"
    )


def test_no_secret_is_in_the_representation_of_a_way_to_aws() -> None:
    access = AwsAccess("r", "b", keys=AwsKeys("key", "a secret", "a token"))
    assert "a secret" not in repr(access)
    assert "a token" not in repr(dataclasses.replace(access, region="x"))
