"""A node that does not get into a NATS says why, in words and within seconds."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from symfed_node.exchange.base import ExchangeError, LoginRefusedError, RefusedError
from symfed_node.exchange.nats import NatsExchange
from symfed_operator.backends.nats.keys import new_user_seed
from symfed_operator.backends.nats.shared import grant
from symfed_wire.errors import MalformedError, SymfedError
from symfed_wire.node_config import NatsLogin
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
from tests.integration.node_world import World, new_identity, new_world
from tests.integration.servers import ServerError, free_port, wait_until

SOON = 5.0
OTHER_SEED = new_user_seed()


@pytest.fixture
async def world(programs: None, tmp_path: Path) -> AsyncIterator[World]:
    """A federation on a NATS of the operator's, without nodes."""
    async with new_world(tmp_path) as made:
        yield made


@contextmanager
def running(folder: Path, way: Way, *, jetstream: bool = True) -> Iterator[ExternalNats]:
    """Somebody else's NATS."""
    nats = external_server(folder, way, jetstream=jetstream)
    with nats.server:
        yield nats


async def refusal(login: NatsLogin, *hosts: str) -> SymfedError:
    """What a node says that does not get in."""
    peer = new_identity("one")
    exchange = NatsExchange(peer.uuid, grant("f" * 8, peer.uuid, hosts), peer.seeds, login)
    started = time.monotonic()
    with pytest.raises(SymfedError) as raised:
        await exchange.open(lambda wake: None)
    assert time.monotonic() - started < SOON
    await exchange.close()
    return raised.value


async def test_a_stranger_and_a_dead_server_are_told_apart(world: World) -> None:
    one, two = world.peers[:2]
    stranger = NatsExchange(one.uuid, world.grants[one.uuid], two.seeds)
    with pytest.raises(RefusedError, match="refuses this peer's writer"):
        await stranger.open(lambda wake: None)
    world.server.stop()
    exchange = NatsExchange(one.uuid, world.grants[one.uuid], one.seeds)
    with pytest.raises(ExchangeError, match="cannot be reached") as raised:
        await exchange.open(lambda wake: None)
    assert not isinstance(raised.value, RefusedError)


@pytest.mark.parametrize(
    ("way", "login"),
    [
        (PASSWORD, NatsLogin(user="fed", password="another")),
        (PASSWORD, NatsLogin()),
        (TOKEN, NatsLogin(token="another")),
        (NKEY, NatsLogin(nkey_seed=OTHER_SEED)),
        (NKEY, NatsLogin(user="fed", password="s3cret pass")),
    ],
)
async def test_wrong_credentials_are_no_removal(
    programs: None, tmp_path: Path, way: Way, login: NatsLogin
) -> None:
    with running(tmp_path, way) as nats:
        error = await refusal(login, nats.url)
    assert isinstance(error, LoginRefusedError)
    assert not isinstance(error, RefusedError)
    assert error.reason == "AuthorizationFailed"
    assert str(error).startswith(f"NATS at {nats.url} refuses the federation's credentials")
    assert "spec.nats.credentialsSecretRef" in str(error)
    assert "another" not in str(error)
    assert OTHER_SEED not in str(error)


async def test_a_certificate_that_is_not_trusted(programs: None, tmp_path: Path) -> None:
    with running(tmp_path, TLS) as nats:
        error = await refusal(TLS.login, nats.url)
    assert error.reason == "BackendUnreachable"
    assert "its certificate is refused (self-signed certificate)" in str(error)
    assert "put the PEM text of its CA as ca.crt into the Secret" in str(error)


async def test_a_certificate_of_another_name(programs: None, tmp_path: Path) -> None:
    with running(tmp_path, TLS) as nats:
        error = await refusal(nats.login, nats.url.replace("127.0.0.1", "127.1"))  # the same machine
    assert "use an address that is in the certificate" in str(error)


async def test_no_password_is_told_to_a_server_without_tls(programs: None, tmp_path: Path) -> None:
    with running(tmp_path, PASSWORD) as nats:
        wrong = NatsLogin(user="fed", password="another")  # the server would log that it was told this
        error = await refusal(wrong, nats.url.replace("nats://", "tls://"))
        log = nats.server.process.log.read_text()
    assert "the server has no TLS, which a tls:// address asks for" in str(error)
    assert "authentication error" not in log


async def test_a_nats_address_of_a_server_with_tls_is_used_with_tls(programs: None, tmp_path: Path) -> None:
    with running(tmp_path, TLS) as nats:
        error = await refusal(TLS.login, nats.server.url)
    assert "put the PEM text of its CA as ca.crt into the Secret" in str(error)


async def test_a_port_that_speaks_something_else(programs: None, tmp_path: Path) -> None:
    with running(tmp_path, OPEN) as nats:
        error = await refusal(OPEN.login, nats.server.monitoring_url.replace("http://", "nats://"))
    assert error.reason == "BackendUnreachable"


async def test_a_host_that_is_away_does_not_keep_one_from_the_others(programs: None, tmp_path: Path) -> None:
    with running(tmp_path, PASSWORD) as nats:
        peer = new_identity("one")
        away = f"nats://127.0.0.1:{free_port()}"
        granted = grant("f" * 8, peer.uuid, (away, nats.url))
        for _ in range(4):  # the client chooses in which order it tries them
            exchange = NatsExchange(peer.uuid, granted, peer.seeds, nats.login)
            await exchange.open(lambda wake: None)
            assert exchange.is_open
            await exchange.close()
    error = await refusal(nats.login, away, nats.url)
    assert str(error).startswith(f"NATS at {away}, {nats.url} cannot be reached: ")


@pytest.mark.parametrize(
    ("login", "words"),
    [
        (NatsLogin(nkey_seed="SUnonsense"), "the NKEY seed for NATS is not that of a user"),
        (NatsLogin(ca="nonsense"), "the CA for NATS (ca.crt) is not a certificate in PEM form"),
    ],
)
async def test_a_login_of_another_form(login: NatsLogin, words: str) -> None:
    error = await refusal(login, "nats://127.0.0.1:1")
    assert isinstance(error, MalformedError)
    assert words in str(error)
    assert "nonsense" not in str(error)


async def test_a_missing_stream_is_told(programs: None, tmp_path: Path) -> None:
    async with new_world(tmp_path, PASSWORD) as world:
        peer = world.peers[0]
        await world.operator.remove(peer.uuid)
        exchange = NatsExchange(peer.uuid, world.grants[peer.uuid], peer.seeds, world.operator.login)
        await exchange.open(lambda wake: None)
        with pytest.raises(ExchangeError, match=f"the head of peer {peer.uuid}: NATS has no such stream"):
            await exchange.head(world.member(0))
        await exchange.close()


async def test_a_node_that_is_refused_says_so_and_comes_in_when_it_may(
    programs: None, tmp_path: Path
) -> None:
    """Wrong credentials for a while are no removal: the same node goes on by itself."""
    async with new_world(tmp_path, PASSWORD) as world:
        config = tmp_path / "external.conf"
        good = config.read_text()
        config.write_text(good.replace("s3cret pass", "changed"))
        world.server.stop()
        world.server.start()
        with world.running(0) as [node]:

            def says(*words: str) -> bool:
                return all(word in node.log.read_text() for word in words)

            try:
                wait_until(lambda: says("Exchanging=False AuthorizationFailed"), "it says nothing", 10)
                config.write_text(good)
                world.server.stop()
                world.server.start()
                wait_until(lambda: says("Exchanging=False TooFewRows"), "it does not come in", 30)
            except ServerError:
                pytest.fail(node.log.read_text())
            assert not says("Removed")
