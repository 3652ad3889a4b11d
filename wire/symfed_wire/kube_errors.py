"""What the API server can refuse a request with."""

from typing import ClassVar

import httpx
from pydantic import JsonValue

from symfed_wire.errors import SymfedError


class KubeError(SymfedError):
    """The API server refused a request, or could not be reached (`status` 0)."""

    reason = "KubernetesError"
    status: ClassVar[int] = 0


class NotFoundError(KubeError):
    """The object, or its namespace, is not there."""

    reason = "NotFound"
    status = 404


class ConflictError(KubeError):
    """The object exists already, was changed meanwhile, or is another one by its uid."""

    reason = "Conflict"
    status = 409


class ForbiddenError(KubeError):
    """RBAC, or a namespace that is terminating, does not allow it."""

    reason = "Forbidden"
    status = 403


class InvalidError(KubeError):
    """The object breaks its schema or a validation rule."""

    reason = "Invalid"
    status = 422


class WatchExpiredError(KubeError):
    """A watch cannot go on from this resourceVersion; list again."""

    reason = "WatchExpired"
    status = 410


_ERRORS: dict[int, type[KubeError]] = {
    error.status: error
    for error in (NotFoundError, ConflictError, ForbiddenError, InvalidError, WatchExpiredError)
}


def error_of(response: httpx.Response) -> KubeError:
    """The error of an answer that refuses."""
    try:
        status = response.json()
    except ValueError:
        status = {}
    return error_of_status(response.status_code, status if isinstance(status, dict) else {})


def error_of_status(code: int, status: dict[str, JsonValue]) -> KubeError:
    """The error of a status code and the API server's Status object."""
    message = str(status.get("message") or f"HTTP {code}")
    return _ERRORS.get(code, KubeError)(message)
