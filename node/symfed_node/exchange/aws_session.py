"""boto3's clients of one peer: with which credentials, to which region, and how patient."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypeVar

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import (
    CredentialProvider,
    CredentialResolver,
    Credentials,
    InstanceMetadataProvider,
    ReadOnlyCredentials,
)
from botocore.exceptions import CredentialRetrievalError, NoCredentialsError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

POLL_SECONDS: Final = 20
"""how long SQS holds a request for messages: the most that it allows"""
CONNECTIONS: Final = 16
"""requests of one client that are under way at once"""
_ATTEMPTS: Final = 4
_CONNECT_SECONDS: Final = 10.0

_OF_THE_MACHINE: Final = InstanceMetadataProvider.METHOD

Client = TypeVar("Client")
_Key: TypeAlias = tuple[str, float]


class FolderCredentials(Credentials):
    """Credentials in the files of a mounted Secret, which are read for each request: they may change.

    So neither a change nor an expiry needs a new client. It may raise CredentialRetrievalError.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__("", "", method="folder")
        self._folder = folder

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """See botocore."""
        # The kubelet replaces all files at once by this link; read through it they belong together.
        together = self._folder / "..data"
        folder = together.resolve() if together.exists() else self._folder
        token = folder / "sessionToken"
        return ReadOnlyCredentials(
            self._read(folder / "accessKeyId"),
            self._read(folder / "secretAccessKey"),
            (self._read(token) or None) if token.exists() else None,
        )

    def _read(self, file: Path) -> str:
        try:
            text = file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            cause = error.strerror if isinstance(error, OSError) else "it is no text"
            raise self._fault(f"{file.name}: {cause}") from None
        if not text and file.name != "sessionToken":
            raise self._fault(f"{file.name} is empty")
        return text

    def _fault(self, text: str) -> CredentialRetrievalError:
        return CredentialRetrievalError(provider=str(self._folder), error_msg=text)


class _FolderProvider(CredentialProvider):
    METHOD = "folder"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def load(self) -> Credentials:
        return FolderCredentials(self._folder)


class AwsSession:
    """Makes clients; safe in threads. Without a folder credentials come by the ServiceAccount's role.

    They never come by the machine's own role: no customer may have that act for him.
    """

    def __init__(self, credentials: Path | None, endpoint_url: str | None) -> None:
        session = botocore.session.get_session()
        if credentials is not None:
            resolver = CredentialResolver([_FolderProvider(credentials)])
            session.register_component("credential_provider", resolver)
        else:
            session.get_component("credential_provider").remove(_OF_THE_MACHINE)
        self._session = boto3.Session(botocore_session=session)
        self._endpoint_url = endpoint_url
        self._making = Lock()  # boto3's clients are safe in threads, making them is not
        self._s3: dict[_Key, S3Client] = {}
        self._sns: dict[_Key, SNSClient] = {}
        self._sqs: dict[_Key, SQSClient] = {}

    def s3(self, region: str, seconds: float) -> S3Client:
        """The client for buckets in a region, with so many seconds for one request."""
        return self._kept(
            self._s3,
            (region, seconds),
            lambda config: self._session.client("s3", region, endpoint_url=self._endpoint_url, config=config),
        )

    def sns(self, region: str, seconds: float) -> SNSClient:
        """The client for topics in a region."""
        return self._kept(
            self._sns,
            (region, seconds),
            lambda config: self._session.client(
                "sns", region, endpoint_url=self._endpoint_url, config=config
            ),
        )

    def sqs(self, region: str, seconds: float) -> SQSClient:
        """The client for queues in a region; its patience covers a long poll, and it tries once."""
        return self._kept(
            self._sqs,
            (region, seconds),
            lambda config: self._session.client(
                "sqs",
                region,
                endpoint_url=self._endpoint_url,
                config=config.merge(
                    Config(read_timeout=POLL_SECONDS + seconds, retries={"total_max_attempts": 1})
                ),
            ),
        )

    def _kept(self, clients: dict[_Key, Client], key: _Key, make: Callable[[Config], Client]) -> Client:
        with self._making:
            if key not in clients:
                if self._session.get_credentials() is None:  # a client would never look for them again
                    raise NoCredentialsError
                clients[key] = make(self._config(key[1]))
            return clients[key]

    def _config(self, seconds: float) -> Config:
        # At a private endpoint a bucket's name is not part of the host's.
        addressing: Literal["auto", "path"] = "path" if self._endpoint_url else "auto"
        return Config(
            connect_timeout=min(_CONNECT_SECONDS, seconds),
            read_timeout=seconds,
            retries={"mode": "adaptive", "total_max_attempts": _ATTEMPTS},
            max_pool_connections=CONNECTIONS,
            tcp_keepalive=True,
            response_checksum_validation="when_required",  # a snapshot's digest and signature are checked
            s3={"addressing_style": addressing},
        )
