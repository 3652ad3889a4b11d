"""The ASGI layer in front of the routes: reads the body up to its limit and admits signed requests only."""

import asyncio
import re
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from urllib.parse import unquote

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from symfed_api.answers import cluster_failure, failure
from symfed_api.auth import RequestHead, authenticate, check_head
from symfed_api.caller import Caller
from symfed_api.customers import Customers
from symfed_api.errors import (
    BadRequestError,
    CallError,
    NoSuchPathError,
    NotReadyError,
    SlowBodyError,
    TooLargeError,
)
from symfed_api.large_bodies import LargeBodies
from symfed_api.settings import Settings
from symfed_wire.kube_errors import KubeError

UNSIGNED_BODY_LIMIT_BYTES = 64 * 1024
_LARGE_BODY_BYTES = 256 * 1024

_HEALTH = ("/healthz", "/readyz")
_SIGNED = re.compile(r"/symetry/rest/([^/]+)/.+")
# A peer's operator has no customer's key: its token and sealing, or its identity key, stand for it.
_UNSIGNED = re.compile(r"/symetry/rest/[^/]+/fedml/[^/]+/(createPolicies|leave)")


class _DisconnectedError(Exception):
    """The client went away while it sent its body."""


class Authentication:
    """Authentication before routing, routing before decryption."""

    def __init__(self, app: ASGIApp, settings: Settings, customers: Customers) -> None:
        self._app = app
        self._settings = settings
        self._customers = customers
        self.large_bodies = LargeBodies(settings.large_bodies_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an admitted request on, with its caller and body in the request's state; answer any other."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        async with AsyncExitStack() as held:
            try:
                await self._admit(scope, receive, held)
            except _DisconnectedError:
                return
            except CallError as error:
                await failure(error)(scope, receive, send)
            except KubeError as error:
                await failure(cluster_failure(error))(scope, receive, send)
            else:
                await self._app(scope, receive, send)

    async def _admit(self, scope: Scope, receive: Receive, held: AsyncExitStack) -> None:
        """Read and check; `held` keeps the room for a large body until the request is answered."""
        path = scope["raw_path"].decode("latin-1")
        if "%2f" in path.lower():
            # Routing sees the path decoded: what is one part here would be two there.
            raise BadRequestError("An encoded slash is not possible in a path")
        if path in _HEALTH:
            return
        state = scope.setdefault("state", {})
        if _UNSIGNED.fullmatch(path):
            state["body"] = await self._read_body(scope, receive, UNSIGNED_BODY_LIMIT_BYTES)
            return
        below = _SIGNED.fullmatch(path)
        if below is None:
            raise NoSuchPathError("No such path; all calls are below /symetry/rest/<customer id>/")
        head = _head(scope, path, unquote(below[1]), self._settings.external_url)
        check_head(head, datetime.now(UTC))
        limit = self._settings.body_limit_bytes
        size = _announced(scope, limit)
        if size > _LARGE_BODY_BYTES:
            await self._hold(held, size)
        state["body"] = body = await self._read_body(scope, receive, limit)
        state["caller"] = await self._authenticate(head, body)

    async def _hold(self, held: AsyncExitStack, size: int) -> None:
        try:
            async with asyncio.timeout(self._settings.wait_seconds):
                await held.enter_async_context(self.large_bodies.held(size))
        except TimeoutError:
            raise NotReadyError("The gateway has too many large bodies at the moment") from None

    async def _read_body(self, scope: Scope, receive: Receive, limit: int) -> bytes:
        seconds = self._settings.body_seconds
        try:
            async with asyncio.timeout(seconds):
                return await _read(scope, receive, limit)
        except TimeoutError:
            raise SlowBodyError(f"The body did not come within {seconds:g} s") from None

    async def _authenticate(self, head: RequestHead, body: bytes) -> Caller:
        customer = await self._customers.find(head.customer)
        vendor_errors = self._settings.auth_vendor_errors
        if len(body) > _LARGE_BODY_BYTES:  # hashing it would hold up everybody else
            return await asyncio.to_thread(authenticate, head, body, customer, vendor_errors=vendor_errors)
        return authenticate(head, body, customer, vendor_errors=vendor_errors)


def _head(scope: Scope, path: str, customer: str, external_url: str) -> RequestHead:
    headers = Headers(scope=scope)
    host = headers.get("host", "")
    return RequestHead(
        verb=scope["method"],
        customer=customer,
        path=path,
        query=scope["query_string"].decode("latin-1"),
        origins=(f"http://{host}", f"https://{host}", external_url),
        authorization=headers.get("authorization", ""),
        date=headers.get("sym-date", ""),
        md5=headers.get("content-md5", ""),
        nonce=headers.get("sym-nonce", ""),
    )


def _announced(scope: Scope, limit: int) -> int:
    """How many bytes will come; the limit when the client does not say. Raises TooLargeError."""
    headers = Headers(scope=scope)
    text = headers.get("content-length", "")
    if not text.isdecimal():
        return limit if "transfer-encoding" in headers else 0
    if int(text) > limit:
        raise _too_large(limit)
    return int(text)


async def _read(scope: Scope, receive: Receive, limit: int) -> bytes:
    _announced(scope, limit)
    parts, size = list[bytes](), 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _DisconnectedError
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        if not message.get("more_body"):
            return b"".join(parts)


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"The body is larger than {limit} bytes; send it in parts")
