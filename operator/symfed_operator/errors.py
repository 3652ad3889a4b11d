"""What can go wrong in a reconcile, each with the reason that its condition gets."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from symfed_wire.errors import SymfedError
from symfed_wire.kube_errors import ConflictError

_log = logging.getLogger(__name__)


class OperatorError(SymfedError):
    """The root of the operator's own errors."""

    reason = "OperatorFailed"


class ForeignObjectError(OperatorError):
    """An object of the needed name exists and is not ours (or still its predecessor's)."""

    reason = "NameTaken"


class SlotsExhaustedError(OperatorError):
    """A namespace has no slot left for another peer."""

    reason = "NoSlot"


class DamagedRecordError(OperatorError):
    """A Secret of the operator does not hold what the operator once wrote into it."""

    reason = "RecordDamaged"


class UnusableKeysError(OperatorError):
    """A remote member's identity is not one: nothing can be sealed to it, or it is no uuid."""

    reason = "KeysUnusable"


class InvitationIncompleteError(OperatorError):
    """The Secret with the opened invitation is missing, or lacks keys."""

    reason = "InvitationIncomplete"


class InvitationRefusedError(OperatorError):
    """The admin does not take this peer, or its answer cannot be trusted. Final."""

    reason = "InvitationRefused"


class AwaitingAdminError(OperatorError):
    """The admin's side has not decided yet. `retry_after` is in seconds."""

    reason = "AwaitingAdmin"

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class AdminUnreachableError(OperatorError):
    """The admin's gateway does not answer, or not as a gateway."""

    reason = "AdminUnreachable"


class CallBrokenError(OperatorError):
    """A call to another operator failed in a way that nobody foresaw."""


class FederationServedError(OperatorError):
    """What belongs to a Federation that is still there is not freed."""


class NothingRetainedError(OperatorError):
    """There is no record of a federation with this uid."""


@contextmanager
def noting(faults: list[SymfedError], what: str) -> Iterator[None]:
    """One member's error does not stop the others; it is raised when they are done (`raise_first`)."""
    try:
        yield
    except SymfedError as error:
        _log.warning("%s: %s: %s", what, error.reason, error)
        faults.append(error)


def raise_first(faults: Sequence[SymfedError]) -> None:
    """Raise the first error, if there is one; a conflict only where there is nothing else to say."""
    for fault in sorted(faults, key=lambda fault: isinstance(fault, ConflictError)):
        raise fault
