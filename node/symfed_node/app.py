"""The node's HTTP surface: what the gateway forwards, answered in the envelope (wire.md, section 2)."""

from __future__ import annotations

import asyncio
import hmac
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from pydantic import JsonValue
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from symfed_node.answers import Values, sml_info, sync_stats
from symfed_node.errors import NodeError, NoSuchJobError, NoSuchProjectError, NotSupportedError, TooLargeError
from symfed_node.exchange.loop import Exchanger
from symfed_node.jobs import Job, Jobs, State
from symfed_node.nonces import Nonces
from symfed_node.project import Project, check_build, scope
from symfed_wire.envelope import envelope
from symfed_wire.errors import MalformedError, SymfedError
from symfed_wire.frames import StringList, parse_context, parse_frame
from symfed_wire.node_config import NodeConfig

log = logging.getLogger(__name__)

_OPEN_PATHS: Final = ("/healthz", "/readyz")
_REQUEST_ID_LENGTH: Final = 64


@dataclass(frozen=True)
class Node:
    """What the routes work with."""

    config: NodeConfig
    token: str
    project: Project
    jobs: Jobs
    exchanger: Exchanger | None
    max_body_bytes: int


def build_app(node: Node) -> Starlette:
    """The ASGI application of one node."""
    routes = Routes(node)
    project, model = "/projects/{pid}", "/projects/{pid}/models/{id}"
    return Starlette(
        routes=[
            Route("/healthz", routes.health),
            Route("/readyz", routes.health),
            Route(f"{project}/learn", routes.learn, methods=["POST"]),
            Route(f"{project}/info", routes.info),
            Route(f"{project}/build", routes.build, methods=["POST"]),
            Route(model, routes.model),
            Route(model, routes.delete_model, methods=["DELETE"]),
            Route("/jobs", routes.list_jobs),
            Route("/jobs/{number}", routes.job),
            Route("/jobs/{number}", routes.delete_job, methods=["DELETE"]),
            Route("/fedml/{pid}/syncStats", routes.sync_stats),
            Route("/fedml/{pid}/fullSyncRequest", routes.full_sync),
            Route("/fedml/{pid}/getErrorLog", routes.error_log),
            Route("/fedml/{pid}/getSyncLog", routes.sync_log),
        ],
        middleware=[Middleware(BearerToken, token=node.token), Middleware(OnlyOnce)],
        exception_handlers={SymfedError: on_error, HTTPException: on_http_error, Exception: on_crash},
    )


class Routes:
    """One method a route; each answers with an envelope or raises an error that becomes one."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def health(self, request: Request) -> Response:
        """Alive and started: the port opens once the journal is read. A broken journal needs a restart."""
        if self._node.project.is_usable:
            return answer(HTTPStatus.OK)
        return answer(HTTPStatus.SERVICE_UNAVAILABLE, "the journal cannot be written: restart the node")

    async def learn(self, request: Request) -> Response:
        """Add a DataFrame's rows."""
        self._check_project(request)
        request_id = request.headers.get("sym-request-id", "")
        if len(request_id) > _REQUEST_ID_LENGTH:
            raise MalformedError(f"sym-request-id is longer than {_REQUEST_ID_LENGTH} characters")
        body = await self._body(request)
        done = await asyncio.to_thread(
            lambda: self._node.project.learn(lambda: parse_frame(body), request_id)
        )
        return answer(HTTPStatus.OK, values={"learned": done.learned, "skipped": done.skipped})

    async def info(self, request: Request) -> Response:
        """What the project holds."""
        self._check_project(request)
        node = self._node
        values = sml_info(node.config, node.project, node.exchanger, use_local=_use_local(request))
        return answer(HTTPStatus.OK, values={"smlInfo": values})

    async def build(self, request: Request) -> Response:
        """Start building a model."""
        self._check_project(request)
        algorithm, model_id = request.query_params.get("algo", ""), request.query_params.get("modelid", "")
        if not model_id:
            raise MalformedError("modelid is missing in the query")
        use_local = _use_local(request)
        context = parse_context(await self._body(request))
        project = self._node.project
        check_build(project.view(use_local=use_local), algorithm, context)  # a bad request fails here and now

        def work() -> Values:
            return {"modelInfo": project.build(algorithm, model_id, context, use_local=use_local)}

        job = self._node.jobs.start("build", f"{algorithm} {model_id}", work)
        headers = {"Location": f"/jobs/{job.id}", "sym-job-id": str(job.id)}
        return answer(HTTPStatus.ACCEPTED, "Job Created", headers=headers)

    async def model(self, request: Request) -> Response:
        """A built model."""
        self._check_project(request)
        model = self._node.project.models.get(scope(_use_local(request)), request.path_params["id"])
        return answer(HTTPStatus.OK, values={"modelInfo": model})

    async def delete_model(self, request: Request) -> Response:
        """Forget a model."""
        self._check_project(request)
        where, model_id = scope(_use_local(request)), request.path_params["id"]
        await asyncio.to_thread(self._node.project.models.delete, where, model_id)
        return answer(HTTPStatus.OK)

    async def list_jobs(self, request: Request) -> Response:
        """Every job of this node."""
        infos: list[JsonValue] = [job.info(self._owner) for job in self._node.jobs.all()]
        return answer(HTTPStatus.OK, values={"jobinfoList": infos})

    async def job(self, request: Request) -> Response:
        """Where a job stands; a failed one answers as its request would have."""
        job = self._node.jobs.get(_job_number(request))
        info: Values = {"jobinfo": job.info(self._owner)}
        if job.state is State.RUNNING:
            return answer(HTTPStatus.ACCEPTED, "Job still running", info)
        if job.state is State.FAILED:
            return _failed_job(job, info)
        return answer(HTTPStatus.OK, "Job is finished", {**info, **job.values})

    async def delete_job(self, request: Request) -> Response:
        """Forget a job that is finished."""
        is_gone = self._node.jobs.delete(_job_number(request))
        if is_gone:
            return answer(HTTPStatus.OK, "Job killed")
        return answer(HTTPStatus.ACCEPTED, "Job cannot be killed")

    async def sync_stats(self, request: Request) -> Response:
        """What was exchanged, and what is in the sum."""
        exchanger = self._exchanger(request)
        stats = sync_stats(self._node.project, exchanger.rounds, datetime.now(UTC))
        return answer(HTTPStatus.OK, values={"fedSyncStats": stats})

    async def full_sync(self, request: Request) -> Response:
        """Publish now and ask the others to."""
        self._exchanger(request).request_sync()
        return answer(HTTPStatus.OK)

    async def error_log(self, request: Request) -> Response:
        """The last errors of the exchange."""
        lines = self._exchanger(request).rounds.log.errors
        return answer(HTTPStatus.OK, values={"stringList": StringList(tuple(lines)).to_json()})

    async def sync_log(self, request: Request) -> Response:
        """What the exchange did last."""
        lines = self._exchanger(request).rounds.log.events
        return answer(HTTPStatus.OK, values={"stringList": StringList(tuple(lines)).to_json()})

    @property
    def _owner(self) -> str:
        return self._node.config.customer

    def _exchanger(self, request: Request) -> Exchanger:
        self._check_project(request)
        if self._node.exchanger is None:
            raise NotSupportedError(f"project [{self._node.config.project}] belongs to no federation")
        return self._node.exchanger

    def _check_project(self, request: Request) -> None:
        project = request.path_params["pid"]
        if project != self._node.config.project:
            raise NoSuchProjectError(project, self._node.config.customer)

    async def _body(self, request: Request) -> bytes:
        """The request's body; TooLargeError as soon as it passes the limit."""
        limit, parts, size = self._node.max_body_bytes, list[bytes](), 0
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise TooLargeError(f"the body has more than {limit} bytes: send the rows in several parts")
            parts.append(part)
        return b"".join(parts)


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


def answer(
    status: int, text: str = "OK", values: Values | None = None, headers: dict[str, str] | None = None
) -> Response:
    """An envelope as a response."""
    content = envelope(status, text, values).to_json()
    return Response(content, status, headers=headers, media_type="application/json")


async def on_error(request: Request, error: Exception) -> Response:
    """What we know goes wrong: its words, and the status that it has (400 unless it says otherwise)."""
    status = error.status if isinstance(error, NodeError) else HTTPStatus.BAD_REQUEST
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("%s %s: %s", request.method, request.url.path, error)
    return answer(status, str(error))


async def on_http_error(request: Request, error: Exception) -> Response:
    """A path or method that is not there."""
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else None
    return answer(status, HTTPStatus(status).phrase, headers=headers)


async def on_crash(request: Request, error: Exception) -> Response:
    """A fault of ours; Starlette raises it again, so that it is logged with its trace."""
    return answer(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error: see the node's log")


def _failed_job(job: Job, info: Values) -> Response:
    error = job.error
    if not isinstance(error, SymfedError):
        return answer(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error: see the node's log", info)
    status = error.status if isinstance(error, NodeError) else HTTPStatus.BAD_REQUEST
    return answer(status, str(error), info)


def _job_number(request: Request) -> int:
    text = request.path_params["number"]
    if not (text.isascii() and text.isdigit()):
        raise NoSuchJobError
    return int(text[:20])


def _use_local(request: Request) -> bool:
    text = request.query_params.get("useLocal", "false").lower()
    if text not in ("true", "false"):
        raise MalformedError(f"useLocal is {text!r}: it must be true or false")
    return text == "true"
