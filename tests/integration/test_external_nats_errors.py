"""What an operator says, within seconds, of somebody else's NATS that does not do what it must."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from symfed_operator.backends.base import (
    AuthorizationFailedError,
    BackendError,
    JetStreamDisabledError,
    NoCapacityError,
    UnreachableError,
)
from symfed_operator.backends.nats.external import SharedAccount
from symfed_operator.backends.nats.external_backend import ExternalNatsBackend
from symfed_operator.backends.nats.keys import new_user_seed
from symfed_wire.node_config import NatsLogin
from tests.integration.external_federation import ExternalFederation, new_federation
from tests.integration.external_nats import (
    NKEY,
    OPEN,
    PASSWORD,
    TLS,
    TOKEN,
    ExternalNats,
    Way,
    external_server,
)
from tests.integration.fake_nats import listening
from tests.integration.servers import free_port

SOON = 8.0
OTHER_SEED = new_user_seed()
LIMITED = Way(
    "limited",
    'authorization { users: [ {user: "fed", password: "p", permissions: {publish: "sf.>"}} ] }',
    NatsLogin(user="fed", password="p"),
)


@contextmanager
def running(folder: Path, way: Way, *, jetstream: bool = True) -> Iterator[ExternalNats]:
    """A server with one way of logging in."""
    nats = external_server(folder, way, jetstream=jetstream)
    with nats.server:
        yield nats


async def fault(of: SharedAccount | ExternalFederation) -> BackendError:
    """What the admin's operator says."""
    if isinstance(of, SharedAccount):
        backend, wanted = ExternalNatsBackend(of), ExternalFederation(None, ()).wanted  # type: ignore[arg-type]  # not used
    else:
        backend, wanted = of.backend, of.wanted
    started = time.monotonic()
    with pytest.raises(BackendError) as raised:
        await backend.apply(wanted)
    assert time.monotonic() - started < SOON
    return raised.value


@pytest.mark.parametrize(
    ("way", "login"),
    [
        (PASSWORD, NatsLogin(user="fed", password="another")),
        (PASSWORD, NatsLogin()),
        (TOKEN, NatsLogin(token="another")),
        (NKEY, NatsLogin(nkey_seed=OTHER_SEED)),
    ],
)
async def test_wrong_credentials(programs: None, tmp_path: Path, way: Way, login: NatsLogin) -> None:
    with running(tmp_path, way) as nats:
        error = await fault(nats.account(login))
    assert isinstance(error, AuthorizationFailedError)
    assert str(error) == (
        f"NATS at {nats.url} refuses the login that all members of the federation share. Check Secret nats"
    )


@pytest.mark.parametrize(
    ("login", "words"),
    [
        (NatsLogin(nkey_seed="SUnonsense"), "the NKEY seed for NATS is not that of a user (SU…)"),
        (NatsLogin(ca="nonsense"), "the CA for NATS (ca.crt) is not a certificate in PEM form"),
    ],
)
async def test_a_login_of_another_form(login: NatsLogin, words: str) -> None:
    error = await fault(SharedAccount(("nats://127.0.0.1:1",), login, "Secret nats"))
    assert isinstance(error, AuthorizationFailedError)
    assert str(error) == f"{words}. Check Secret nats"


async def test_nobody_there(programs: None, tmp_path: Path) -> None:
    address = f"nats://127.0.0.1:{free_port()}"
    error = await fault(SharedAccount((address,), NatsLogin(), "Secret nats"))
    assert isinstance(error, UnreachableError)
    assert f"NATS at {address} cannot be reached" in str(error)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nats://nats.example.org:99999", "nats: invalid connect url option"),
        ("nats://[::1", "nats: invalid connect url option"),
        ("nats://a..b:4222", "label empty or too long"),
        ("ws://127.0.0.1:1", "an address is neither nats:// nor tls://"),
    ],
)
async def test_an_address_that_is_none(address: str, words: str) -> None:
    """Its custom resource, or a join answer, may have said so."""
    error = await fault(SharedAccount((address,), NatsLogin(), "Secret nats"))
    assert isinstance(error, UnreachableError)
    assert words in str(error)
    assert str(error).endswith("Check that the server runs and the address is right")


async def of_a_server_that_says(greeting: bytes) -> BackendError:
    """What is said of one that hangs up when it has been told anything."""

    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readline()

    async with listening(serve, greeting) as address:
        return await fault(SharedAccount((address,), NatsLogin(), "Secret nats"))


async def test_a_server_that_says_nothing() -> None:
    error = await of_a_server_that_says(b"")
    assert isinstance(error, UnreachableError)
    assert "no answer within 10 s" in str(error)


async def test_a_server_that_hangs_up() -> None:
    error = await of_a_server_that_says(b'INFO {"server_id":"x","max_payload":1048576} \r\n')
    assert isinstance(error, UnreachableError)
    assert "the server ends the connection without a word" in str(error)


async def test_a_certificate_that_is_not_trusted(programs: None, tmp_path: Path) -> None:
    with running(tmp_path, TLS) as nats:
        error = await fault(nats.account(TLS.login))
    assert isinstance(error, UnreachableError)
    assert "its certificate is refused (self-signed certificate)" in str(error)
    assert "put the PEM text of its CA as ca.crt into the Secret with the credentials of NATS" in str(error)


async def test_a_server_that_asks_for_a_certificate(programs: None, tmp_path: Path) -> None:
    nats = external_server(tmp_path, TLS, asks_for_certificates=True)
    with nats.server:
        error = await fault(nats.account())
    assert isinstance(error, UnreachableError)
    assert "the server asks for a client's certificate, and symfed has none" in str(error)


async def test_a_server_without_tls(programs: None, tmp_path: Path) -> None:
    with running(tmp_path, PASSWORD) as nats:
        error = await fault(nats.account(url=nats.url.replace("nats://", "tls://")))
    assert isinstance(error, UnreachableError)
    assert "the server has no TLS, which a tls:// address asks for" in str(error)


async def test_a_server_without_jetstream(programs: None, tmp_path: Path) -> None:
    with running(tmp_path, PASSWORD, jetstream=False) as nats:
        federation = new_federation(nats)
        error = await fault(federation)
        assert isinstance(error, JetStreamDisabledError)
        assert f"stream {federation.stream('federation')} on NATS at {nats.url}" in str(error)
        assert "JetStream is not available to this account" in str(error)
        with pytest.raises(JetStreamDisabledError):
            await federation.side(federation.peers[0]).apply()


async def test_a_login_that_may_not_do_all_that_is_needed(programs: None, tmp_path: Path) -> None:
    with running(tmp_path, LIMITED) as nats:
        error = await fault(new_federation(nats))
    assert isinstance(error, AuthorizationFailedError)
    assert 'permissions violation for publish to "$js.api.stream.info.sf_' in str(error).lower()
    assert "The login must be allowed to publish sf.> and $JS.API.>" in str(error)


async def test_messages_that_are_too_small_for_a_chunk(programs: None, tmp_path: Path) -> None:
    small = Way("small", "max_payload: 500000", NatsLogin())
    with running(tmp_path, small) as nats:
        error = await fault(new_federation(nats))
    assert error.reason == "BackendFailed"
    assert "may have 500000 bytes, and a node's chunks need 528384: raise max_payload" in str(error)


async def test_no_room_for_a_stream(programs: None, tmp_path: Path) -> None:
    with running(tmp_path, OPEN) as nats:
        federation = new_federation(nats)
        federation.stream_max_bytes = 4 << 30  # the server has 1 GiB
        await federation.backend.apply(federation.wanted)
        with pytest.raises(NoCapacityError, match="lower the federation's streamMaxBytes"):
            await federation.side(federation.peers[0]).apply()


async def test_subjects_that_somebody_elses_stream_has(programs: None, tmp_path: Path) -> None:
    with running(tmp_path, OPEN) as nats:
        async with nats.somebody() as connection:
            await connection.jetstream().add_stream(name="everything", subjects=["sf.>"])
        error = await fault(new_federation(nats))
    assert error.reason == "BackendFailed"
    assert "subjects overlap with an existing stream" in str(error)


@asynccontextmanager
async def as_old(nats: ExternalNats) -> AsyncIterator[str]:
    """The address at which the server says that it is an older one."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data.replace(b'"version":"2.14.9"', b'"version":"2.14.2"'))
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", nats.server.port)
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

    async with listening(serve, greeting=b"") as address:
        yield address


async def test_an_old_server_is_used_with_a_warning(programs: None, tmp_path: Path) -> None:
    with running(tmp_path, OPEN) as nats:
        federation = new_federation(nats)
        assert (await federation.backend.apply(federation.wanted)).notes == ()
        async with as_old(nats) as address:
            applied = await ExternalNatsBackend(nats.account(url=address)).apply(federation.wanted)
    [note] = applied.notes
    assert note == (
        f"the server on NATS at {address} has version 2.14.2, which is known to crash: "
        "2.12.12, or 2.14.3 or newer is needed"
    )
    assert set(applied.grants) == set(federation.peers)
