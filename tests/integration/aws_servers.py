"""AWS on loopback for the tests: ministack, and moto's server as a second opinion.

On ministack an access key of 12 digits is the account that it belongs to, and any secret will do. It delivers
from SNS to SQS and judges bucket policies between accounts, but no topic or queue policy, and it does not
hold `ExpectedBucketOwner`. On moto all is in `MOTO_ACCOUNT`, whatever the key.
"""

import os
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypedDict, cast

import boto3
import httpx
from botocore.config import Config

from tests.integration.servers import Process, free_port, write_server_certificate

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.literals import BucketLocationConstraintType
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

ADMIN_ACCOUNT: Final = "111111111111"
PEER_ACCOUNT: Final = "222222222222"
MOTO_ACCOUNT: Final = "123456789012"
REGION: Final = "eu-central-1"
SECRET_KEY: Final = "any secret will do"
_SESSION = boto3.Session()
_PROGRAMS = Path(sys.executable).parent


class _Options(TypedDict):
    endpoint_url: str
    region_name: str
    aws_access_key_id: str
    aws_secret_access_key: str
    config: Config


@dataclass(frozen=True)
class AwsAccount:
    """One account on an emulator, with the rights of its root."""

    endpoint: str
    account: str
    region: str = REGION
    _session: boto3.Session = field(default=_SESSION, repr=False)

    @cached_property
    def s3(self) -> "S3Client":
        return self._session.client("s3", **self._options())

    @cached_property
    def sns(self) -> "SNSClient":
        return self._session.client("sns", **self._options())

    def sns_of(self, topic_arn: str) -> "SNSClient":
        """For a topic, in its region."""
        return replace(self, region=topic_arn.split(":")[3]).sns

    @cached_property
    def sqs(self) -> "SQSClient":
        return self._session.client("sqs", **self._options())

    @property
    def location(self) -> "BucketLocationConstraintType":
        """The region as a new bucket is told it; not for us-east-1."""
        return cast("BucketLocationConstraintType", self.region)

    def _options(self) -> _Options:
        return _Options(
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.account,
            aws_secret_access_key=SECRET_KEY,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )

    def write_credentials(self, folder: Path) -> Path:
        """The account's credentials as the files of a mounted Secret."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "accessKeyId").write_text(self.account)
        (folder / "secretAccessKey").write_text(SECRET_KEY)
        return folder


class AwsServer:
    """One emulator, which forgets everything when it stops; its log lies in `folder`."""

    def __init__(self, name: str, arguments: list[str], environment: dict[str, str], folder: Path) -> None:
        self.process = Process(
            name,
            arguments,
            folder / f"{name}.log",
            path=_PROGRAMS / name,
            environment={"PATH": os.environ["PATH"], "TMPDIR": str(folder), **environment},
        )
        self.url = ""
        self.ca_file: Path | None = None

    @classmethod
    def ministack(cls, folder: Path, *, judges: bool = False) -> Self:
        """Everything between two accounts. `judges`: also credentials, and policies of all kinds.

        Then an account's secret is `SECRET_KEY`, and it talks TLS: clients need `ca_file` as AWS_CA_BUNDLE.
        It knows no `sns:Endpoint` in a topic's policy.
        """
        folder.mkdir(parents=True, exist_ok=True)
        port = str(free_port())
        # The host is also that of the URLs of queues.
        own = {"BIND_HOST": "127.0.0.1", "MINISTACK_HOST": "127.0.0.1", "GATEWAY_PORT": port}
        quiet = {"LOG_LEVEL": "WARNING", "IOT_MTLS_ENABLED": "0"}  # that would listen on all addresses
        if not judges:
            server = cls("ministack", [], {**own, **quiet}, folder)
            server.url = f"http://127.0.0.1:{port}"
            return server
        write_server_certificate(folder)
        certificate, key = folder / "server.crt", folder / "server.key"
        tls = {"USE_SSL": "1", "MINISTACK_SSL_CERT": str(certificate), "MINISTACK_SSL_KEY": str(key)}
        judging = {"AUTH": "true", "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
        server = cls("ministack", [], {**own, **quiet, **tls, **judging}, folder)
        server.url, server.ca_file = f"https://127.0.0.1:{port}", certificate
        return server

    @classmethod
    def moto(cls, folder: Path) -> Self:
        """A second opinion on the control plane."""
        folder.mkdir(parents=True, exist_ok=True)
        port = str(free_port())
        server = cls("moto_server", ["-H", "127.0.0.1", "-p", port], {}, folder)
        server.url = f"http://127.0.0.1:{port}"
        return server

    def account(self, account: str, region: str = REGION) -> AwsAccount:
        """Clients of one account."""
        return AwsAccount(self.url, account, region)

    def start(self) -> None:
        """Starts it, empty, and waits until it answers."""
        self.process.start(self._answers)

    def stop(self) -> None:
        """Ends it; asked to, it would wait for the long polls that are under way."""
        self.process.kill()

    def _answers(self) -> bool:
        trust = ssl.create_default_context(cafile=str(self.ca_file)) if self.ca_file else True
        try:
            return httpx.get(self.url, timeout=5, trust_env=False, verify=trust).status_code > 0
        except httpx.TransportError:
            return False


@contextmanager
def running(server: AwsServer) -> Iterator[AwsServer]:
    """Started, and stopped with the block."""
    server.start()
    try:
        yield server
    finally:
        server.stop()
