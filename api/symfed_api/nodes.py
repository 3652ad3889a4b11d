"""The way out to the peers' nodes: one HTTP call, repeated while the node is starting."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx
from pydantic import ValidationError

from symfed_api.errors import NodeBrokeOffError
from symfed_api.objects import read_secret_text
from symfed_wire.envelope import Envelope
from symfed_wire.errors import SymfedError
from symfed_wire.kube import JsonObject, Kube
from symfed_wire.names import TOKEN_KEY, token_secret

_logger = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 1.0
_CONNECT_SECONDS = 5
# A node closes a connection that is idle for 5 s (uvicorn's default): none may be used that it is closing.
KEEPALIVE_SECONDS = 2
# For what is asked of a node beside the call itself: one that hangs must not hold the answer up.
BRIEF_SECONDS = 3
# A node is one customer's, the gateway's memory everybody's.
_ANSWER_BYTES = 64 * 1024 * 1024
_PASSED_ON = ("location", "sym-job-id", "retry-after")
# How a node's answer begins, and no proxy's or mesh's; reading it whole would take too long.
_ENVELOPE = re.compile(rb'\s*\{\s*"statusCode"\s*:')


class NodeUnavailableError(SymfedError):
    """The node could not be asked; it has certainly done nothing, or the call may be repeated.

    `may_have_arrived` says that the node may have seen the request, and with it the nonce.
    """

    reason = "NodeUnavailable"

    def __init__(self, seen: str, *, may_have_arrived: bool = False) -> None:
        super().__init__(seen)
        self.may_have_arrived = may_have_arrived


@dataclass(frozen=True)
class NodeCall:
    """A call as the node takes it: path and query as the client sent them, without the customer's prefix."""

    verb: str
    path: str
    query: str = ""
    body: bytes = b""
    content_type: str = ""
    request_id: str = ""
    nonce: str = ""
    answer_seconds: float = 300

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be sent again although the first one may have arrived."""
        return self.verb == "GET" or bool(self.request_id)


@dataclass(frozen=True)
class NodeAnswer:
    """A node's envelope as it came, with the headers that are passed on."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def was_not_done(self) -> bool:
        """Whether a 503 says that nothing was done and when to come back, as the gateway's own does."""
        return "retry-after" in self.headers

    @property
    def text(self) -> str:
        """The envelope's text; empty when it is none."""
        try:
            return Envelope.model_validate_json(self.body).status_string
        except ValidationError:
            return ""


class Nodes:
    """Calls the nodes behind their Services, each with its own bearer token."""

    def __init__(self, kube: Kube, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._kube = kube
        self._url = url
        self._tokens: dict[tuple[str, str], str] = {}
        # Nodes are many, and slow calls to some must not hold up the others: no limit on connections.
        limits = httpx.Limits(
            max_connections=None, max_keepalive_connections=100, keepalive_expiry=KEEPALIVE_SECONDS
        )
        self._http = httpx.AsyncClient(limits=limits, transport=transport, trust_env=False)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def call(
        self,
        namespace: str,
        name: str,
        call: NodeCall,
        *,
        seconds: float,
        is_hopeless: Callable[[], Awaitable[bool]] | None = None,
    ) -> NodeAnswer:
        """Call a node, again and again for that many seconds while it is starting and not hopeless.

        A nonce is sent once: a node that may have seen it would refuse the second, so its caller repeats.
        Raises NodeUnavailableError with what was seen last, and NodeBrokeOffError when the connection broke
        under a call that may not be repeated.
        """
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + seconds, _FIRST_PAUSE_SECONDS
        while True:
            try:
                return await self._call_once(namespace, name, call)
            except NodeUnavailableError as error:
                if loop.time() + pause > deadline or (call.nonce and error.may_have_arrived):
                    raise
                if is_hopeless is not None and await is_hopeless():
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def brief_values(self, namespace: str, name: str, path: str) -> JsonObject:
        """The values of a node's answer to a GET; nothing when it cannot be asked right now."""
        call = NodeCall("GET", path, answer_seconds=BRIEF_SECONDS)
        try:
            answer = await self.call(namespace, name, call, seconds=0)
            return Envelope.model_validate_json(answer.body).values
        except (NodeUnavailableError, NodeBrokeOffError, ValidationError) as error:
            _logger.info("node %s/%s: GET %s: %s", namespace, name, path, error)
            return {}

    async def _call_once(self, namespace: str, name: str, call: NodeCall) -> NodeAnswer:
        answer = await self._send(namespace, name, call, await self._token(namespace, name))
        if answer.status == httpx.codes.UNAUTHORIZED:
            # The peer was made anew meanwhile, and its token with it.
            self._tokens.pop((namespace, name), None)
            answer = await self._send(namespace, name, call, await self._token(namespace, name))
        if answer.status == httpx.codes.UNAUTHORIZED:
            self._tokens.pop((namespace, name), None)
            raise NodeUnavailableError("the node does not accept the token")
        if answer.status == httpx.codes.SERVICE_UNAVAILABLE and (call.is_repeatable or answer.was_not_done):
            raise NodeUnavailableError(f"the node answers 503: {answer.text}", may_have_arrived=True)
        return answer

    async def _send(self, namespace: str, name: str, call: NodeCall, token: str) -> NodeAnswer:
        base = self._url.format(name=name, namespace=namespace)
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": call.content_type,
            "sym-request-id": call.request_id,
            "sym-nonce": call.nonce,
        }
        # Back to the bytes that came in: httpx takes text in ASCII only.
        present = [(key.encode(), value.encode("latin-1")) for key, value in headers.items() if value]
        url = f"{base}{call.path}" + (f"?{call.query}" if call.query else "")
        connect = min(call.answer_seconds, _CONNECT_SECONDS)
        timeout = httpx.Timeout(call.answer_seconds, connect=connect, pool=None)
        try:
            async with self._http.stream(
                call.verb, url, content=call.body or None, headers=present, timeout=timeout
            ) as response:
                body = await _read(response)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise NodeUnavailableError("the node accepts no connections") from None
        except httpx.TransportError as error:
            seen = f"the connection to the node broke off ({type(error).__name__})"
            is_repeatable = call.is_repeatable and not isinstance(error, httpx.TimeoutException)
            raise _unanswered(seen, is_repeatable=is_repeatable) from error
        if not _ENVELOPE.match(body):
            seen = f"HTTP {response.status_code} came from something before the node"
            raise _unanswered(seen, is_repeatable=call.is_repeatable)
        passed_on = {name: response.headers[name] for name in _PASSED_ON if name in response.headers}
        return NodeAnswer(response.status_code, body, passed_on)

    async def _token(self, namespace: str, name: str) -> str:
        token = self._tokens.get((namespace, name))
        if token is None:
            token = await read_secret_text(self._kube, namespace, token_secret(name), TOKEN_KEY)
            if token is None:
                raise NodeUnavailableError("the node is not made yet")
            self._tokens[namespace, name] = token
        return token


def _unanswered(seen: str, *, is_repeatable: bool) -> NodeUnavailableError | NodeBrokeOffError:
    """What becomes of a call that the node may have got, and did not answer."""
    if is_repeatable:
        return NodeUnavailableError(seen, may_have_arrived=True)
    return NodeBrokeOffError(f"{seen}; whether it did what was asked is not known")


async def _read(response: httpx.Response) -> bytes:
    parts, size = list[bytes](), 0
    async for part in response.aiter_bytes():
        parts.append(part)
        size += len(part)
        if size > _ANSWER_BYTES:
            raise NodeBrokeOffError(
                f"The node's answer is larger than {_ANSWER_BYTES} bytes; ask for less at once"
            )
    return b"".join(parts)
