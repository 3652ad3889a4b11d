"""Connections to NATS that say in words why they fail."""

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from secrets import token_hex

from nats.aio.client import Client

from symfed_operator.backends.base import (
    AuthorizationFailedError,
    BackendError,
    TooManyConnectionsError,
    UnreachableError,
)
from symfed_operator.backends.nats.account import operator_user
from symfed_operator.backends.nats.keys import new_user_seed, public_key, sign
from symfed_wire.nats_client import LoginOptions, NotConnectedError, connect, tls_fault

_REFUSED = "authorization violation"
_FULL = "maximum account active connections"


def made_user(token: str, seed: str) -> LoginOptions:
    """The login of a user that a JWT makes, with the user's seed."""
    return LoginOptions(
        user_jwt_cb=token.encode,
        signature_cb=lambda nonce: base64.b64encode(sign(seed, nonce.encode())),
    )


async def dial(
    hosts: tuple[str, ...],
    login: LoginOptions,
    *,
    who: str,
    hint: str,
    timeout: float,
    on_error: Callable[[Exception], None] = lambda fault: None,
) -> Client:
    """A connection for one purpose; see `connect`.

    Args:
        login: see `made_user` and `login_options`.
        who: whose credentials these are, for the message of an error.
        hint: what to do when they are refused.
        timeout: seconds for all of it, over all hosts.
        on_error: what the server says beside its answers, also later: that something is not allowed.

    Raises:
        AuthorizationFailedError: a server is there and refuses these credentials.
        TooManyConnectionsError: the account has all the connections that it may have.
        UnreachableError: no server answers.
    """
    inbox = f"_INBOX.{token_hex(16)}"  # in a shared account nobody is to guess it
    try:
        return await connect(
            hosts, login, name="symfed-operator", inbox=inbox, seconds=timeout, on_error=on_error
        )
    except NotConnectedError as error:
        raise _in_words(error, ", ".join(hosts), who, hint, timeout) from error


@asynccontextmanager
async def account_connection(
    hosts: tuple[str, ...], account: str, signing: str, *, name: str, timeout: float
) -> AsyncIterator[Client]:
    """A short connection as the operator's own user in an account, which its two seeds give."""
    seed = new_user_seed()
    token = operator_user(public_key(seed), account, signing, datetime.now(UTC))
    connection = await dial(
        hosts,
        made_user(token, seed),
        who=f"the operator's user in the account of {name} ({public_key(account)})",
        hint="Check that Secret symfed-nats-operator belongs to this server, and that the clock of the"
        " operator's machine is right",
        timeout=timeout,
    )
    try:
        yield connection
    finally:
        await connection.close()


def _in_words(error: NotConnectedError, where: str, who: str, hint: str, timeout: float) -> BackendError:
    if error.says(_REFUSED):
        return AuthorizationFailedError(f"NATS at {where} refuses {who}. {hint}")
    if error.says(_FULL):
        return TooManyConnectionsError(
            f"NATS at {where} takes no more connections for {who}: the account has as many as it may. "
            "The member holds them, by its node or by something else with its keys: stop that, or remove it"
        )
    if fault := tls_fault(error.faults):
        return UnreachableError(f"NATS at {where} cannot be reached: {fault}")
    cause = error.cause(timeout)
    return UnreachableError(
        f"NATS at {where} cannot be reached: {cause}. Check that the server runs and the address is right"
    )
