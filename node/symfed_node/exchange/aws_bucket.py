"""One peer's place in a bucket, and what is done there to many objects at once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from botocore.exceptions import ReadTimeoutError, ResponseStreamingError

from symfed_node.exchange.aws_calls import AwsCalls
from symfed_node.exchange.aws_faults import AwsError
from symfed_wire.aws_errors import AwsReason, describe
from symfed_wire.documents import AwsAddress

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

EXISTS: Final = ("PreconditionFailed", "412")
"""the codes of a put on a condition that does not hold"""
NO_KEY: Final = ("NoSuchKey", "404")
"""the codes of an object that is not there"""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Bucket:
    """Where a peer's objects are. Every request names the account that the bucket must be of.

    What is called runs in threads. All raise AwsError.
    """

    calls: AwsCalls
    address: AwsAddress
    partition: str
    who_allows: str
    """words for who must allow what AWS refuses"""

    @property
    def name(self) -> str:
        """The bucket's name."""
        return self.address.bucket

    @property
    def owner(self) -> str:
        """The account that the bucket must be of; AWS refuses a request otherwise."""
        return self.address.account_id

    def arn(self, key: str = "") -> str:
        """Of an object, or of the bucket."""
        return f"arn:{self.partition}:s3:::{self.name}" + (f"/{key}" if key else "")

    async def run(self, operation: str, key: str, call: Callable[[S3Client], Result]) -> Result:
        """What `call` gives, which does `operation` on an object, or on the bucket where `key` is empty."""
        try:
            return await self.calls.run(
                "s3", operation, self.arn(key), lambda: call(self.calls.s3(self.address.region))
            )
        except AwsError as error:
            raise error.also(self.who_allows) if error.reason == AwsReason.ACCESS_DENIED else error from error

    async def keys(self) -> set[str]:
        """The keys under the address's prefix."""

        def list_all(client: S3Client) -> set[str]:
            pages = client.get_paginator("list_objects_v2").paginate(
                Bucket=self.name, Prefix=self.address.prefix, ExpectedBucketOwner=self.owner
            )
            return {found["Key"] for page in pages for found in page.get("Contents", [])}

        return await self.run("ListObjectsV2", "", list_all)

    async def delete(self, keys: Collection[str]) -> None:
        """Delete at most 1,000 objects; one that is not there is no error."""
        answer = await self.run(
            "DeleteObjects",
            "",
            lambda client: client.delete_objects(
                Bucket=self.name,
                Delete={"Objects": [{"Key": key} for key in sorted(keys)], "Quiet": True},
                ExpectedBucketOwner=self.owner,
            ),
        )
        for fault in answer.get("Errors", []):
            code, message = fault.get("Code", ""), fault.get("Message", "")
            arn = self.arn(fault.get("Key", ""))
            raise AwsError(describe("s3", "DeleteObjects", code, message, arn), code)


def read(get: Callable[[], GetObjectOutputTypeDef], lengths: range) -> tuple[GetObjectOutputTypeDef, bytes]:
    """An answer and its body; it blocks. b"", and nothing is read, when it has none of these lengths."""
    answer = get()
    with answer["Body"] as stream:
        if answer["ContentLength"] not in lengths:
            return answer, b""
        try:
            return answer, stream.read()
        except ReadTimeoutError as error:
            raise ResponseStreamingError(error=error) from error  # not boto3's patience is at its end
