"""Which heads may be trusted, and which epoch comes next. Pure."""

from symfed_node.errors import NodeError
from symfed_node.exchange.base import ExchangeError
from symfed_wire.documents import (
    HEAD_CONTEXT,
    FederationDocument,
    Member,
    Signed,
    SnapshotHead,
    verify_document,
)

MIN_CHUNK = 64 << 10
MAX_CHUNK = 1 << 20


def largest_snapshot(document: FederationDocument) -> int:
    """The most bytes that a snapshot may have: a stream holds two."""
    return document.settings.stream_max_bytes // 2


class HeadRejectedError(NodeError):
    """A stored head is not what its member may have signed."""

    reason = "HeadRejected"


class DocumentRejectedError(NodeError):
    """A stored federation document is an older one."""

    reason = "DocumentRejected"

    def __init__(self, version: int, taken: int) -> None:
        super().__init__(f"its version {version} is below {taken}, which was taken before")


class SnapshotTooLargeError(NodeError):
    """The own snapshot is larger than the others would take."""

    reason = "SnapshotTooLarge"


class SecondDigestError(HeadRejectedError):
    """Two different snapshots carry one epoch: two nodes run with one identity."""


class IdentityInUseError(ExchangeError):
    """Another node publishes as this peer; the one that was started last goes on."""

    reason = "IdentityInUse"

    def __init__(self, epoch: int) -> None:
        super().__init__(
            f"another node publishes as this peer: epoch {epoch} is not of this one. Stop the other one, "
            "then restart this one; until then it publishes nothing"
        )


def check_head(
    signed: Signed, member: Member, document: FederationDocument, held: SnapshotHead | None
) -> SnapshotHead:
    """The head in `signed`, when it may replace `held` or is it.

    Raises SignatureError, MalformedError, HeadRejectedError and SecondDigestError.
    """
    head = verify_document(signed, HEAD_CONTEXT, member.identity_key, SnapshotHead)
    if head.federation != document.federation or head.peer != member.uuid:
        raise HeadRejectedError(f"the head is that of peer {head.peer} in federation {head.federation}")
    # Readers have all chunks in memory, and a request under way for each of some.
    smallest = min(MIN_CHUNK, head.size)
    if not 0 < head.size <= largest_snapshot(document) or not smallest <= head.chunk <= MAX_CHUNK:
        raise HeadRejectedError(f"the head has size {head.size} in chunks of {head.chunk} bytes")
    if held is not None and head.epoch < held.epoch:
        raise HeadRejectedError(f"epoch {head.epoch} is below {held.epoch}, which was merged before")
    if held is not None and head.epoch == held.epoch and head.sha256 != held.sha256:
        raise SecondDigestError(
            f"epoch {head.epoch} has a second digest: two nodes run with the identity of this peer"
        )
    is_new = held is None or head.epoch > held.epoch
    if is_new and document.settings.encrypt and head.key_generation == 0:
        raise HeadRejectedError("the snapshot is not sealed, which this federation demands")
    return head


def next_epoch(last_used: int, stored: int) -> int:
    """The epoch of the next put, above every one that was used or stored (0: there is no stored head).

    Its slot (epoch modulo 2) is not the stored head's, whose chunks must stay until the new head is there;
    it is that of a put that failed, whose chunks would else take up the room.
    """
    epoch = max(last_used, stored) + 1
    if last_used == 0 and stored == 0:
        return epoch
    kept_slot = (stored or last_used + 1) % 2
    return epoch + 1 if epoch % 2 == kept_slot else epoch
