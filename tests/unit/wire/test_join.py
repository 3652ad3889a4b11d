"""What a join answer may say: it becomes policies, prefixes and hosts of a peer's own side."""

import base64

import pytest
from pydantic import ValidationError

from symfed_wire.documents import AwsAddress, Signed
from symfed_wire.join import AwsGrant, AwsMember, JoinAnswer

UID = "5f0c6a52-6e5e-4b3f-9d1f-1f0b7c3d2a11"
TOPIC = "arn:aws:sns:eu-central-1:111111111111:study"


def answer(federation: str = UID, **grant: str) -> JoinAnswer:
    keys = {"topic_arn": TOPIC, "region": "eu-central-1", "bucket": "admins-bucket"}
    keys["prefix"] = f"{federation}/"
    return JoinAnswer(
        federation=federation,
        document_key=base64.b64encode(bytes(32)).decode(),
        document=Signed(payload="", key="", sig=""),
        aws=AwsGrant(**(keys | grant)),
    )


def test_a_federation_on_aws() -> None:
    assert answer().federation == UID
    assert answer(topic_arn="arn:aws-cn:sns:cn-north-1:111111111111:study").aws is not None


@pytest.mark.parametrize("federation", ["*", "", "private", f"{UID}/..", f"{UID}*", "?" * 36, UID.upper()])
def test_a_federation_is_a_uuid(federation: str) -> None:
    """A peer's operator lets all members read `<federation>/*` in its bucket: `*` would be all of it."""
    with pytest.raises(ValidationError, match="not a uuid in canonical lower case"):
        answer(federation)


@pytest.mark.parametrize(
    "grant",
    [
        {"prefix": "private/"},
        {"prefix": ""},
        {"region": "eu-central-1.evil.example/"},
        {"bucket": "x/../y"},
        {"topic_arn": "study"},
        {"topic_arn": "arn:aws:sns:eu-central-1:*:study"},
    ],
)
def test_a_grant_on_aws_is_of_its_form(grant: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=next(iter(grant))):
        answer(**grant)


@pytest.mark.parametrize(
    "changes", [{"account_id": "*"}, {"account_id": "1"}, {"region": "x.evil.example"}, {"bucket": "*"}]
)
def test_a_place_on_aws_is_of_its_form(changes: dict[str, str]) -> None:
    """The account becomes a principal in the others' policies, region and bucket hosts that they call."""
    keys = {"account_id": "222222222222", "region": "eu-central-1", "bucket": "peers-bucket"} | changes
    with pytest.raises(ValidationError, match=next(iter(changes))):
        AwsAddress(**keys, prefix=f"{UID}/")
    with pytest.raises(ValidationError, match=next(iter(changes))):
        AwsMember(**keys, queue_arn="arn:aws:sqs:eu-central-1:222222222222:q")
