"""What node and operator share of a NATS connection: how it is made, and what is said when it is not.

Only these two have nats-py; nothing else in wire imports this file.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, TypedDict

import nats.errors
import nkeys
from nats.aio.client import DEFAULT_FLUSH_TIMEOUT, PING_PROTO, Client
from nats.aio.msg import Msg
from nats.protocol.parser import AWAITING_MSG_PAYLOAD, Parser

from symfed_wire.errors import MalformedError
from symfed_wire.node_config import NatsLogin

_USER_SEED: Final = "SU"
# OpenSSL's codes of X509_verify_cert: a date that is over, and names or addresses that are others.
_EXPIRED: Final = (9, 10)
_OTHER_NAME: Final = (62, 64)
_CLOSE_SECONDS: Final = 1.0
LONGEST_MESSAGE: Final = 20 << 20  # a federation document has 16 MiB at most
_LONGEST_LINE: Final = 1 << 20
_CA_MISSING: Final = "put the PEM text of its CA as ca.crt into the Secret with the credentials of NATS"


class LoginOptions(TypedDict, total=False):
    """The arguments of nats-py's `connect` by which one logs in."""

    user: str
    password: str
    token: str
    nkeys_seed_str: str
    tls: ssl.SSLContext
    user_jwt_cb: Callable[[], bytes]
    signature_cb: Callable[[str], bytes]


class _BoundedParser(Parser):
    """nats-py's, which else keeps what a server sends until it is whole, whatever its length."""

    async def parse(self, data: bytes = b"") -> None:
        await super().parse(data)
        longest = LONGEST_MESSAGE if self.state == AWAITING_MSG_PAYLOAD else _LONGEST_LINE
        if len(self.buf) > longest or self.needed > LONGEST_MESSAGE:
            raise nats.errors.ProtocolError("a message has no end")


class CautiousClient(Client):
    """nats-py's client for servers that may be anybody's, since another party to a federation may name them.

    It tells no password in plain text to who answers a tls:// address, speaks no WebSockets, and keeps no
    message without end. What is cancelled ends, and a flush comes after all that was to be written.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ps = _BoundedParser(self)

    def _setup_server_pool(self, connect_url: list[str]) -> None:
        super()._setup_server_pool(connect_url)
        if any(server.uri.scheme not in ("nats", "tls") for server in self._server_pool):
            raise nats.errors.Error("an address is neither nats:// nor tls://")

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        server = self._current_server
        if server is not None and server.uri.scheme == "tls" and not info.get("tls_required"):
            raise nats.errors.Error("the server has no TLS, which a tls:// address asks for")
        if info.get("tls_verify"):
            raise nats.errors.Error("the server asks for a client's certificate, and symfed has none")
        await super()._process_info(info, initial_connection)

    async def _process_connect_init(self) -> None:
        await super()._process_connect_init()
        if not self.is_connected:  # a server that hangs up is taken for one that answers
            raise nats.errors.Error("the server ends the connection without a word")

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        timeout: float = 0.5,
        old_style: bool = False,
        headers: dict[str, Any] | None = None,
    ) -> Msg:
        with _keeping_cancellation():
            return await super().request(subject, payload, timeout, old_style, headers)

    async def flush(self, timeout: float = DEFAULT_FLUSH_TIMEOUT) -> None:
        with _keeping_cancellation():
            await super().flush(timeout)  # type: ignore[arg-type]  # a float will do

    async def _send_ping(self, future: asyncio.Future[bool] | None = None) -> None:
        # nats-py's PING overtakes what waits to be written, and so its PONG would say nothing of that.
        self._pongs.append(asyncio.Future() if future is None else future)
        await self._send_command(PING_PROTO)
        await self._flush_pending()


@contextmanager
def _keeping_cancellation() -> Iterator[None]:
    """Cancels what was cancelled in the block, though the block has dropped that.

    nats-py drops a cancellation in some places, and Python 3.11's `wait_for` one that comes with the result.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        yield
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError


class NotConnectedError(Exception):
    """No connection was made; `faults` is what the client and the servers said, in order."""

    def __init__(self, faults: Sequence[Exception]) -> None:
        super().__init__()
        self.faults = faults

    def says(self, *words: str) -> bool:
        """Whether one of the faults has one of these words, in lower case."""
        return any(word in str(fault).lower() for fault in self.faults for word in words)

    def cause(self, seconds: float) -> str:
        """Why, where it is no refusal, and what to do about TLS; `seconds` had it time."""
        # What the last host that was tried said tells more than "no servers available", which comes after it.
        told = [
            fault for fault in self.faults if not isinstance(fault, nats.errors.NoServersError | TimeoutError)
        ]
        return tls_fault(told) or (f"{told[-1]}" if told else f"no answer within {seconds:g} s")


async def connect(
    hosts: tuple[str, ...],
    login: LoginOptions,
    *,
    name: str,
    inbox: str,
    seconds: float,
    on_error: Callable[[Exception], None],
    on_closed: Callable[[], None] = lambda: None,
    ping_seconds: int = 120,
) -> CautiousClient:
    """A connection that is not renewed behind the caller's back, so that refused credentials fail at once.

    Args:
        name: the client's, for who looks at the server.
        inbox: the subject below which answers come.
        seconds: for all of it, over all hosts.
        on_error: what the server says beside its answers, also later: that something is not allowed.
        ping_seconds: a connection that is dead without a word is noticed within twice this.

    Raises NotConnectedError.
    """
    faults: list[Exception] = []

    async def note(fault: Exception) -> None:
        faults.append(fault)
        on_error(fault)

    async def closed() -> None:
        on_closed()

    connection = CautiousClient()
    try:
        async with asyncio.timeout(seconds):
            with _keeping_cancellation():
                await connection.connect(
                    list(hosts),
                    **login,
                    inbox_prefix=inbox,
                    name=name,
                    allow_reconnect=False,
                    max_reconnect_attempts=1,  # one try a host; the client would else try for minutes
                    reconnect_time_wait=0,
                    ping_interval=ping_seconds,
                    error_cb=note,
                    closed_cb=closed,
                )
    except (nats.errors.Error, OSError, TimeoutError) as error:
        await _let_go(connection)
        raise NotConnectedError([*faults, error]) from error
    except BaseException:
        await _let_go(connection)
        raise
    return connection


async def _let_go(connection: Client) -> None:
    """Close a connection that was not made.

    nats-py waits for ever for that if TLS has failed, and fails itself if an address was none at all.
    """
    with suppress(TimeoutError, AssertionError):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await connection.close()


def login_options(login: NatsLogin) -> LoginOptions:
    """How to log in to a NATS that somebody else runs.

    Raises MalformedError for a seed or a CA that is none.
    """
    options = LoginOptions()
    if login.user is not None and login.password is not None:
        options["user"], options["password"] = login.user, login.password
    if login.token is not None:
        options["token"] = login.token
    if login.nkey_seed is not None:
        options["nkeys_seed_str"] = _checked_seed(login.nkey_seed.strip())
    if login.ca is not None:
        options["tls"] = _trusting(login.ca)
    return options


def tls_fault(faults: Iterable[BaseException]) -> str:
    """What to do about the first of some errors that is one of TLS; empty when none is."""
    for fault in faults:
        if isinstance(fault, ssl.SSLCertVerificationError):
            return f"its certificate is refused ({fault.verify_message}): {_remedy(fault.verify_code)}"
        if isinstance(fault, ssl.SSLError):
            said = str(fault.args[-1]) if fault.args else type(fault).__name__
            return f"TLS fails ({said}): check that its port speaks TLS as NATS does"
    return ""


def _remedy(code: int) -> str:
    if code in _OTHER_NAME:
        return "use an address that is in the certificate"
    return "renew it, or check the clock here" if code in _EXPIRED else _CA_MISSING


def _checked_seed(seed: str) -> str:
    try:
        nkeys.from_seed(bytearray(seed.encode()))
    except (nkeys.NkeysError, ValueError):
        seed = ""
    if not seed.startswith(_USER_SEED):
        raise MalformedError("the NKEY seed for NATS is not that of a user (SU…)")
    return seed


def _trusting(ca: str) -> ssl.SSLContext:
    """Trusts this CA and no other one."""
    try:
        context = ssl.create_default_context(cadata=ca)
    except (ssl.SSLError, ValueError):
        raise MalformedError("the CA for NATS (ca.crt) is not a certificate in PEM form") from None
    # From Python 3.13 on it is set, and own CAs often lack the extensions that it asks for; Go does not ask.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
