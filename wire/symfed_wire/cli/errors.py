"""What a command that failed says: one line, with what to do where that is known."""

from __future__ import annotations

from symfed_wire.client import ApiError, ConnectionFailedError, NotAnEnvelopeError
from symfed_wire.errors import SymfedError, UnsealError

_CHECK_ADDRESS = "check the gateway's address (--url, SYMFED_URL or the profile)"
_UNKNOWN_CALL = f"this gateway does not know the call: {_CHECK_ADDRESS}"
_STATUS_HINTS = {
    401: "check customer and secret key (SYMFED_CUSTOMER, SYMFED_SECRET_KEY or the profile)",
    404: _UNKNOWN_CALL,
    405: _UNKNOWN_CALL,
    413: "send fewer rows at once with a smaller --batch-rows",
    503: "try again in a moment, or with a larger --patience",
}


class UsageError(SymfedError):
    """The command cannot be done as it was given; ends with status 2."""

    reason = "Usage"


class ConfigError(SymfedError):
    """What the command needs to know of its surroundings is missing or wrong."""

    reason = "Config"


def explain(error: SymfedError) -> str:
    """One line: what happened, and what to do where that is known."""
    hint = _hint(error)
    line = " ".join(str(error).split()).rstrip(" ,")  # the contract's text for 409 ends so
    return f"{line} - {hint}" if hint else line


def _hint(error: SymfedError) -> str:
    if isinstance(error, ConnectionFailedError | NotAnEnvelopeError):
        return f"{_CHECK_ADDRESS} and that the gateway runs"
    if isinstance(error, UnsealError):
        return "the password is wrong, or the text was changed on its way"
    if not isinstance(error, ApiError):
        return ""
    if error.status == 403 and "createJoin" in error.call:
        return (
            "ask the federation's admin for a new invitation; each serves one peer, once, for a limited time"
        )
    if error.status == 409 and "with other members" in error.text:
        return (
            "they go first: by a `symfed delete` of theirs, or `kubectl delete federationpeer remote-…` here"
        )
    if error.status == 409 and error.call.startswith("POST") and "getEncrypted" not in error.call:
        return "`symfed projects` lists the projects there are"
    return _STATUS_HINTS.get(error.status, "")
