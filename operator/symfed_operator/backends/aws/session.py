"""The ways to a customer's side on AWS: credentials, clients, and whose account it is."""

import asyncio
import dataclasses
import re
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, TypedDict

import boto3
from botocore.client import BaseClient
from botocore.config import Config

from symfed_operator.backends.access import AwsAccess, AwsKeys
from symfed_operator.backends.aws.calls import AwsCalls, bound_answers
from symfed_operator.backends.aws.errors import WrongAccountError
from symfed_operator.backends.base import UnreachableError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

_ROLE_SECONDS: Final = 3600  # as long as a role may be assumed by somebody who has come by a role himself
_KEYS_SECONDS: Final = 3600.0  # then AWS is asked again whose keys they are
_SPARE_SECONDS: Final = 600.0  # longer than a reconcile takes
_SESSION_NAME: Final = "symfed-operator"
_ACCOUNT: Final = re.compile(r"[0-9]{12}")


class _Options(TypedDict):
    region_name: str
    endpoint_url: str | None
    config: Config


class _Keys(TypedDict):
    aws_access_key_id: str
    aws_secret_access_key: str
    aws_session_token: str | None


@dataclass(frozen=True)
class AwsSide:
    """A customer's account with clients for its own region, and for that of the federation.

    `bucket_lock` is for the policy of its bucket, which is read, changed and written back.
    """

    access: AwsAccess
    account: str
    sqs: "SQSClient" = field(repr=False)
    s3: "S3Client" = field(repr=False)
    sns: "SNSClient" = field(repr=False)
    federation_s3: "S3Client" = field(repr=False)
    bucket_lock: asyncio.Lock = field(repr=False)
    calls: AwsCalls = field(repr=False)


class AwsSides:
    """Opens sides, and keeps them until their credentials are near their end.

    The operator's own identity does nothing but assume roles.
    """

    def __init__(self) -> None:
        self._session = boto3.Session()
        self._making = threading.Lock()  # a session is no good for two threads
        self._open: dict[tuple[AwsAccess, str], tuple[AwsSide, float]] = {}
        self._buckets: defaultdict[tuple[str | None, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._calls: defaultdict[str, AwsCalls] = defaultdict(AwsCalls)

    async def open(self, access: AwsAccess, federation_region: str = "") -> AwsSide:
        """The side with its clients. Where the federation is in another region, that is said.

        Raises:
            AuthorizationFailedError: AWS does not know the keys, or the operator has no identity of its own.
            AccessDeniedError: the role does not trust the operator, or not with this ExternalId.
            WrongAccountError: they are another account's.
            UnreachableError: AWS does not answer.
        """
        now = time.monotonic()
        self._open = {key: kept for key, kept in self._open.items() if kept[1] > now}
        key = (access, federation_region or access.region)
        if key not in self._open:
            keys, seconds = await self._keys(access)
            self._open[key] = (await self._made(access, keys, key[1]), now + seconds - _SPARE_SECONDS)
        return self._open[key][0]

    async def _keys(self, access: AwsAccess) -> tuple[AwsKeys, float]:
        """The keys, and for how many seconds they are good."""
        if access.keys is not None:
            return access.keys, _KEYS_SECONDS + _SPARE_SECONDS
        role = access.role_arn or ""
        assumed = await self._calls[access.namespace].run("sts", role, self._assume, access, role)
        return assumed, float(_ROLE_SECONDS)

    def _assume(self, access: AwsAccess, role: str) -> AwsKeys:
        # The operator's own signature goes to AWS's own address, or to where the operator's environment says
        # (AWS_ENDPOINT_URL_STS), and never to one that a customer names.
        own = dataclasses.replace(access, endpoint_url=None)
        with self._making:
            sts = self._session.client("sts", **_options(own, access.region))
        answer = sts.assume_role(
            RoleArn=role,
            RoleSessionName=_SESSION_NAME,
            ExternalId=access.external_id,
            DurationSeconds=_ROLE_SECONDS,
        )
        told = answer["Credentials"]
        return AwsKeys(told["AccessKeyId"], told["SecretAccessKey"], told["SessionToken"])

    async def _made(self, access: AwsAccess, keys: AwsKeys, federation_region: str) -> AwsSide:
        who = access.role_arn or f"access key {keys.access_key_id}"
        calls = self._calls[access.namespace]
        account = await calls.run("sts", who, self._account, access, keys)
        if _ACCOUNT.fullmatch(account) is None:
            raise UnreachableError(
                f"{who}: something else than AWS answers (an account of another form): check"
                " spec.aws.endpointUrl"
            )
        if access.account_id is not None and access.account_id != account:
            raise WrongAccountError(
                f"{who} is of the account {account}, and spec.aws.accountId is {access.account_id}: set"
                " spec.aws.accountId right, or use credentials of that account"
            )
        lock = self._buckets[(access.endpoint_url, access.bucket)]
        clients = partial(self._clients, access, keys, federation_region, account, lock, calls)
        return await calls.run("s3", who, clients)

    def _account(self, access: AwsAccess, keys: AwsKeys) -> str:
        with self._making:
            sts = self._session.client("sts", **_options(access, access.region), **_given(keys))
            _bound(access, sts)
        return sts.get_caller_identity()["Account"]

    def _clients(
        self,
        access: AwsAccess,
        keys: AwsKeys,
        federation_region: str,
        account: str,
        lock: asyncio.Lock,
        calls: AwsCalls,
    ) -> AwsSide:
        own, there = _options(access, access.region), _options(access, federation_region)
        given = _given(keys)
        with self._making:
            side = AwsSide(
                access=access,
                account=account,
                sqs=self._session.client("sqs", **own, **given),
                s3=self._session.client("s3", **own, **given),
                sns=self._session.client("sns", **there, **given),
                federation_s3=self._session.client("s3", **there, **given),
                bucket_lock=lock,
                calls=calls,
            )
            _bound(access, side.sqs, side.s3, side.sns, side.federation_s3)
            return side


def _bound(access: AwsAccess, *clients: BaseClient) -> None:
    """At an address that a customer names anything may answer."""
    for client in clients if access.endpoint_url else ():
        bound_answers(client)


def _options(access: AwsAccess, region: str) -> _Options:
    config = Config(
        connect_timeout=5,
        read_timeout=10,
        retries={"mode": "adaptive", "total_max_attempts": 3},
        user_agent_extra=_SESSION_NAME,
        s3={"addressing_style": "path" if access.endpoint_url else "auto"},
    )
    return _Options(region_name=region, endpoint_url=access.endpoint_url, config=config)


def _given(keys: AwsKeys) -> _Keys:
    return _Keys(
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
        aws_session_token=keys.session_token,
    )
