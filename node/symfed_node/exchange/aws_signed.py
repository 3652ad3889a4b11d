"""Small signed objects in buckets: heads and the federation document."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from symfed_node.exchange.aws_bucket import EXISTS, NO_KEY, Bucket, read
from symfed_node.exchange.aws_faults import AwsError
from symfed_node.exchange.base import ReplacedError
from symfed_wire.documents import Signed, parse_signed
from symfed_wire.errors import MalformedError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LONGEST: Final = 16 << 20
"""bytes of a signed object; as many as the document's stream on NATS takes"""
_UNCHANGED: Final = "304"
_CHANGED: Final = (*EXISTS, *NO_KEY, "ConditionalRequestConflict", "409")


@dataclass(frozen=True)
class _Seen:
    """An object as it was read last: no `etag` when there is none, no `data` when it is too large."""

    etag: str = ""
    data: bytes = b""


class SignedObjects:
    """Signed objects, each as it was seen last: it is not sent again while it stays the same.

    All raise AwsError.
    """

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    async def get(self, bucket: Bucket, key: str) -> Signed | None:
        """The object, or None where there is none. Raises MalformedError."""
        arn = bucket.arn(key)
        seen = self._seen.get(arn, _Seen())
        try:
            seen = await bucket.run("GetObject", key, partial(_get, bucket, key, seen.etag))
        except AwsError as error:
            if error.code in NO_KEY:
                seen = _Seen()
            elif error.code != _UNCHANGED:
                raise
        self._seen[arn] = seen
        if not seen.etag:
            return None
        if not seen.data:
            raise MalformedError(f"{arn} is empty, or has more than {LONGEST} bytes")
        return parse_signed(seen.data)

    def last(self, bucket: Bucket, key: str) -> Signed | None:
        """The object as it was seen last. Raises MalformedError."""
        data = self._seen.get(bucket.arn(key), _Seen()).data
        return parse_signed(data) if data else None

    async def replace(self, bucket: Bucket, key: str, signed: Signed) -> None:
        """Put an object in the place of the one that was seen last.

        Raises ReplacedError, and MalformedError, when it is another one meanwhile.
        """
        arn = bucket.arn(key)
        data = signed.model_dump_json().encode()
        etag = self._seen.get(arn, _Seen()).etag
        try:
            etag = await bucket.run("PutObject", key, partial(_put, bucket, key, etag, data))
        except AwsError as error:
            if error.code not in _CHANGED:
                raise
            # It may be ours, when only the answer was lost.
            if await self.get(bucket, key) != signed:
                raise ReplacedError(
                    f"{arn} was changed meanwhile by others: does another node run as this peer?"
                ) from error
        else:
            self._seen[arn] = _Seen(etag, data)


def _get(bucket: Bucket, key: str, etag: str, client: S3Client) -> _Seen:
    get = partial(client.get_object, Bucket=bucket.name, Key=key, ExpectedBucketOwner=bucket.owner)
    answer, data = read(partial(get, IfNoneMatch=etag) if etag else get, range(1, LONGEST + 1))
    return _Seen(answer["ETag"], data)


def _put(bucket: Bucket, key: str, etag: str, data: bytes, client: S3Client) -> str:
    put = partial(
        client.put_object,
        Bucket=bucket.name,
        Key=key,
        Body=data,
        ContentType="application/json",
        ExpectedBucketOwner=bucket.owner,
    )
    return (put(IfMatch=etag) if etag else put(IfNoneMatch="*"))["ETag"]
