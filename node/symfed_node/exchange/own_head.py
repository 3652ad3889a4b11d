"""What the backend stores of this peer, and whether this node may go on above it."""

from __future__ import annotations

from symfed_node.exchange.heads import (
    HeadRejectedError,
    IdentityInUseError,
    SecondDigestError,
    check_head,
    next_epoch,
)
from symfed_node.exchange.log import SyncLog
from symfed_node.exchange.own import is_same
from symfed_node.exchange.store import ExchangeStore
from symfed_wire.documents import (
    HEAD_CONTEXT,
    FederationDocument,
    Member,
    Signed,
    SnapshotHead,
    verify_document,
)
from symfed_wire.errors import SymfedError


class OwnHead:
    """The own stored head; epochs that this volume has not used come from another volume or another node."""

    def __init__(self, peer: str, store: ExchangeStore, log: SyncLog) -> None:
        self._peer = peer
        self._store = store
        self._log = log
        self._has_looked = False
        self.is_known = False
        self._is_unreadable = False
        self.stored: SnapshotHead | None = None
        """when it is known and there is one; others may refuse it"""
        self._elsewhere: SnapshotHead | None = None
        """the one that was put from another volume, before this node started"""
        self._has_its_rows = False

    def is_lost(self, held: SnapshotHead) -> bool:
        """Whether the backend is known to have none of the own snapshot, or another one."""
        is_other = self.stored is None or self._is_unreadable or not is_same(self.stored, held)
        return self.is_known and is_other

    def forget(self) -> None:
        """Until it is read again nothing is known of it."""
        self.stored, self.is_known, self._is_unreadable = None, False, False

    def judge(
        self, signed: Signed | None, own: Member, document: FederationDocument, held: SnapshotHead | None
    ) -> SnapshotHead | None:
        """The stored head when its snapshot is to be taken, since the volume has none or an older one.

        One that the others may refuse is logged. Raises IdentityInUseError for one that another node has put
        since this one started, SignatureError and MalformedError for one that is not from this peer.
        """
        if signed is None:
            self._has_looked = True
            return None
        head = self.stored = verify_document(signed, HEAD_CONTEXT, own.identity_key, SnapshotHead)
        if head.epoch > self._used:
            if self._has_looked:
                raise IdentityInUseError(head.epoch)
            self._elsewhere = head
        is_newer = False
        try:
            check_head(signed, own, document, held)
        except SecondDigestError as error:
            if self._has_looked:
                raise IdentityInUseError(head.epoch) from error
            self._refuse(error)
        except HeadRejectedError as error:
            self._refuse(error)
        else:
            self._log.well(self._peer)
            is_newer = held is None or head.epoch > held.epoch
        self._has_looked = True
        return head if is_newer else None

    def missing(self, rows: int) -> str:
        """Logs and says what a project of `rows` rows lacks of what was published from another volume."""
        head = self._elsewhere
        self._has_its_rows |= head is not None and rows >= head.rows
        if head is None or self._has_its_rows:
            return ""
        text = (
            f"epoch {head.epoch} of this peer has {head.rows} rows and the project {rows}: the volume is new "
            "or an older copy, and what it lacks must be learnt again"
        )
        self._log.error("volume", text)
        return text

    def replace(self, error: SymfedError) -> None:
        """Let a head that is not from this peer, or whose snapshot cannot be read, be replaced.

        Raises `error` on a volume that does not know which epochs the others have seen.
        """
        if self.stored is None and self._store.epoch() == 0:
            raise error
        self._is_unreadable = True
        self._refuse(error)

    def next_epoch(self, held: SnapshotHead | None) -> int:
        """The epoch of the next put, remembered before it is used."""
        used = max(self._used, held.epoch if held else 0)
        epoch = next_epoch(used, self.stored.epoch if self.stored else 0)
        self._store.save_epoch(epoch)
        self.is_known = False  # until it is held: an answer that is lost may be that of a put that was not
        return epoch

    def set(self, head: SnapshotHead) -> None:
        """This one is stored now."""
        self.stored, self.is_known, self._is_unreadable = head, True, False

    @property
    def _used(self) -> int:
        return max(self._store.epoch(), self._elsewhere.epoch if self._elsewhere else 0)

    def _refuse(self, error: SymfedError) -> None:
        self._log.error(self._peer, f"the own stored snapshot is refused: {error}")
