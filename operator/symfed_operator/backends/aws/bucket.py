"""A bucket of a customer's own: who may read what a federation has in it, the document, and its removal."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from symfed_operator.backends.aws.accounts import put_for
from symfed_operator.backends.aws.calls import Parameters, Result, some_of
from symfed_operator.backends.aws.errors import (
    AccessDeniedError,
    AwsFailedError,
    BucketNotYoursError,
)
from symfed_operator.backends.aws.names import federation_prefix, partition_of, statement_id
from symfed_operator.backends.aws.policies import (
    BUCKET_POLICY_BYTES,
    accounts_in,
    is_same,
    parsed_policy,
    policy_text,
    readers_statement,
    statement_of,
    with_statement,
)
from symfed_operator.backends.aws.session import AwsSide
from symfed_operator.backends.base import BackendError
from symfed_wire.aws_layout import DOCUMENT_OBJECT
from symfed_wire.documents import Signed
from symfed_wire.kube import JsonObject

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef


_LARGEST_OBJECT = 4 << 20  # a federation document has a megabyte at most
_MOST_PAGES = 1000  # of 1,000 objects; what is deleted is not listed again
_WRITTEN_MEANWHILE = ("PreconditionFailed", "ConditionalRequestConflict")


@dataclass(frozen=True)
class Readers:
    """Who may read now: whether that has changed, and which accounts AWS does not know."""

    have_changed: bool = False
    unknown: frozenset[str] = frozenset()


class Bucket:
    """The bucket of one side, as one federation uses it.

    Every call names the account that the bucket must be of: its name may have gone to somebody else.
    """

    def __init__(self, side: AwsSide, federation: str) -> None:
        self.name = side.access.bucket
        self.arn = f"arn:{partition_of(side.access.region)}:s3:::{self.name}"
        self._side = side
        self._federation = federation
        self._sid = statement_id(federation)

    async def let_read(self, accounts: Collection[str]) -> Readers:
        """These accounts may read what the federation has here, and no others.

        Only the statement with our Sid is changed.

        Raises:
            BucketNotYoursError: it is another account's.
            PolicyTooLargeError: there are too many accounts.
        """
        async with self._side.bucket_lock:
            stored = await self._stored_policy()
            old, new = statement_of(stored, self._sid), self._readers(accounts)
            if is_same(old, new):
                return Readers()

            async def put(some: Collection[str]) -> None:
                await self._put_policy(with_statement(stored, self._sid, self._readers(some)), len(some))

            unknown = await put_for(accounts, accounts_in(old), put)
            return Readers(set(accounts) - unknown != accounts_in(old), unknown)

    async def let_nobody_read(self) -> None:
        """Takes our statement out of the policy."""
        async with self._side.bucket_lock:
            stored = await self._stored_policy()
            if statement_of(stored, self._sid) is not None:
                await self._put_policy(with_statement(stored, self._sid, None), 0)

    async def put_document(self, document: Signed) -> bool:
        """Puts the federation document unless it is there; whether it was put.

        Raises BackendError when somebody else puts one meanwhile.
        """
        key = federation_prefix(self._federation) + DOCUMENT_OBJECT
        try:
            return await self._call(self._replace, key, document.model_dump_json().encode())
        except AwsFailedError as error:
            if error.code in _WRITTEN_MEANWHILE:
                raise BackendError(
                    f"{self.arn}/{key} was written by somebody else at the same time; it is tried again"
                ) from error
            raise

    async def delete_objects(self, prefix: str) -> None:
        """Deletes all objects below a prefix of the federation's, with all their versions."""
        if not prefix.startswith(federation_prefix(self._federation)) or len(self._federation) < 2:
            raise ValueError(f"{prefix} is not below the federation's prefix")
        await self._call(self._delete_below, prefix)

    def _readers(self, accounts: Collection[str]) -> JsonObject | None:
        if not accounts:
            return None
        return readers_statement(self._side.access.region, self.name, self._federation, accounts)

    async def _stored_policy(self) -> JsonObject | None:
        try:
            return await self._call(self._read_policy)
        except AccessDeniedError as error:
            raise await self._explained(error) from error

    def _read_policy(self) -> JsonObject | None:
        try:
            found = self._side.s3.get_bucket_policy(Bucket=self.name, ExpectedBucketOwner=self._side.account)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "NoSuchBucketPolicy":
                return None
            raise
        return parsed_policy(found["Policy"])

    async def _explained(self, error: AccessDeniedError) -> BackendError:
        """Whether it is refused because the bucket is another account's; AWS does not tell."""
        try:
            own = await self._call(self._side.s3.list_buckets, Prefix=self.name)
        except BackendError:
            return AccessDeniedError(f"{error}; or the bucket is not of the account {self._side.account}")
        if self.name in [bucket.get("Name") for bucket in own.get("Buckets", [])]:
            return error
        return BucketNotYoursError(
            f"{self.arn} is not a bucket of the account {self._side.account}: only a bucket's owner can let"
            " others read it, so set spec.aws.bucket to one of your own"
        )

    async def _put_policy(self, policy: JsonObject | None, accounts: int) -> None:
        s3, owner = self._side.s3, self._side.account
        if policy is None:
            await self._call(s3.delete_bucket_policy, Bucket=self.name, ExpectedBucketOwner=owner)
            return
        text = policy_text(policy, BUCKET_POLICY_BYTES, self.arn, accounts)
        await self._call(s3.put_bucket_policy, Bucket=self.name, Policy=text, ExpectedBucketOwner=owner)

    def _replace(self, key: str, wanted: bytes) -> bool:
        s3, owner = self._side.s3, self._side.account
        try:
            found = s3.get_object(Bucket=self.name, Key=key, ExpectedBucketOwner=owner)
        except s3.exceptions.NoSuchKey:
            s3.put_object(Bucket=self.name, Key=key, Body=wanted, IfNoneMatch="*", ExpectedBucketOwner=owner)
            return True
        if found["Body"].read(len(wanted) + 1) == wanted:
            return False
        tag = found["ETag"]
        s3.put_object(Bucket=self.name, Key=key, Body=wanted, IfMatch=tag, ExpectedBucketOwner=owner)
        return True

    def _delete_below(self, prefix: str) -> None:
        """A bucket without versions gives one of each object."""
        s3, owner = self._side.s3, self._side.account
        pages = s3.get_paginator("list_object_versions").paginate(
            Bucket=self.name, Prefix=prefix, ExpectedBucketOwner=owner
        )
        for page in some_of(pages, _MOST_PAGES, self.arn):
            found: list[ObjectIdentifierTypeDef] = [
                {"Key": each["Key"], "VersionId": each["VersionId"]}
                for each in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            ]
            if not found:
                continue
            answer = s3.delete_objects(
                Bucket=self.name, Delete={"Objects": found, "Quiet": True}, ExpectedBucketOwner=owner
            )
            for fault in answer.get("Errors", []):
                raise ClientError({"Error": fault}, "DeleteObjectVersion")

    async def _call(
        self, method: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        return await self._side.calls.run("s3", self.arn, method, *args, **kwargs)


async def read_object(side: AwsSide, bucket: str, key: str) -> str:
    """The text of a small object in a bucket of the federation's region. Raises BackendError."""

    def read() -> bytes:
        return side.federation_s3.get_object(Bucket=bucket, Key=key)["Body"].read(_LARGEST_OBJECT)

    return (await side.calls.run("s3", f"arn:aws:s3:::{bucket}/{key}", read)).decode(errors="replace")
