"""What AWS's answers are in words, and the form of the messages on a federation's topic."""

import pytest

from symfed_wire.aws_errors import AwsReason, action_of, describe
from symfed_wire.aws_layout import Pointer, snapshot_object
from symfed_wire.errors import MalformedError

OBJECT = "arn:aws:s3:::bucket/f/p/latest.json"
QUEUE = "arn:aws:sqs:eu-central-1:111111111111:queue"
DENIED = (
    "User: arn:aws:iam::111111111111:user/node is not authorized to perform: s3:PutObject on resource:"
    ' "arn:aws:s3:::bucket/other" because no identity-based policy allows the s3:PutObject action'
)

CASES = [
    ("s3", "GetObject", "InvalidAccessKeyId", AwsReason.CREDENTIALS_REFUSED, "does not know these"),
    ("sqs", "ReceiveMessage", "InvalidClientTokenId", AwsReason.CREDENTIALS_REFUSED, "access key"),
    ("s3", "PutObject", "SignatureDoesNotMatch", AwsReason.CREDENTIALS_REFUSED, "secret key"),
    ("s3", "GetObject", "ExpiredToken", AwsReason.CREDENTIALS_EXPIRED, "have expired"),
    ("sns", "Publish", "ExpiredTokenException", AwsReason.CREDENTIALS_EXPIRED, "use a role"),
    ("s3", "GetObject", "AccessDenied", AwsReason.ACCESS_DENIED, f"s3:GetObject is not allowed on {OBJECT}"),
    ("s3", "HeadObject", "403", AwsReason.ACCESS_DENIED, "s3:GetObject is not allowed on"),
    ("sns", "Publish", "AuthorizationError", AwsReason.ACCESS_DENIED, "sns:Publish is not allowed on"),
    ("s3", "GetObject", "PermanentRedirect", AwsReason.WRONG_REGION, "give the region"),
    ("s3", "PutObject", "AuthorizationHeaderMalformed", AwsReason.WRONG_REGION, "another region"),
    ("s3", "PutObject", "NoSuchBucket", AwsReason.BUCKET_MISSING, "give the right name"),
    ("sqs", "ReceiveMessage", "QueueDoesNotExist", AwsReason.QUEUE_MISSING, "no such queue"),
    ("sqs", "CreateQueue", "QueueDeletedRecently", AwsReason.QUEUE_DELETED_RECENTLY, "60 seconds"),
    ("sns", "Publish", "NotFound", AwsReason.TOPIC_MISSING, "no such topic"),
    ("s3", "GetObject", "RequestTimeTooSkewed", AwsReason.CLOCK_SKEW, "set the clock right"),
    ("s3", "PutObject", "SlowDown", AwsReason.THROTTLED, "fewer requests"),
    ("sqs", "ReceiveMessage", "RequestThrottled", AwsReason.THROTTLED, "more slowly"),
    ("s3", "GetObject", "InternalError", AwsReason.UNREACHABLE, "tried again"),
    ("s3", "GetObject", "NeverHeardOf", AwsReason.FAILED, "failed: NeverHeardOf: its words"),
]  # fmt: skip


@pytest.mark.parametrize(("service", "operation", "code", "reason", "words"), CASES)
def test_an_answer_in_words(service: str, operation: str, code: str, reason: AwsReason, words: str) -> None:
    fault = describe(service, operation, code, "its words", OBJECT)
    assert fault.reason is reason
    assert words in fault.text
    assert OBJECT in fault.text


def test_a_wrong_clock_is_told_from_a_wrong_key() -> None:
    """SQS and SNS answer both with one code."""
    fault = describe("sqs", "ReceiveMessage", "InvalidSignatureException", "Signature expired: 2026…", QUEUE)
    assert fault.reason is AwsReason.CLOCK_SKEW


def test_action_and_resource_are_those_that_aws_names() -> None:
    fault = describe("s3", "CompleteMultipartUpload", "AccessDenied", DENIED, OBJECT)
    assert fault.text == (
        "s3:PutObject is not allowed on arn:aws:s3:::bucket/other: no identity-based policy allows the"
        " s3:PutObject action"
    )


def test_long_words_of_aws_are_cut_off() -> None:
    assert len(describe("sts", "AssumeRole", "Odd", "x" * 5000, "role").text) < 400


def test_the_action_of_an_operation() -> None:
    assert action_of("s3", "ListObjectsV2") == "s3:ListBucket"
    assert action_of("s3", "GetBucketPolicy") == "s3:GetBucketPolicy"
    assert action_of("sqs", "DeleteMessageBatch") == "sqs:DeleteMessage"


def test_the_message_on_the_topic() -> None:
    pointer = Pointer(kind="head", federation="f", peer="p")
    assert pointer.to_text() == '{"federation":"f","kind":"head","peer":"p","v":1}'
    assert Pointer.parse(pointer.to_text()) == pointer
    with pytest.raises(MalformedError, match="a message on the topic: kind"):
        Pointer.parse('{"v":1,"kind":"order","federation":"f","peer":"p"}')


def test_the_name_of_a_snapshot() -> None:
    assert snapshot_object(7, "0123456789abcdef" * 4) == "7-0123456789abcdef"
