"""Answers and errors as envelopes (wire.md, section 2)."""

import logging
from http import HTTPStatus

from pydantic import JsonValue
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from symfed_node.errors import NodeError
from symfed_node.jobs import Job
from symfed_wire.envelope import envelope
from symfed_wire.errors import SymfedError

log = logging.getLogger(__name__)

INTERNAL_ERROR = "internal error: see the node's log"


def answer(
    status: int,
    text: str = "OK",
    values: dict[str, JsonValue] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """An envelope as a response."""
    content = envelope(status, text, values).to_json()
    return Response(content, status, headers=headers, media_type="application/json")


def job_created(job: Job) -> Response:
    """Where to ask for a job that was started."""
    headers = {"Location": f"/jobs/{job.id}", "sym-job-id": str(job.id)}
    return answer(HTTPStatus.ACCEPTED, "Job Created", headers=headers)


def job_failed(job: Job, values: dict[str, JsonValue]) -> Response:
    """A failed job answers as its request would have."""
    error = job.error
    if not isinstance(error, SymfedError):
        return answer(HTTPStatus.INTERNAL_SERVER_ERROR, INTERNAL_ERROR, values)
    return answer(_status(error), str(error), values)


async def on_error(request: Request, error: Exception) -> Response:
    """What we know goes wrong: its words, and the status that it has (400 unless it says otherwise)."""
    status = _status(error)
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
    return answer(HTTPStatus.INTERNAL_SERVER_ERROR, INTERNAL_ERROR)


def _status(error: Exception) -> HTTPStatus:
    return error.status if isinstance(error, NodeError) else HTTPStatus.BAD_REQUEST
