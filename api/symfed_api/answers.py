"""Every answer is an envelope: of a handler, of an error, and of what routing refuses."""

import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import JsonValue
from starlette.exceptions import HTTPException
from starlette.responses import Response

from symfed_api.errors import BadRequestError, CallError, NotReadyError, TakenError
from symfed_wire.envelope import envelope
from symfed_wire.kube_errors import ConflictError, InvalidError, KubeError
from symfed_wire.map_keys import FederationMapError

_logger = logging.getLogger(__name__)


def answer(
    status: int = 200,
    text: str = "OK",
    values: dict[str, JsonValue] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An envelope as a response."""
    body = envelope(status, text, values).to_json()
    return Response(body, status, dict(headers or {}), "application/json")


def job_created(number: int, base: str) -> Response:
    """A job was begun; `base` is the address of the caller's own calls."""
    headers = {"Location": f"{base}/jobs/{number}", "sym-job-id": str(number)}
    return answer(202, "Job Created", headers=headers)


def failure(error: CallError) -> Response:
    """The answer to a call that failed."""
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return answer(error.status, error.text, error.values, headers)


def cluster_failure(error: KubeError) -> CallError:
    """What the Kubernetes API server's refusal means to a caller.

    Its rules' own words go out (they name the field and what it may be); anything else is for the log.
    """
    if isinstance(error, InvalidError):
        return BadRequestError(str(error))
    if isinstance(error, ConflictError):
        return TakenError("The object was changed by somebody else meanwhile; send the request again")
    return NotReadyError("The cluster cannot serve this at the moment; send the request again")


def install(app: FastAPI) -> None:
    """Let every way a call can fail end in an envelope."""
    app.add_exception_handler(CallError, _on_call_error)
    app.add_exception_handler(KubeError, _on_kube_error)
    app.add_exception_handler(FederationMapError, _on_map_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(Exception, _on_anything)


def unexpected(error: Exception) -> Response:
    """The answer to a fault of the gateway itself; its cause is for the log."""
    _logger.error("unexpected error", exc_info=error)
    return answer(500, "Internal error; the gateway's log says more")


async def _on_call_error(_: Request, error: Exception) -> Response:
    return failure(error) if isinstance(error, CallError) else unexpected(error)


async def _on_kube_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, KubeError):
        return unexpected(error)
    failed = cluster_failure(error)
    if failed.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _logger.warning("Kubernetes API: %s: %s", error.reason, error)
    return failure(failed)


async def _on_map_error(_: Request, error: Exception) -> Response:
    return answer(400, str(error))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        return unexpected(error)
    texts = {
        404: f"No such path: {request.url.path}",
        405: f"{request.method} is not possible on {request.url.path}",
    }
    return answer(error.status_code, texts.get(error.status_code, str(error.detail)), headers=error.headers)


async def _on_validation_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        return unexpected(error)
    faults = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
    return answer(422, "; ".join(faults))


async def _on_anything(_: Request, error: Exception) -> Response:
    return unexpected(error)
