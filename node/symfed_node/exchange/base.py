"""What every way of exchanging snapshots must be able to do: put one, get the latest, wake."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Protocol, TypeAlias

from symfed_node.errors import NodeError
from symfed_wire.documents import Member, Signed, SnapshotHead
from symfed_wire.sealing import ChunkSealer


class ExchangeError(NodeError):
    """The backend cannot be reached, or does not do what it must."""

    reason = "BackendUnreachable"
    status = HTTPStatus.SERVICE_UNAVAILABLE


class RefusedError(ExchangeError):
    """The backend does not let this peer in."""


class LoginRefusedError(ExchangeError):
    """The backend does not accept the credentials that all members share; nobody was removed by that."""

    reason = "AuthorizationFailed"


class StreamFullError(ExchangeError):
    """This peer's snapshot does not fit beside what is stored already."""

    reason = "StreamFull"


class ReplacedError(ExchangeError):
    """A snapshot was replaced by a newer one while it was read: read the head again."""


class Wake(Enum):
    """What the backend noticed; the truth is always read anew."""

    DOCUMENT = "a new federation document"
    HEAD = "a member's new snapshot"
    ASK = "a member asks all others to publish"
    CLOSED = "the connection is gone"


OnWake: TypeAlias = Callable[[Wake], None]
Sign: TypeAlias = Callable[[SnapshotHead], Signed]


@dataclass(frozen=True)
class Outgoing:
    """A snapshot that is to be put. `draft` is its head without a place (`first`, `object`)."""

    draft: SnapshotHead
    body: bytes
    sealer: ChunkSealer | None = None


class Backend(Protocol):
    """One connection to the others. Every call may raise ExchangeError."""

    request_timeout: float
    """seconds for one request"""

    @property
    def is_open(self) -> bool:
        """Whether the other calls can work; after a loss `open` is needed again."""

    @property
    def impaired(self) -> str:
        """What does not work although snapshots come and go, in words; or empty."""

    async def open(self, on_wake: OnWake) -> None:
        """Connect. RefusedError when this peer's credentials are not accepted."""

    async def close(self) -> None:
        """Let go of the connection."""

    async def document(self) -> Signed | None:
        """The stored federation document, not verified; None when there is none."""

    async def head(self, member: Member) -> Signed | None:
        """A member's stored head, not verified; None when it has published nothing."""

    async def body(self, member: Member, head: SnapshotHead, sealer: ChunkSealer | None) -> bytes:
        """The bytes that `head` points to, of its size and digest. Raises ReplacedError, UnsealError."""

    async def confirm(self, own: Member, head: SnapshotHead) -> None:
        """Raises ReplacedError when the own stored head is there and what it points to is gone."""

    async def put(self, outgoing: Outgoing, sign: Sign) -> Signed:
        """Store a body, then its head, signed once its place is known; the stored head."""

    async def ask(self) -> None:
        """Wake all others so that they publish."""


def first_fault(faults: BaseExceptionGroup[BaseException]) -> BaseException:
    """One of the errors of tasks that ran together."""
    fault: BaseException = faults
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    return fault
