"""What AWS's answers mean, and what to do. Pure: codes and texts come in, so nothing here needs boto3."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class AwsReason(StrEnum):
    """Why AWS did not do something, as a condition's reason."""

    CREDENTIALS_MISSING = "CredentialsMissing"
    CREDENTIALS_REFUSED = "CredentialsRefused"
    CREDENTIALS_EXPIRED = "CredentialsExpired"
    ACCESS_DENIED = "AccessDenied"
    WRONG_REGION = "WrongRegion"
    BUCKET_MISSING = "BucketMissing"
    QUEUE_MISSING = "QueueMissing"
    QUEUE_DELETED_RECENTLY = "QueueDeletedRecently"
    TOPIC_MISSING = "TopicMissing"
    CLOCK_SKEW = "ClockSkew"
    THROTTLED = "Throttled"
    UNREACHABLE = "BackendUnreachable"
    FAILED = "AwsFailed"


@dataclass(frozen=True)
class AwsFault:
    """One refusal or failure, in words."""

    reason: AwsReason
    text: str


_LONGEST: Final = 300  # of what AWS says; an encoded authorization failure has thousands of characters

_CODES: Final = {
    AwsReason.CREDENTIALS_REFUSED: (
        "InvalidAccessKeyId", "InvalidClientTokenId", "SignatureDoesNotMatch", "InvalidSignatureException",
        "InvalidSignature", "UnrecognizedClientException", "InvalidToken", "AuthFailure", "InvalidSecurity",
        "IncompleteSignature", "MissingAuthenticationToken", "MissingAuthenticationTokenException",
        "NotSignedUp", "OptInRequired", "AccountProblem", "InvalidIdentityToken",
    ),
    AwsReason.CREDENTIALS_EXPIRED: (
        "ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired",
    ),
    AwsReason.ACCESS_DENIED: (
        "AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException",
        "AllAccessDisabled", "UnauthorizedOperation", "Forbidden", "403", "KMS.AccessDeniedException",
        "KMSAccessDeniedException", "KmsAccessDenied",
    ),
    AwsReason.WRONG_REGION: (
        "PermanentRedirect", "TemporaryRedirect", "Redirect", "AuthorizationHeaderMalformed", "301", "307",
        "IllegalLocationConstraintException", "InvalidLocationConstraint", "InvalidRegion",
    ),
    AwsReason.BUCKET_MISSING: ("NoSuchBucket",),
    AwsReason.QUEUE_MISSING: (
        "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "NonExistentQueue",
    ),
    AwsReason.QUEUE_DELETED_RECENTLY: (
        "AWS.SimpleQueueService.QueueDeletedRecently", "QueueDeletedRecently",
    ),
    AwsReason.CLOCK_SKEW: ("RequestTimeTooSkewed", "RequestInTheFuture"),
    AwsReason.THROTTLED: (
        "SlowDown", "Throttling", "ThrottlingException", "ThrottledException", "Throttled",
        "RequestThrottled", "RequestThrottledException", "TooManyRequestsException", "RequestLimitExceeded",
        "BandwidthLimitExceeded", "KMS.ThrottlingException", "KmsThrottled", "KMSThrottlingException", "429",
    ),
    AwsReason.UNREACHABLE: (
        "InternalError", "InternalFailure", "InternalServerError", "InternalServiceError",
        "ServiceUnavailable", "ServiceUnavailableException", "ServiceFailure", "RequestTimeout",
        "RequestTimeoutException", "500", "502", "503", "504",
    ),
}  # fmt: skip
_REASONS: Final = {code: reason for reason, codes in _CODES.items() for code in codes}
_SNS_MISSING: Final = ("NotFound", "NotFoundException")
_SKEWED: Final = re.compile(r"signature (expired|not yet current)", re.IGNORECASE)
# "User: arn:… is not authorized to perform: s3:PutObject on resource: "arn:…" because no …"
_NOT_AUTHORIZED: Final = re.compile(r"not authorized to perform: ([\w:-]+)(?: on resource: \"?([^\s\"]+))?")

_REMEDIES: Final = {
    AwsReason.CREDENTIALS_REFUSED: (
        "AWS does not know these credentials: check the access key, the secret key and the session token,"
        " which temporary ones need and others must not have"
    ),
    AwsReason.CREDENTIALS_EXPIRED: (
        "the credentials have expired: give new ones, or use a role, whose credentials renew themselves"
    ),
    AwsReason.WRONG_REGION: "it is in another region: give the region that has it",
    AwsReason.BUCKET_MISSING: "there is no such bucket: make it, or give the right name",
    AwsReason.QUEUE_MISSING: "there is no such queue (any more): the operator of its peer makes it again",
    AwsReason.QUEUE_DELETED_RECENTLY: (
        "a queue of this name was deleted less than 60 seconds ago: it can be made again after that"
    ),
    AwsReason.TOPIC_MISSING: "there is no such topic (any more): the operator of the admin makes it again",
    AwsReason.CLOCK_SKEW: "the clock here and that of AWS differ by more than 5 minutes: set the clock right",
    AwsReason.THROTTLED: "AWS asks for fewer requests; it is tried again, more slowly",
    AwsReason.UNREACHABLE: "AWS fails for now; it is tried again",
}

_S3_ACTIONS: Final = {
    "HeadObject": "s3:GetObject",
    "ListObjectsV2": "s3:ListBucket",
    "ListObjects": "s3:ListBucket",
    "HeadBucket": "s3:ListBucket",
    "ListBuckets": "s3:ListAllMyBuckets",
    "DeleteObjects": "s3:DeleteObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "DeleteBucketLifecycle": "s3:PutLifecycleConfiguration",
}


def describe(service: str, operation: str, code: str, message: str, resource: str) -> AwsFault:
    """What went wrong, from an answer's error code.

    Args:
        service: as boto3 names it: `s3`, `sqs`, `sns`, `sts`.
        operation: as AWS names it, such as `PutObject`.
        code: the answer's error code, or its HTTP status where it has none.
        message: AWS's own words; their first line is told, and cut off where it is long.
        resource: what it was done to, an ARN at best.
    """
    reason = _reason(service, code, message)
    if reason is AwsReason.ACCESS_DENIED:
        return AwsFault(reason, _denied(action_of(service, operation), message, resource))
    cause = _REMEDIES.get(reason, "")
    # Below its first line AWS repeats the request that it would have signed, with the session's token.
    first_line = message.partition("\n")[0]
    told = first_line if first_line != "None" else ""
    said = ": ".join(part for part in (code, _cut(told)) if part)
    what = f"{service}:{operation} on {resource}"
    return AwsFault(reason, f"{what}: {cause} ({said})" if cause else f"{what} failed: {said}")


def action_of(service: str, operation: str) -> str:
    """The IAM action that an operation needs."""
    if service == "s3":
        return _S3_ACTIONS.get(operation, f"s3:{operation}")
    return f"{service}:{operation.removesuffix('Batch')}"


def _reason(service: str, code: str, message: str) -> AwsReason:
    if service == "sns" and code in _SNS_MISSING:
        return AwsReason.TOPIC_MISSING
    reason = _REASONS.get(code, AwsReason.FAILED)
    is_skewed = reason is AwsReason.CREDENTIALS_REFUSED and _SKEWED.search(message)
    return AwsReason.CLOCK_SKEW if is_skewed else reason


def _denied(action: str, message: str, resource: str) -> str:
    """AWS names action and resource itself, unless it must not tell whether the resource is there."""
    named = _NOT_AUTHORIZED.search(message)
    if named is not None:
        action, resource = named[1], named[2] or resource
    why = _cut(message.partition("because ")[2])
    text = f"{action} is not allowed on {resource}"
    return f"{text}: {why}" if why else text


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
