"""Connections to NATS that say in words why they fail."""

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import nats.errors
import nkeys
from nats.aio.client import Client

from symfed_node.exchange.base import ExchangeError, RefusedError

log = logging.getLogger(__name__)

_CONNECT_SECONDS = 10.0
_PING_SECONDS = 15  # a connection that is dead without a word is noticed within twice this
_REFUSALS = ("authorization violation", "authentication revoked", "authentication expired")


@dataclass(frozen=True)
class User:
    """One of the peer's two NATS users."""

    role: str
    jwt: str
    seed: str = field(repr=False)
    inbox: str


async def dial(
    hosts: tuple[str, ...],
    user: User,
    *,
    on_error: Callable[[Exception], None],
    on_closed: Callable[[], None],
) -> Client:
    """A connection that is not renewed behind the caller's back, so that refused credentials fail at once.

    Raises RefusedError when the server does not accept the user, ExchangeError when none answers.
    """
    faults: list[Exception] = []

    async def note(fault: Exception) -> None:
        faults.append(fault)
        log.warning("NATS, %s: %s", user.role, fault)
        on_error(fault)

    connection = Client()
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            await connection.connect(
                list(hosts),
                user_jwt_cb=user.jwt.encode,
                signature_cb=lambda nonce: _sign(user.seed, nonce),
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
        await connection.close()
        raise _in_words([*faults, error], hosts, user) from error
    except BaseException:
        await connection.close()
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
        return RefusedError(
            f"NATS at {where} refuses this peer's {user.role}: it was removed, or its grant is old"
        )
    told = [fault for fault in faults if not isinstance(fault, nats.errors.NoServersError | TimeoutError)]
    cause = f"{told[-1]}" if told else f"no answer within {_CONNECT_SECONDS:g} s"
    return ExchangeError(f"NATS at {where} cannot be reached: {cause}")
