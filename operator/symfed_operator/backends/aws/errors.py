"""What AWS refuses, as errors with the reasons of conditions."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.exceptions import (
    ConnectionError as AwsConnectionError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from symfed_operator.backends.base import AuthorizationFailedError, BackendError, UnreachableError
from symfed_wire.aws_errors import AwsReason, describe


class CredentialsExpiredError(BackendError):
    """The credentials were temporary ones, and their time is over."""

    reason = "CredentialsExpired"


class AccessDeniedError(BackendError):
    """The credentials are good and may not do it."""

    reason = "AccessDenied"


class WrongAccountError(BackendError):
    """The credentials are of another account than the spec says."""

    reason = "WrongAccount"


class WrongRegionError(BackendError):
    """The bucket is in another region."""

    reason = "WrongRegion"


class BucketMissingError(BackendError):
    """There is no such bucket."""

    reason = "BucketMissing"


class BucketNotYoursError(BackendError):
    """The bucket is another account's, so its policy can not be written."""

    reason = "BucketNotYours"


class TopicMissingError(BackendError):
    """There is no such topic."""

    reason = "TopicMissing"


class QueueMissingError(BackendError):
    """There is no such queue."""

    reason = "QueueMissing"


class QueueDeletedRecentlyError(BackendError):
    """The queue's name is free again 60 seconds after its deletion."""

    reason = "QueueDeletedRecently"


class ClockSkewError(BackendError):
    """The operator's clock is wrong."""

    reason = "ClockSkew"


class ThrottledError(BackendError):
    """AWS takes fewer requests than it gets from this account."""

    reason = "Throttled"


class AwsFailedError(BackendError):
    """AWS answers with an error that nobody foresaw; `code` is AWS's own."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


_ERRORS: Final[dict[AwsReason, type[BackendError]]] = {
    AwsReason.CREDENTIALS_REFUSED: AuthorizationFailedError,
    AwsReason.CREDENTIALS_EXPIRED: CredentialsExpiredError,
    AwsReason.ACCESS_DENIED: AccessDeniedError,
    AwsReason.WRONG_REGION: WrongRegionError,
    AwsReason.BUCKET_MISSING: BucketMissingError,
    AwsReason.QUEUE_MISSING: QueueMissingError,
    AwsReason.QUEUE_DELETED_RECENTLY: QueueDeletedRecentlyError,
    AwsReason.TOPIC_MISSING: TopicMissingError,
    AwsReason.CLOCK_SKEW: ClockSkewError,
    AwsReason.THROTTLED: ThrottledError,
    AwsReason.UNREACHABLE: UnreachableError,
}


@contextmanager
def in_words(service: str, resource: str) -> Iterator[None]:
    """Turns boto3's errors into ours.

    Args:
        service: as boto3 names it: `s3`, `sqs`, `sns`, `sts`.
        resource: what it is about, an ARN at best.
    """
    try:
        yield
    except ClientError as error:
        raise _refused(service, resource, error) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise AuthorizationFailedError(
            f"{resource}: the operator has no identity of its own on AWS ({error}): give its ServiceAccount a"
            " role, or name a Secret in spec.aws.credentialsSecretRef instead of spec.aws.roleArn"
        ) from error
    except (AwsConnectionError, HTTPClientError, HTTPError) as error:
        raise UnreachableError(
            f"{resource}: AWS cannot be reached: {error}. Check the network, spec.aws.region and"
            " spec.aws.endpointUrl"
        ) from error
    except BotoCoreError as error:
        raise BackendError(f"{resource}: {error}") from error
    except (ResponseParserError, ValueError, KeyError, RecursionError) as error:
        # What was answered is not told: it may be that of an inner host, whose address a customer has named.
        raise UnreachableError(
            f"{resource}: something else than AWS answers ({type(error).__name__}): check"
            " spec.aws.endpointUrl"
        ) from error


def _refused(service: str, resource: str, error: ClientError) -> BackendError:
    told = error.response.get("Error", {})
    code = told.get("Code", "")
    fault = describe(service, error.operation_name, code, told.get("Message", ""), resource)
    kind = _ERRORS.get(fault.reason)
    return AwsFailedError(fault.text, code) if kind is None else kind(fault.text)


def is_unknown_principal(error: BackendError) -> bool:
    """Whether a policy was refused because it names an account that AWS does not know."""
    if not isinstance(error, AwsFailedError):
        return False
    return (error.code == "MalformedPolicy" and "Invalid principal" in str(error)) or (
        error.code == "InvalidParameter" and "PrincipalNotFound" in str(error)
    )
