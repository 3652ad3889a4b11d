"""Connections to NATS that say in words why they fail."""

import base64
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import token_hex

import nkeys

from symfed_node.exchange.base import ExchangeError, LoginRefusedError, RefusedError
from symfed_wire.join import NatsGrant
from symfed_wire.nats_client import CautiousClient, LoginOptions, NotConnectedError, connect, login_options
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
) -> CautiousClient:
    """A connection of one of the peer's users; see `connect`.

    Raises:
        RefusedError: the server does not accept the user that this peer was granted.
        LoginRefusedError: the server does not accept the login that all members share.
        ExchangeError: none answers, or not in a way that can be trusted.
        MalformedError: the login has not the form that it must have.
    """

    def note(fault: Exception) -> None:
        log.warning("NATS, %s: %s", user.role, fault)
        on_error(fault)

    try:
        return await connect(
            hosts,
            user.options(),
            name=f"symfed-node {user.role}",
            inbox=user.inbox,
            seconds=_CONNECT_SECONDS,
            on_error=note,
            on_closed=on_closed,
            ping_seconds=_PING_SECONDS,
        )
    except NotConnectedError as error:
        raise _in_words(error, ", ".join(hosts), user) from error


def _sign(seed: str, nonce: str) -> bytes:
    signature: bytes = nkeys.from_seed(bytearray(seed.encode())).sign(nonce.encode())
    return base64.b64encode(signature)


def _in_words(error: NotConnectedError, where: str, user: User) -> ExchangeError:
    if error.says(*_REFUSALS):
        if user.is_granted:
            return RefusedError(
                f"NATS at {where} refuses this peer's {user.role}: it was removed, or its grant is old"
            )
        return LoginRefusedError(
            f"NATS at {where} refuses the federation's credentials: the admin must set right the Secret of "
            "spec.nats.credentialsSecretRef; a peer that was invited with others must be made again"
        )
    return ExchangeError(f"NATS at {where} cannot be reached: {error.cause(_CONNECT_SECONDS)}")
