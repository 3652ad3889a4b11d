"""The ASGI layer in front of the routes: reads the body up to its limit and admits signed requests only."""

import asyncio
import re
from datetime import UTC, datetime
from urllib.parse import unquote

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from symfed_api.answers import cluster_failure, failure
from symfed_api.auth import RequestHead, authenticate, check_head
from symfed_api.caller import Caller
from symfed_api.customers import Customers
from symfed_api.errors import BadRequestError, CallError, NoSuchPathError, TooLargeError
from symfed_api.settings import Settings
from symfed_wire.kube import KubeError

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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an admitted request on, with its caller in the request's state; answer any other."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await self._admit(scope, receive)
        except _DisconnectedError:
            return
        except CallError as error:
            await failure(error)(scope, receive, send)
        except KubeError as error:
            await failure(cluster_failure(error))(scope, receive, send)
        else:
            await self._app(scope, _replay(body, receive), send)

    async def _admit(self, scope: Scope, receive: Receive) -> bytes:
        path = scope["raw_path"].decode("latin-1")
        if "%2f" in path.lower():
            # Routing sees the path decoded: what is one part here would be two there.
            raise BadRequestError("An encoded slash is not possible in a path")
        if path in _HEALTH:
            return b""
        if _UNSIGNED.fullmatch(path):
            return await _read_body(scope, receive, UNSIGNED_BODY_LIMIT_BYTES)
        below = _SIGNED.fullmatch(path)
        if below is None:
            raise NoSuchPathError("No such path; all calls are below /symetry/rest/<customer id>/")
        head = _head(scope, path, unquote(below[1]), self._settings.external_url)
        check_head(head, datetime.now(UTC))
        body = await _read_body(scope, receive, self._settings.body_limit_bytes)
        scope.setdefault("state", {})["caller"] = await self._authenticate(head, body)
        return body

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


async def _read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    too_large = TooLargeError(f"The body is larger than {limit} bytes; send it in parts")
    announced = Headers(scope=scope).get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise too_large
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _DisconnectedError
        body += message.get("body", b"")
        if len(body) > limit:
            raise too_large
        if not message.get("more_body"):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body once more for the handler, then whatever the connection says."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed
