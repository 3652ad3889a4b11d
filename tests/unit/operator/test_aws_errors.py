"""What AWS refuses, as the operator says it: each answer as boto3 gives it, and the error it becomes."""

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)

from symfed_operator.backends.aws.errors import in_words
from symfed_operator.backends.aws.ownership import check_owner
from symfed_operator.backends.base import BackendError, ExternalNameTakenError

BUCKET = "arn:aws:s3:::b"


def refused(service: str, operation: str, code: str, message: str = "words") -> BackendError:
    with pytest.raises(BackendError) as caught, in_words(service, BUCKET):
        raise ClientError({"Error": {"Code": code, "Message": message}}, operation)
    return caught.value


@pytest.mark.parametrize(
    ("service", "code", "reason"),
    [
        ("sts", "InvalidClientTokenId", "AuthorizationFailed"),
        ("s3", "SignatureDoesNotMatch", "AuthorizationFailed"),
        ("sts", "ExpiredToken", "CredentialsExpired"),
        ("s3", "AccessDenied", "AccessDenied"),
        ("sns", "AuthorizationError", "AccessDenied"),
        ("s3", "PermanentRedirect", "WrongRegion"),
        ("s3", "NoSuchBucket", "BucketMissing"),
        ("sns", "NotFound", "TopicMissing"),
        ("sqs", "AWS.SimpleQueueService.NonExistentQueue", "QueueMissing"),
        ("sqs", "AWS.SimpleQueueService.QueueDeletedRecently", "QueueDeletedRecently"),
        ("s3", "RequestTimeTooSkewed", "ClockSkew"),
        ("s3", "SlowDown", "Throttled"),
        ("sqs", "InternalError", "Unreachable"),
        ("s3", "NobodyForesawThis", "BackendFailed"),
    ],
)
def test_each_answer_has_its_reason(service: str, code: str, reason: str) -> None:
    error = refused(service, "AnyOperation", code)
    assert error.reason == reason
    assert BUCKET in str(error)


def test_the_signature_that_aws_would_have_liked_is_not_told() -> None:
    words = (
        "The request signature we calculated does not match the signature you provided.\n\nThe Canonical"
        " String for this request should have been\n'POST\n/\n\nx-amz-security-token:a token\n'"
    )
    error = refused("sts", "GetCallerIdentity", "SignatureDoesNotMatch", words)
    assert "does not match the signature you provided" in str(error)
    assert "a token" not in str(error)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (EndpointConnectionError(endpoint_url="https://x"), "Unreachable"),
        (ConnectTimeoutError(endpoint_url="https://x"), "Unreachable"),
        (ReadTimeoutError(endpoint_url="https://x"), "Unreachable"),
        (NoCredentialsError(), "AuthorizationFailed"),
        (ParamValidationError(report="Invalid bucket name"), "BackendFailed"),
    ],
)
def test_what_boto3_says_itself_has_its_reason(error: BotoCoreError, reason: str) -> None:
    with pytest.raises(BackendError) as caught, in_words("s3", BUCKET):
        raise error
    assert caught.value.reason == reason
    assert str(caught.value).startswith(f"{BUCKET}: ")


OURS = {"symfed.dev/federation": "f", "symfed.dev/peer": "p"}


def test_what_has_our_tags_is_ours() -> None:
    check_owner("arn", {**OURS, "team": "a"}, OURS)


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({}, "arn exists already and has no tag symfed.dev/federation, so symfed has not made it: delete it"),
        ({**OURS, "symfed.dev/peer": "q"}, "(symfed.dev/federation=f, symfed.dev/peer=q)"),
        ({"symfed.dev/federation": "f"}, "belongs to somebody else (symfed.dev/federation=f)"),
    ],
)
def test_what_has_other_tags_is_somebody_elses(tags: dict[str, str], words: str) -> None:
    with pytest.raises(ExternalNameTakenError) as caught:
        check_owner("arn", tags, OURS)
    assert words in str(caught.value)
    assert caught.value.reason == "NameTaken"
