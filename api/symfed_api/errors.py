"""What a call can end with when it does not succeed; each knows its HTTP status and its text."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import JsonValue

from symfed_wire.errors import SymfedError


class CallError(SymfedError):
    """The call ends with this status; the message is the envelope's `statusString`."""

    reason: str = "CallFailed"
    status: ClassVar[int] = 500

    def __init__(
        self,
        text: str,
        values: Mapping[str, JsonValue] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(text)
        self.text = text
        self.values = dict(values or {})
        self.retry_after = retry_after


class BadRequestError(CallError):
    """The request itself is wrong."""

    reason = "BadRequest"
    status = 400


class NoSuchJobError(BadRequestError):
    """There is no job of this number; in the contract's words."""

    reason = "NoSuchJob"

    def __init__(self) -> None:
        super().__init__("No such job")


class UnauthorizedError(CallError):
    """Nobody is known to have signed this."""

    reason = "Unauthorized"
    status = 401


class RefusedError(CallError):
    """The caller may not do this."""

    reason = "Refused"
    status = 403


class NoSuchPathError(CallError):
    """There is no such path."""

    reason = "NoSuchPath"
    status = 404


class SlowBodyError(CallError):
    """The client takes too long to send its body."""

    reason = "SlowBody"
    status = 408


class TakenError(CallError):
    """It exists already, or something depends on it."""

    reason = "Taken"
    status = 409


class BlockedError(CallError):
    """Waiting does not help: the text says what is wrong, and somebody must mend it first."""

    reason = "Blocked"
    status = 409


class TooLargeError(CallError):
    """The body is larger than the gateway takes."""

    reason = "TooLarge"
    status = 413


class TooManyFailuresError(CallError):
    """This address had too many refusals lately."""

    reason = "TooManyFailures"
    status = 429


class JobFailedError(CallError):
    """A job of the gateway's own came to no good end."""

    reason = "JobFailed"
    status = 500


class NotSupportedError(CallError):
    """Nothing wrong with the request, but nobody can do it yet."""

    reason = "NotSupported"
    status = 501


class NodeBrokeOffError(CallError):
    """The node broke the connection off; what it did is not known, so nobody repeats the call unasked."""

    reason = "NodeBrokeOff"
    status = 502


class NotReadyError(CallError):
    """It was certainly not done, and may be possible soon: `Retry-After` says when to try again."""

    reason = "NotReady"
    status = 503

    def __init__(self, text: str, retry_after: int = 5) -> None:
        super().__init__(text, retry_after=retry_after)


def no_such_project(project: str, customer: str) -> BadRequestError:
    """In the contract's words."""
    return BadRequestError(f"Cannot Find SYMETRYML id[{project}] for Customer id [{customer}]")


def project_exists(project: str, customer: str) -> TakenError:
    """In the contract's words, the comma and blank at the end included."""
    return TakenError(f"Customer [{customer}] already have SYMETRYML with id[{project}], ")
