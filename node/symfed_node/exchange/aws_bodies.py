"""Large objects in buckets, which travel in parallel parts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, TypeVar

from symfed_node.exchange.aws_bucket import EXISTS, NO_KEY, Bucket, read
from symfed_node.exchange.aws_faults import AwsError, in_words
from symfed_node.exchange.base import ExchangeError, ReplacedError, first_fault
from symfed_wire.aws_errors import AwsReason

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

log = logging.getLogger(__name__)

PART: Final = 8 << 20
"""bytes in one request of several"""
WHOLE: Final = 2 * PART
"""the most bytes that travel in a single request"""

_OUT_OF_RANGE: Final = ("InvalidRange", "416")

Result = TypeVar("Result")


async def get_body(bucket: Bucket, key: str, size: int) -> bytes:
    """The `size` bytes of an object. Raises ReplacedError when it is gone or has another size, AwsError."""
    step = size if size <= WHOLE else PART
    parts = (range(start, min(start + step, size)) for start in range(0, size, step))
    try:
        return b"".join(
            await _together(
                bucket.run("GetObject", key, partial(_get, bucket, key, part, size)) for part in parts
            )
        )
    except AwsError as error:
        raise _gone(error) from error


async def require_body(bucket: Bucket, key: str) -> None:
    """Raises ReplacedError when there is no such object, AwsError."""
    try:
        await bucket.run("HeadObject", key, partial(_look, bucket, key))
    except AwsError as error:
        raise _gone(error) from error


async def create_body(bucket: Bucket, key: str, data: bytes) -> bool:
    """Make an object, whole or not at all; False where there is one of this key. Raises AwsError."""
    try:
        if len(data) <= WHOLE:
            await bucket.run("PutObject", key, partial(_put, bucket, key, data))
        else:
            await _create_in_parts(bucket, key, data)
    except AwsError as error:
        if error.code in EXISTS:
            return False
        raise
    return True


def _gone(error: AwsError) -> ExchangeError:
    """ReplacedError for an object that is not there (any more), else the error itself."""
    # Without s3:ListBucket, which members do not have, AWS does not tell a missing key from a refusal.
    is_gone = error.code in (*NO_KEY, *_OUT_OF_RANGE) or error.reason == AwsReason.ACCESS_DENIED
    return ReplacedError(f"the snapshot is gone: {error}") if is_gone else error


async def _create_in_parts(bucket: Bucket, key: str, data: bytes) -> None:
    upload = await bucket.run("CreateMultipartUpload", key, partial(_begin, bucket, key))
    starts = range(0, len(data), PART)
    try:
        parts = await _together(
            bucket.run("UploadPart", key, partial(_upload, bucket, key, upload, number, data, start))
            for number, start in enumerate(starts, 1)
        )
        await bucket.run("CompleteMultipartUpload", key, partial(_complete, bucket, key, upload, parts))
    except BaseException:
        # Not waited for: time may be up.
        Thread(target=_abort, args=(bucket, key, upload), daemon=True).start()
        raise


async def _together(calls: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """All results in their order, or the first error, which ends the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except* ExchangeError as faults:
        raise first_fault(faults) from None
    return [task.result() for task in tasks]


# What follows blocks: it runs in threads.


def _get(bucket: Bucket, key: str, part: range, size: int, client: S3Client) -> bytes:
    get = partial(client.get_object, Bucket=bucket.name, Key=key, ExpectedBucketOwner=bucket.owner)
    is_whole = len(part) == size
    answer, data = read(
        get if is_whole else partial(get, Range=f"bytes={part.start}-{part.stop - 1}"),
        range(len(part), len(part) + 1),
    )
    if not data or (not is_whole and answer["ContentRange"].rpartition("/")[2] != str(size)):
        raise ReplacedError(f"{bucket.arn(key)} has not the {size} bytes of its head")
    return data


def _look(bucket: Bucket, key: str, client: S3Client) -> None:
    client.head_object(Bucket=bucket.name, Key=key, ExpectedBucketOwner=bucket.owner)


def _put(bucket: Bucket, key: str, data: bytes, client: S3Client) -> None:
    client.put_object(
        Bucket=bucket.name, Key=key, Body=data, IfNoneMatch="*", ExpectedBucketOwner=bucket.owner
    )


def _begin(bucket: Bucket, key: str, client: S3Client) -> str:
    return client.create_multipart_upload(
        Bucket=bucket.name, Key=key, ChecksumAlgorithm="CRC32", ExpectedBucketOwner=bucket.owner
    )["UploadId"]


def _upload(
    bucket: Bucket, key: str, upload: str, number: int, data: bytes, start: int, client: S3Client
) -> CompletedPartTypeDef:
    done = client.upload_part(
        Bucket=bucket.name,
        Key=key,
        UploadId=upload,
        PartNumber=number,
        Body=data[start : start + PART],
        ChecksumAlgorithm="CRC32",
        ExpectedBucketOwner=bucket.owner,
    )
    part: CompletedPartTypeDef = {"PartNumber": number, "ETag": done["ETag"]}
    if "ChecksumCRC32" in done:  # not at every private endpoint
        part["ChecksumCRC32"] = done["ChecksumCRC32"]
    return part


def _complete(
    bucket: Bucket, key: str, upload: str, parts: list[CompletedPartTypeDef], client: S3Client
) -> None:
    client.complete_multipart_upload(
        Bucket=bucket.name,
        Key=key,
        UploadId=upload,
        MultipartUpload={"Parts": parts},
        IfNoneMatch="*",
        ExpectedBucketOwner=bucket.owner,
    )


def _abort(bucket: Bucket, key: str, upload: str) -> None:
    try:
        with in_words("s3", "AbortMultipartUpload", bucket.arn(key)):
            bucket.calls.s3(bucket.address.region).abort_multipart_upload(
                Bucket=bucket.name, Key=key, UploadId=upload, ExpectedBucketOwner=bucket.owner
            )
    except AwsError as error:
        log.warning("parts of an upload stay until the bucket's lifecycle removes them: %s", error)
