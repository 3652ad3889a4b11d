"""What goes wrong on AWS, in words and with a reason that tells what to do."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ResponseStreamingError,
)
from urllib3.exceptions import HTTPError

from symfed_node.exchange.base import ExchangeError
from symfed_wire.aws_errors import AwsFault, AwsReason, describe

_NO_CREDENTIALS: Final = (CredentialRetrievalError, NoCredentialsError, PartialCredentialsError)
BROKEN_OFF: Final = (IncompleteReadError, ResponseStreamingError, HTTPError)
"""an answer that has no end; urllib3's own error comes through botocore as it is"""
_UNREACHABLE: Final = (*BROKEN_OFF, ConnectionError, HTTPClientError)
_PASSING: Final = (AwsReason.UNREACHABLE, AwsReason.THROTTLED)


class AwsError(ExchangeError):
    """AWS did not do what it was asked for; `reason` is an AwsReason.

    `code` is AWS's own, or that of botocore's exception. Refused credentials are no removal: that stands in
    the federation document.
    """

    def __init__(self, fault: AwsFault, code: str) -> None:
        super().__init__(fault.text)
        self.reason = fault.reason
        self.code = code

    @property
    def is_passing(self) -> bool:
        """Whether it may go by itself."""
        return self.reason in _PASSING

    def also(self, words: str) -> "AwsError":
        """The same with more to say."""
        return AwsError(AwsFault(AwsReason(self.reason), f"{self}; {words}"), self.code)


@contextmanager
def in_words(service: str, operation: str, resource: str) -> Iterator[None]:
    """Turns what boto3 raises into AwsError; `resource` is what is asked for, an ARN at best."""
    try:
        yield
    except ClientError as error:
        told = error.response.get("Error", {})
        code = told.get("Code", "")
        if error.operation_name.startswith("AssumeRole"):  # boto3 gets its credentials on the way
            service, operation, resource = (
                "sts",
                error.operation_name,
                "the role of the node's ServiceAccount",
            )
        raise AwsError(describe(service, operation, code, told.get("Message", ""), resource), code) from error
    except (BotoCoreError, HTTPError, OSError, ValueError) as error:  # OSError: a role's token, a CA's file
        raise AwsError(_fault(error, f"{service}:{operation} on {resource}"), type(error).__name__) from error


@asynccontextmanager
async def deadline(what: str, seconds: float) -> AsyncIterator[None]:
    """Ends the block with AwsError when it takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        text = f"{what} takes more than {seconds:g} s: check the network"
        raise AwsError(AwsFault(AwsReason.UNREACHABLE, text), "TimeoutError") from error


def _fault(error: Exception, what: str) -> AwsFault:
    if isinstance(error, _NO_CREDENTIALS):
        return AwsFault(
            AwsReason.CREDENTIALS_MISSING, f"{what}: there are no credentials for AWS: {_of(error)}"
        )
    if isinstance(error, _UNREACHABLE):
        return AwsFault(
            AwsReason.UNREACHABLE,
            f"{what}: no whole answer: {_of(error)}; check the network, the region and the endpoint",
        )
    return AwsFault(AwsReason.FAILED, f"{what} failed: {_of(error)}")


def _of(error: Exception) -> str:
    return str(error) or type(error).__name__
