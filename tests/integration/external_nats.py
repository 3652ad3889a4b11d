"""NATS servers that somebody else runs: one account, and one of the ways in which one logs in to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from nats.aio.client import Client
from nats.js.client import JetStreamContext
from nats.js.errors import APIError

from symfed_operator.backends.nats.external import SharedAccount
from symfed_operator.backends.nats.keys import new_user_seed, public_key
from symfed_wire.nats_client import CautiousClient, login_options
from symfed_wire.node_config import NatsLogin
from tests.integration.servers import NatsServer, write_server_certificate

_SEED = new_user_seed()
_KEY = public_key(_SEED)
# What a login needs at least; the others may do everything.
_RIGHTS = '{publish: ["sf.>", "$JS.API.>"], subscribe: ["sf.>", "_INBOX.>"]}'
_USERS = f'authorization {{ users: [ {{user: "fed", password: "s3cret pass", permissions: {_RIGHTS}}} ] }}'


@dataclass(frozen=True)
class Way:
    """How one logs in: what the server's configuration says of it, and the login."""

    name: str
    authorization: str
    login: NatsLogin = field(repr=False)
    has_tls: bool = False


OPEN = Way("open", "", NatsLogin())
PASSWORD = Way("password", _USERS, NatsLogin(user="fed", password="s3cret pass"))
TOKEN = Way(
    "token", 'authorization { token: "t0ken of the federation" }', NatsLogin(token="t0ken of the federation")
)
NKEY = Way(
    "nkey", f"authorization {{ users: [ {{nkey: {public_key(_SEED)}}} ] }}", NatsLogin(nkey_seed=_SEED)
)
TLS = Way("tls", _USERS, PASSWORD.login, has_tls=True)
WAYS = (PASSWORD, TOKEN, NKEY, TLS, OPEN)


@dataclass
class ExternalNats:
    """A server, which nobody needs to stop: it ends with its block. `login` is what fits it."""

    server: NatsServer
    way: Way
    login: NatsLogin = field(repr=False)

    @property
    def url(self) -> str:
        """Its address as a `nats_hosts` value."""
        return self.server.url.replace("nats://", "tls://") if self.way.has_tls else self.server.url

    def account(self, login: NatsLogin | None = None, url: str = "") -> SharedAccount:
        """What the operator is told of it, perhaps with another login or address."""
        return SharedAccount((url or self.url,), login or self.login, "Secret nats")

    @asynccontextmanager
    async def somebody(self) -> AsyncIterator[Client]:
        """A connection of somebody who has the login too: whoever is a member, or was one."""
        connection = CautiousClient()
        await connection.connect(self.url, **login_options(self.login), allow_reconnect=False)
        try:
            yield connection
        finally:
            await connection.close()


async def fill(stream: JetStreamContext, subject: str) -> None:
    """Leave no room in the stream that has this subject."""
    for size in (900_000, 9_000, 90, 0):
        with suppress(APIError):
            while True:
                await stream.publish(subject, bytes(size))


def external_server(
    folder: Path, way: Way, *, jetstream: bool = True, asks_for_certificates: bool = False
) -> ExternalNats:
    """A server that is not started yet."""
    folder.mkdir(parents=True, exist_ok=True)
    store = f'jetstream {{ store_dir: "{folder / "nats-data"}", max_file_store: 1Gi }}' if jetstream else ""
    tls, login = "", way.login
    if way.has_tls:
        write_server_certificate(folder)
        certificate, key = folder / "server.crt", folder / "server.key"
        asks = f'ca_file: "{certificate}", verify: true' if asks_for_certificates else ""
        tls = f'tls {{ cert_file: "{certificate}", key_file: "{key}", {asks} }}'
        login = login.model_copy(update={"ca": (folder / "server.crt").read_text()})
    config = folder / "external.conf"
    config.write_text("\n".join(["server_name: somebodys", store, tls, way.authorization]))
    return ExternalNats(NatsServer(config, folder / "nats"), way, login)
