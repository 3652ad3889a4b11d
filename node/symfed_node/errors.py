"""What can go wrong in a node; each error knows the HTTP status that it answers with."""

from http import HTTPStatus
from typing import ClassVar

from symfed_wire.errors import SymfedError


class NodeError(SymfedError):
    """Base of the node's own errors."""

    reason = "NodeFailed"
    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST


class ConfigurationError(NodeError):
    """The node cannot start with what it was given."""

    reason = "ConfigurationInvalid"
    status = HTTPStatus.INTERNAL_SERVER_ERROR


class NotSupportedError(NodeError):
    """The contract allows it and this node cannot do it yet."""

    reason = "NotSupported"


class BadCellError(NodeError):
    """A cell is not what its column's type says."""

    reason = "BadCell"


class NoSuchProjectError(NodeError):
    """The path names a project that this node does not hold."""

    reason = "NoSuchProject"

    def __init__(self, project: str, customer: str) -> None:
        super().__init__(f"Cannot Find SYMETRYML id[{project}] for Customer id [{customer}]")


class NoSuchModelError(NodeError):
    """No model has this id."""

    reason = "NoSuchModel"


class NoInputError(NodeError):
    """Rows to predict from bring none of the model's inputs."""

    reason = "NoInput"


class NoSuchJobError(NodeError):
    """No job has this id."""

    reason = "NoSuchJob"

    def __init__(self) -> None:
        super().__init__("No such job")


class NoRowsError(NodeError):
    """Something was asked of a project that has learnt nothing yet."""

    reason = "NoRows"


class ExploreForbiddenError(NodeError):
    """A peer's statistics alone are asked for, and it has not allowed that, or is no member."""

    reason = "ExploreForbidden"
    status = HTTPStatus.FORBIDDEN


class TooLargeError(NodeError):
    """The body of a request passes the node's limit."""

    reason = "TooLarge"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class JournalError(NodeError):
    """The journal cannot take a record; nothing was learnt."""

    reason = "JournalFailed"
    status = HTTPStatus.SERVICE_UNAVAILABLE


class UnknownOutcomeError(JournalError):
    """The disk failed while a record was written: a restart may find it or not."""

    reason = "OutcomeUnknown"
    status = HTTPStatus.INTERNAL_SERVER_ERROR


class GpuError(NodeError):
    """The GPU, which worked when the node started, failed."""

    reason = "GpuFailed"
    status = HTTPStatus.INTERNAL_SERVER_ERROR


class CorruptDataError(NodeError):
    """A file on the data volume is not what was written there."""

    reason = "DataCorrupt"
    status = HTTPStatus.INTERNAL_SERVER_ERROR
