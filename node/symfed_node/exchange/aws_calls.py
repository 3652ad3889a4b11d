"""Calls of boto3 beside the event loop, a bounded number at once, with their errors in words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from symfed_node.exchange.aws_faults import BROKEN_OFF, in_words
from symfed_node.exchange.aws_session import CONNECTIONS, AwsSession
from symfed_node.threads import in_thread

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

_ATTEMPTS: Final = 4

Result = TypeVar("Result")


class AwsCalls:
    """What one peer asks of AWS. The clients are for the functions that `run` runs: making one takes time."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session
        self._free = asyncio.Semaphore(CONNECTIONS)
        self.request_timeout = 30.0
        """seconds for one request"""

    def s3(self, region: str) -> S3Client:
        """For buckets in a region."""
        return self._session.s3(region, self.request_timeout)

    def sns(self, region: str) -> SNSClient:
        """For topics in a region."""
        return self._session.sns(region, self.request_timeout)

    def sqs(self, region: str) -> SQSClient:
        """For queues in a region."""
        return self._session.sqs(region, self.request_timeout)

    async def run(self, service: str, operation: str, resource: str, call: Callable[[], Result]) -> Result:
        """What `call` gives, which does `operation` on `resource`. Raises AwsError.

        `call` is repeated when an answer breaks off, so it must be such that it can be.
        """
        with in_words(service, operation, resource):
            async with self._free:
                return await in_thread(partial(_again, call))


def _again(call: Callable[[], Result]) -> Result:
    """Repeats what boto3 does not repeat by itself."""
    return Retrying(
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.2, max=5),
        retry=retry_if_exception_type(BROKEN_OFF),
        reraise=True,
    )(call)
