"""The two AWS emulators start on loopback, keep accounts apart or not, and end with their block."""

from pathlib import Path

import httpx
import pytest
from botocore.exceptions import ClientError

from tests.integration.aws_servers import ADMIN_ACCOUNT, MOTO_ACCOUNT, PEER_ACCOUNT, AwsServer, running


def check(server: AwsServer, account: str) -> None:
    """A queue, a topic and a bucket with a conditional put, in that account."""
    owner = server.account(account)
    queue = owner.sqs.create_queue(QueueName="queue")["QueueUrl"]
    assert queue == f"{server.url}/{account}/queue"
    assert owner.sns.create_topic(Name="topic")["TopicArn"] == f"arn:aws:sns:{owner.region}:{account}:topic"
    owner.s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    owner.s3.put_object(Bucket="bucket", Key="key", Body=b"body", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        owner.s3.put_object(Bucket="bucket", Key="key", Body=b"body", IfNoneMatch="*")


def test_ministack_keeps_accounts_apart(tmp_path: Path) -> None:
    with running(AwsServer.ministack(tmp_path)) as server:
        check(server, ADMIN_ACCOUNT)
        peer = server.account(PEER_ACCOUNT)
        assert not peer.sqs.list_queues().get("QueueUrls")
        with pytest.raises(ClientError, match="AccessDenied"):
            peer.s3.get_object(Bucket="bucket", Key="key")
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url, trust_env=False)


def test_moto_has_one_account(tmp_path: Path) -> None:
    with running(AwsServer.moto(tmp_path)) as server:
        check(server, MOTO_ACCOUNT)
        assert server.account(PEER_ACCOUNT).s3.get_object(Bucket="bucket", Key="key")
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url, trust_env=False)
