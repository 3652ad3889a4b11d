"""The gateway as an ASGI application: its routes, health, and one log line a request."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from symfed_api import federations, jobs, projects, unsupported, websocket
from symfed_api.answers import answer, install
from symfed_api.auth_middleware import Authentication
from symfed_api.connections import Connections
from symfed_api.customers import Customers
from symfed_api.gateway import Gateway, TheGateway
from symfed_api.limit import FailureLimit
from symfed_api.nodes import Nodes
from symfed_api.own_jobs import OwnJobs
from symfed_api.settings import Settings
from symfed_wire.kube import Kube

_logger = logging.getLogger(__name__)


def create_app(settings: Settings, kube: Kube) -> FastAPI:
    """The application on an API server; its customers are followed while it runs."""
    customers = Customers(kube)
    nodes = Nodes(kube, settings.node_url)
    connections = Connections(settings.websocket_connections)
    gateway = Gateway(settings, kube, customers, nodes, OwnJobs(kube), FailureLimit(), connections)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        following = asyncio.create_task(customers.follow())
        app.state.following = following
        yield
        await gateway.jobs.finish()
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await gateway.nodes.aclose()

    app = FastAPI(lifespan=lifespan, openapi_url=None, redirect_slashes=False)
    app.state.gateway = gateway
    install(app)
    # The last one added is the first one asked.
    app.add_middleware(Authentication, settings=settings, customers=customers)
    app.add_middleware(RequestLog)
    app.add_api_route("/healthz", _live)
    app.add_api_route("/readyz", _ready)
    for part in (federations, projects, jobs, websocket, unsupported):
        app.include_router(part.router)
    return app


async def _live(request: Request) -> Response:
    if request.app.state.following.done():
        return answer(503, "The directory of customers has stopped; the log says why")
    return answer()


async def _ready(gateway: TheGateway) -> Response:
    if gateway.customers.is_ready:
        return answer()
    return answer(503, "The customers are not known yet")


class RequestLog:
    """One line for each request: verb, path, status, milliseconds. No query, header or body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and log when the answer is out."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            # The path as sent is percent-encoded, so it cannot forge a line.
            path = scope["raw_path"].decode("ascii", "backslashreplace")
            level = logging.DEBUG if path in ("/healthz", "/readyz") else logging.INFO
            milliseconds = (time.perf_counter() - start) * 1000
            _logger.log(level, "%s %s %s %.0f ms", scope["method"], path, status or "-", milliseconds)
