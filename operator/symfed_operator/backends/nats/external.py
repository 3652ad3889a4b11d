"""A NATS that somebody else runs: one account, which all members of a federation share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from nats.aio.client import Client

from symfed_operator.backends.nats.connection import dial
from symfed_operator.backends.nats.shared import is_supported
from symfed_operator.backends.nats.streams import Layout, Stream
from symfed_wire.nats_client import login_options
from symfed_wire.node_config import NatsLogin

_CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class SharedAccount:
    """Where it is and how to log in. `secret` says to a user where the login comes from."""

    hosts: tuple[str, ...]
    login: NatsLogin = field(repr=False)
    secret: str
    request_timeout: float = 30.0

    @asynccontextmanager
    async def connected(self) -> AsyncIterator["OpenAccount"]:
        """A short connection.

        Raises AuthorizationFailedError, UnreachableError, and MalformedError for a login of another form.
        """
        connection = await dial(
            self.hosts,
            login_options(self.login),
            who="the login of the federation",
            hint=f"Set right {self.secret}: user and password, or token, or nkeySeed",
            timeout=_CONNECT_SECONDS,
        )
        try:
            yield OpenAccount(connection, self.hosts, self.request_timeout)
        finally:
            await connection.close()


class OpenAccount:
    """The streams of the account, over an open connection."""

    def __init__(self, connection: Client, hosts: tuple[str, ...], timeout: float) -> None:
        self._connection = connection
        self._where = f"on NATS at {', '.join(hosts)}"
        self._timeout = timeout

    @property
    def warning(self) -> str:
        """What is to be said of the server's version; empty when nothing is."""
        version = self._connection.connected_server_version
        text = f"{version.major}.{version.minor}.{version.patch}"
        return "" if is_supported(text) else f"NATS server {text} {self._where}"

    def stream(self, layout: Layout) -> Stream:
        """One of its streams."""
        return Stream(self._connection.jetstream(timeout=self._timeout), layout, self._where)
