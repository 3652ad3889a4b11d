"""What stands before every route: the gateway's token, and no request twice."""

import hmac
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from symfed_node.nonces import Nonces
from symfed_node.responses import answer
from symfed_wire.errors import SymfedError

_OPEN_PATHS: Final = ("/healthz", "/readyz")


class BearerToken:
    """Lets only the gateway in: every path but the probes' needs its token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["path"] in _OPEN_PATHS or self._is_let_in(scope):
            await self._app(scope, receive, send)
            return
        refused = answer(HTTPStatus.UNAUTHORIZED, "the bearer token of this node is missing or wrong")
        await refused(scope, receive, send)

    def _is_let_in(self, scope: Scope) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        return hmac.compare_digest(given, self._expected)


class OnlyOnce:
    """Refuses a request whose nonce was here before; one without a nonce is of the form that has none."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._nonces = Nonces()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        nonce = Headers(scope=scope).get("sym-nonce", "") if scope["type"] == "http" else ""
        if nonce:
            try:
                self._nonces.take(nonce)
            except SymfedError as error:
                await answer(HTTPStatus.BAD_REQUEST, str(error))(scope, receive, send)
                return
        await self._app(scope, receive, send)
