"""A NATS server that somebody else runs, with each way of logging in."""

import asyncio
import shutil
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from nats.aio.client import Client
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from symfed_operator.backends.nats.keys import new_user_seed, public_key
from symfed_wire.documents import Signed, parse_signed
from tests.integration.backends.outside import federation_uid, uuid_of
from tests.integration.faults.peers import Peer, Peers
from tests.integration.servers import NatsServer, write_server_certificate

Found = TypeVar("Found")
SECONDS = 10.0


@dataclass(frozen=True)
class Login:
    """A way of logging in: the server's configuration, the keys of a create map, and the client's options."""

    config: str
    keys: Mapping[str, str]
    options: Mapping[str, object]


def login_of(way: str) -> Login:
    """By user and password, by token, or by an NKEY seed."""
    if way == "user":
        return Login(
            'authorization { user: "fed", password: "pass word" }',
            {"nats_sec_user": "fed", "nats_sec_passwd": "pass word"},
            {"user": "fed", "password": "pass word"},
        )
    if way == "token":
        return Login(
            'authorization { token: "t0ken of all" }',
            {"nats_sec_token": "t0ken of all"},
            {"token": "t0ken of all"},
        )
    seed = new_user_seed()
    return Login(
        f'authorization {{ users: [ {{ nkey: "{public_key(seed)}" }} ] }}',
        {"nats_sec_nkey_seed": seed},
        {"nkeys_seed_str": seed},
    )


class SharedNats:
    """`Administered` on somebody else's server; see there. With `tls` it has a certificate of its own CA."""

    def __init__(self, folder: Path, way: str, *, tls: bool = False) -> None:
        folder.mkdir(parents=True)
        self._data, self._login = folder / "data", login_of(way)
        self._ca = ""
        lines = [f'jetstream {{ store_dir: "{self._data}" }}', self._login.config]
        if tls:
            write_server_certificate(folder)
            self._ca = (folder / "server.crt").read_text()
            lines.append(
                f'tls {{ cert_file: "{folder}/server.crt", key_file: "{folder}/server.key", timeout: 5 }}'
            )
        config = folder / "nats.conf"
        config.write_text("\n".join(lines))
        self.server = NatsServer(config, folder)

    @property
    def founding(self) -> Mapping[str, str]:
        url = self.server.url.replace("nats://", "tls://") if self._ca else self.server.url
        ca = {"nats_tls_ca": self._ca} if self._ca else {}
        return {"nats_hosts": url, "nats_stream_max_memory": str(64 << 20), **self._login.keys, **ca}

    @property
    def joining(self) -> Mapping[str, str]:
        return {}

    def made(self) -> frozenset[str]:
        async def names(stream: JetStreamContext) -> frozenset[str]:
            return frozenset(info.config.name or "" for info in await stream.streams_info())

        return self._use(names)

    def expected(self, members: int) -> int:
        return 1 + members

    def head(self, peers: Peers, peer: Peer) -> Signed:
        async def read(stream: JetStreamContext) -> bytes:
            return (await stream.get_last_msg(_stream(peers, peer), _head(peers, peer))).data or b""

        return parse_signed(self._use(read))

    def put_head(self, peers: Peers, peer: Peer, head: Signed) -> None:
        data = head.model_dump_json().encode()
        self._use(lambda stream: stream.publish(_head(peers, peer), data))

    def drop(self, peers: Peers, peer: Peer) -> None:
        self._use(lambda stream: stream.purge_stream(_stream(peers, peer)))

    def contents(self, peers: Peers, peer: Peer) -> list[bytes]:
        name = _stream(peers, peer)

        async def read(stream: JetStreamContext) -> list[bytes]:
            state = (await stream.stream_info(name)).state
            found = []
            for sequence in range(state.first_seq, state.last_seq + 1):
                try:
                    found.append((await stream.get_msg(name, sequence)).data or b"")
                except NotFoundError:
                    continue
            return found

        return self._use(read)

    @contextmanager
    def away(self) -> Iterator[None]:
        self.server.process.kill()
        try:
            yield
        finally:
            self.server.start()

    def lose(self) -> None:
        with self.away():
            shutil.rmtree(self._data)

    def _use(self, use: Callable[[JetStreamContext], Awaitable[Found]]) -> Found:
        async def run() -> Found:
            connection = Client()
            trust = {"tls": ssl.create_default_context(cadata=self._ca)} if self._ca else {}
            await connection.connect(self.server.url, **self._login.options, **trust)  # type: ignore[arg-type]  # as kept
            try:
                return await use(connection.jetstream(timeout=SECONDS))
            finally:
                await connection.close()

        return asyncio.run(run())


def _stream(peers: Peers, peer: Peer) -> str:
    return f"SF_{federation_uid(peers)}_{uuid_of(peers, peer)}"


def _head(peers: Peers, peer: Peer) -> str:
    return f"sf.{federation_uid(peers)}.{uuid_of(peers, peer)}.head"
