"""Connections to a NATS that somebody else runs: one account, which all members of a federation share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from nats.aio.client import Client

from symfed_operator.backends.base import AuthorizationFailedError, BackendError, UnreachableError
from symfed_operator.backends.nats.connection import dial
from symfed_operator.backends.nats.shared import SUPPORTED, is_supported, streams_of
from symfed_operator.backends.nats.streams import Layout, Stream, stream_names
from symfed_wire.errors import MalformedError
from symfed_wire.nats_client import LoginOptions, login_options
from symfed_wire.node_config import NatsLogin

_CONNECT_SECONDS = 10.0
REQUEST_SECONDS = 5.0
ALL_SECONDS = 60.0  # who has the login may answer in the server's place, and never end
_LEAST_PAYLOAD = (512 << 10) + 4096  # a chunk, its seal and its headers
_DENIED = "permissions violation"


@dataclass(frozen=True)
class SharedAccount:
    """Where it is and how to log in; `origin` says to a user where the login comes from."""

    hosts: tuple[str, ...]
    login: NatsLogin = field(repr=False)
    origin: str

    @asynccontextmanager
    async def connected(self) -> AsyncIterator["OpenAccount"]:
        """A short connection. Raises AuthorizationFailedError and UnreachableError."""
        faults: list[Exception] = []
        connection = await dial(
            self.hosts,
            self._options(),
            who="the login that all members of the federation share",
            hint=f"Check {self.origin}",
            timeout=_CONNECT_SECONDS,
            on_error=faults.append,
        )
        try:
            async with asyncio.timeout(ALL_SECONDS):
                yield OpenAccount(connection, self._where)
        except TimeoutError as error:
            raise UnreachableError(
                f"{self._where}: not all was answered within {ALL_SECONDS:g} s; it is tried again"
            ) from error
        except UnreachableError as error:
            raise self._denied(faults) or error from None
        finally:
            await connection.close()

    def _options(self) -> LoginOptions:
        try:
            return login_options(self.login)
        except MalformedError as error:
            raise AuthorizationFailedError(f"{error}. Check {self.origin}") from None

    def _denied(self, faults: list[Exception]) -> AuthorizationFailedError | None:
        """What is not allowed gets no answer; the server says so beside it."""
        said = next((str(fault) for fault in faults if _DENIED in str(fault).lower()), None)
        if said is None:
            return None
        return AuthorizationFailedError(
            f"{said}, {self._where}. The login must be allowed to publish sf.> and $JS.API.>, and to"
            " subscribe sf.> and _INBOX.>"
        )

    @property
    def _where(self) -> str:
        return f"on NATS at {', '.join(self.hosts)}"


class OpenAccount:
    """The streams of the account, over an open connection."""

    def __init__(self, connection: Client, where: str) -> None:
        self._connection = connection
        self._jetstream = connection.jetstream(timeout=REQUEST_SECONDS)
        self._where = where

    def check(self) -> str:
        """What is to be said of the server's version; empty when nothing is.

        Raises BackendError for a server that takes no chunk of a snapshot.
        """
        most = self._connection.max_payload
        if most < _LEAST_PAYLOAD:
            raise BackendError(
                f"messages {self._where} may have {most} bytes, and a node's chunks need {_LEAST_PAYLOAD}:"
                " raise max_payload there to its default, 1 MiB"
            )
        version = self._connection.connected_server_version
        text = f"{version.major}.{version.minor}.{version.patch}"
        if is_supported(text):
            return ""
        return f"the server {self._where} has version {text}, which is known to crash: {SUPPORTED} is needed"

    def stream(self, layout: Layout) -> Stream:
        """One of its streams."""
        return Stream(self._jetstream, layout, self._where)

    async def free_all(self, federation: str) -> None:
        """Delete all streams of a federation, that of its document last."""
        names = await stream_names(self._jetstream, self._where)
        for layout in streams_of(federation, names):
            await self.stream(layout).free()
