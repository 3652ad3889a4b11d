"""Connections to NATS that say in words why they fail."""

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from secrets import token_hex

import nats.errors
import nkeys
from nats.aio.client import Client

from symfed_node.exchange.base import ExchangeError, LoginRefusedError, RefusedError
from symfed_wire.join import NatsGrant
from symfed_wire.nats_client import CautiousClient, LoginOptions, let_go, login_options, tls_fault
from symfed_wire.node_config import NatsLogin, PeerSecrets

log = logging.getLogger(__name__)

_CONNECT_SECONDS = 10.0
_PING_SECONDS = 15  # a connection that is dead without a word is noticed within twice this
_REFUSALS = ("authorization violation", "authentication revoked", "authentication expired")


@dataclass(frozen=True)
class User:
    """Whom a connection logs in as, and where it gets its answers."""

    role: str
    inbox: str
    options: Callable[[], LoginOptions] = field(repr=False)
    is_granted: bool = True
    """whether the admin's operator made this user, so that a refusal can mean that this peer was removed"""


def users_of(peer: str, grant: NatsGrant, secrets: PeerSecrets, login: NatsLogin | None) -> tuple[User, ...]:
    """A peer's writer and its reader, or the one that is both: the user of all members on a shared NATS."""
    if grant.writer_jwt is None or grant.reader_jwt is None:
        inbox = f"_INBOX.{token_hex(16)}"  # nobody can guess where its answers go
        return (User("user", inbox, lambda: login_options(login or NatsLogin()), is_granted=False),)
    return (
        _granted("writer", grant.writer_jwt, secrets.nats_writer_seed, "_INBOX"),
        _granted("reader", grant.reader_jwt, secrets.nats_reader_seed, f"_INBOX.{peer}"),
    )


def _granted(role: str, jwt: str, seed: str, inbox: str) -> User:
    def options() -> LoginOptions:
        return LoginOptions(user_jwt_cb=jwt.encode, signature_cb=lambda nonce: _sign(seed, nonce))

    return User(role, inbox, options)


async def dial(
    hosts: tuple[str, ...],
    user: User,
    *,
    on_error: Callable[[Exception], None],
    on_closed: Callable[[], None],
) -> Client:
    """A connection that is not renewed behind the caller's back, so that refused credentials fail at once.

    Raises:
        RefusedError: the server does not accept the user that this peer was granted.
        LoginRefusedError: the server does not accept the login that all members share.
        ExchangeError: none answers, or not in a way that can be trusted.
        MalformedError: the login has not the form that it must have.
    """
    options = user.options()
    faults: list[Exception] = []

    async def note(fault: Exception) -> None:
        faults.append(fault)
        log.warning("NATS, %s: %s", user.role, fault)
        on_error(fault)

    connection = CautiousClient()
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            await connection.connect(
                list(hosts),
                **options,
                inbox_prefix=user.inbox,
                name=f"symfed-node {user.role}",
                allow_reconnect=False,
                max_reconnect_attempts=1,  # one try a host; the client would else try for minutes
                reconnect_time_wait=0,
                ping_interval=_PING_SECONDS,
                error_cb=note,
                closed_cb=_as_callback(on_closed),
            )
    except (nats.errors.Error, OSError, TimeoutError) as error:
        await let_go(connection)
        raise _in_words([*faults, error], hosts, user) from error
    except BaseException:
        await let_go(connection)
        raise
    return connection


def _as_callback(function: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    async def callback() -> None:
        function()

    return callback


def _sign(seed: str, nonce: str) -> bytes:
    signature: bytes = nkeys.from_seed(bytearray(seed.encode())).sign(nonce.encode())
    return base64.b64encode(signature)


def _in_words(faults: list[Exception], hosts: tuple[str, ...], user: User) -> ExchangeError:
    where = ", ".join(hosts)
    if any(refusal in str(fault).lower() for fault in faults for refusal in _REFUSALS):
        if user.is_granted:
            return RefusedError(
                f"NATS at {where} refuses this peer's {user.role}: it was removed, or its grant is old"
            )
        return LoginRefusedError(
            f"NATS at {where} refuses the federation's credentials: the admin must set right the Secret of "
            "spec.nats.credentialsSecretRef; a peer that was invited with others must be made again"
        )
    told = [fault for fault in faults if not isinstance(fault, nats.errors.NoServersError | TimeoutError)]
    cause = tls_fault(told) or (f"{told[-1]}" if told else f"no answer within {_CONNECT_SECONDS:g} s")
    return ExchangeError(f"NATS at {where} cannot be reached: {cause}")
