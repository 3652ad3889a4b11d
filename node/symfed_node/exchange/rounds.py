"""What an exchange does: take the newest document, read the members' snapshots, publish, merge."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from symfed_node.exchange.base import Backend, ExchangeError, Outgoing, ReplacedError
from symfed_node.exchange.heads import (
    DocumentRejectedError,
    SnapshotTooLargeError,
    check_head,
    largest_snapshot,
)
from symfed_node.exchange.keys import PeerKeys
from symfed_node.exchange.log import SyncLog
from symfed_node.exchange.own import (
    Encoded,
    allows_explore,
    draft_head,
    encode_statistics,
    is_outdated,
    standing,
)
from symfed_node.exchange.own_head import OwnHead
from symfed_node.exchange.store import ExchangeStore
from symfed_node.federated import Federated, PeerSnapshot, merge_members, read_snapshot
from symfed_node.statistics.published import publishable
from symfed_node.statistics.state import Statistics
from symfed_wire.documents import (
    FEDERATION_CONTEXT,
    FederationDocument,
    Member,
    Signed,
    SnapshotHead,
    verify_document,
)
from symfed_wire.errors import SymfedError
from symfed_wire.node_config import Membership

_READ_ATTEMPTS: Final = 3
_AT_ONCE: Final = 8  # members whose heads are read at the same time


class Rounds:
    """One peer's side of its federation, for one task at a time; all state that matters is on the disk."""

    def __init__(
        self, peer: str, membership: Membership, keys: PeerKeys, store: ExchangeStore, backend: Backend
    ) -> None:
        self._peer = peer
        self._membership = membership
        self._keys = keys
        self._store = store
        self._backend = backend
        self.held: dict[str, PeerSnapshot] = {}
        """uuid → the newest good snapshot that was read"""
        self._to_merge = False
        self.allows_explore: bool | None = None
        """whether the others may explore this peer; None until the own object has told, then as published"""
        self.log = SyncLog()
        self._own = OwnHead(peer, store, self.log)
        self.behind: dict[str, str] = {}
        """uuid → why a member's snapshot is missing or not its newest"""
        self.cannot_publish = ""
        self.waiting_rows = 0
        self.older_volume = ""
        """which rows were published and are not in the project any more"""
        self._follow(self._newest_document())

    @property
    def is_removed(self) -> bool:
        """Whether the document lists this peer as removed."""
        own = self.document.member(self._peer)
        return own is not None and own.state == "removed"

    @property
    def has_lost_own(self) -> bool:
        """Whether the backend is known to have none of the own snapshot, or another one."""
        held = self.held.get(self._peer)
        return held is not None and self._own.is_lost(held.head)

    @property
    def names(self) -> Mapping[str, str]:
        """The members' names by uuid."""
        return {member.uuid: member.name for member in self.document.members}

    def restore(self) -> Federated | None:
        """The sum as it was when the node stopped, from the disk alone."""
        merged = self._store.merged()
        self.held = {
            peer: snapshot
            for peer, snapshot in self._store.snapshots(self.document).items()
            if peer in merged.members or peer == self._peer
        }
        federated = self._merge() if merged.members and self._peer in self.held else None
        self._to_merge = True  # a crash may have come between a snapshot, or a document, and its merging
        if not self.is_removed:
            self._drop_removed()
        return federated

    async def update_document(self) -> bool:
        """Take the stored document when it is good and newer; whether it was."""
        signed = await self._backend.document()
        if signed is None:
            return False
        try:
            document = self._verified(signed)
            if document.version < self.document.version:
                raise DocumentRejectedError(document.version, self.document.version)
        except SymfedError as error:
            self.log.error("document", f"the stored federation document was refused: {error}")
            return False
        self.log.well("document")
        if document.version == self.document.version:
            return False
        self._store.save_document(signed)
        self._follow(document)
        self.log.event(f"took version {document.version} of the federation document")
        if not self.is_removed:
            self._drop_removed()
        return True

    async def read_members(self) -> None:
        """Read every active member's newest snapshot; one that fails is named in `behind`.

        Raises what keeps the own stored head from being known: without it no epoch is safe.
        """
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def read(member: Member) -> str:
            async with at_once:
                return await self._read(member)

        members = self.document.active_members()
        # All end before anything else goes on: what is held must not change while it is merged.
        faults = await asyncio.gather(*(read(member) for member in members), return_exceptions=True)
        named = zip(members, faults, strict=True)
        self.behind = {member.uuid: why for member, why in named if isinstance(why, str) and why}
        for fault in faults:
            if isinstance(fault, BaseException):
                raise fault

    async def publish(self, local: Statistics | None) -> None:
        """Put an own snapshot when it has changed enough, or when the stored one is gone.

        Says in `cannot_publish` why there is none yet, and in `waiting_rows` how many rows wait for more.
        """
        own = self.document.member(self._peer)
        if own is None:
            return
        if not self._own.is_known:  # else a change of too few rows, or an epoch that was used, might be put
            await self._read_own(own)
        held = self.held.get(self._peer)
        head = held.head if held else None
        self.older_volume = self._own.missing(local.rows if local else 0)
        found = await asyncio.to_thread(standing, local, head, self._own.stored, self._store.published)
        self.cannot_publish, self.waiting_rows = found.cannot_publish, found.waiting_rows
        if local is not None and found.is_due:
            await self._put(own, await asyncio.to_thread(self._encode, local))
        elif held and (self.has_lost_own or is_outdated(held.head, self.document, self.allows_explore)):
            # The same again: the rows since then may be too few to be told apart.
            await self._put(own, await asyncio.to_thread(encode_statistics, held.stats))

    def _encode(self, local: Statistics) -> Encoded:
        encoded = encode_statistics(publishable(local))
        self._store.save_published(encoded.sha256, local.histograms)
        return encoded

    async def merge(self, current: Federated | None) -> Federated | None:
        """The new sum, or `current` when nothing has changed or there is no own snapshot yet."""
        if not self._to_merge or self._peer not in self.held:
            return current
        federated = await asyncio.to_thread(self._merge)
        self._store.save_merged(federated.features, federated.members)
        self._store.forget(self.held)
        self._to_merge = False
        self.log.event(
            f"merged {federated.stats.rows} rows of {len(federated.members)} members, epoch {federated.epoch}"
        )
        return federated

    def _merge(self) -> Federated:
        admin = next((member.uuid for member in self.document.members if member.admin), None)
        return merge_members(self.held, self._store.merged().features, admin)

    def _follow(self, document: FederationDocument) -> None:
        self.document = document
        self._backend.request_timeout = document.settings.request_timeout_seconds

    def _newest_document(self) -> FederationDocument:
        """The newer one of the operator's and the one on the disk."""
        given = self._verified(self._membership.document)
        try:
            stored = self._store.document()
            kept = given if stored is None else self._verified(stored)
        except SymfedError as error:
            self.log.error("document", f"the document on the disk was refused: {error}")
            return given
        return kept if kept.version > given.version else given

    def _verified(self, signed: Signed) -> FederationDocument:
        key = self._membership.document_key
        return verify_document(signed, FEDERATION_CONTEXT, key, FederationDocument)

    def _drop_removed(self) -> None:
        active = {member.uuid for member in self.document.active_members()}
        for peer in [peer for peer in self.held if peer not in active]:
            del self.held[peer]
            self._to_merge = True
            self.log.event(f"dropped the snapshot of {self.names.get(peer, '')} ({peer}), who is no member")

    async def _read(self, member: Member) -> str:
        """Take a member's newest snapshot if it is new; why it could not be taken, or empty."""
        if member.uuid == self._peer:
            await self._read_own(member)
            return ""
        try:
            found = await self._newest(member)
        except SymfedError as error:
            text = f"snapshot of {member.name} ({member.uuid}): {error}"
            if self.log.error(member.uuid, text):
                self.log.receive_errors += 1
            return str(error)
        self.log.well(member.uuid)
        return "" if found else "has published nothing yet"

    async def _read_own(self, own: Member) -> None:
        """Know the own stored head, and take its snapshot if it is newer (the volume may be an older one).

        One that is refused, or whose chunks are gone, stops nothing: `has_lost_own` then asks for a snapshot
        above it. Raises ExchangeError when the backend does not answer, and what `OwnHead` raises.
        """
        self._own.forget()
        held = self.held.get(self._peer)
        try:
            signed = await self._backend.head(own)
            head = self._own.judge(signed, own, self.document, held.head if held else None)
            if signed is not None and head is not None:
                await self._take(own, signed, head)
            elif self._own.stored is not None:
                await self._backend.confirm(own, self._own.stored)
        except SymfedError as error:
            if isinstance(error, ExchangeError) and not isinstance(error, ReplacedError):
                raise
            self._own.replace(error)
        self._own.is_known = True

    async def _newest(self, member: Member) -> bool:
        """Whether the member has a snapshot; a new one is held and on the disk when this returns."""
        for attempt in range(_READ_ATTEMPTS):
            held = self.held.get(member.uuid)
            signed = await self._backend.head(member)
            if signed is None:
                return held is not None
            head = check_head(signed, member, self.document, held.head if held else None)
            if held is not None and head.epoch == held.head.epoch:
                return True
            try:
                await self._take(member, signed, head)
            except ReplacedError:
                if attempt == _READ_ATTEMPTS - 1:
                    raise
            else:
                break
        return True

    async def _take(self, member: Member, signed: Signed, head: SnapshotHead) -> None:
        sealer = self._keys.sealer(self.document, head.key_generation, member.uuid, head.epoch)
        body = await self._backend.body(member, head, sealer)
        await self._hold(await asyncio.to_thread(read_snapshot, head, body), signed, body)
        self.log.received += 1
        self.log.event(f"read epoch {head.epoch} of {member.name} ({member.uuid}): {head.rows} rows")

    async def _put(self, own: Member, encoded: Encoded) -> None:
        if len(encoded.body) > (most := largest_snapshot(self.document)):
            raise SnapshotTooLargeError(
                f"the own snapshot has {len(encoded.body)} bytes and may have {most}: the Federation's "
                "stream size must be raised to twice a snapshot"
            )
        held = self.held.get(self._peer)
        epoch = self._own.next_epoch(held.head if held else None)
        explore = allows_explore(self.allows_explore, held.head if held else self._own.stored)
        draft = draft_head(self.document, self._peer, epoch, encoded, explore=explore)
        sealer = self._keys.sealer(self.document, draft.key_generation, self._peer, epoch)
        signed = await self._backend.put(Outgoing(draft, encoded.body, sealer), self._keys.sign_head)
        # What the others will read is what is merged here, so it is read back from the bytes.
        head = check_head(signed, own, self.document, held.head if held else None)
        await self._hold(await asyncio.to_thread(read_snapshot, head, encoded.body), signed, encoded.body)
        self._own.set(head)
        self._store.forget_published(head.sha256)
        self.log.sent += 1
        self.log.event(f"published epoch {epoch}: {encoded.rows} rows, {len(encoded.body)} bytes")

    async def _hold(self, snapshot: PeerSnapshot, signed: Signed, body: bytes) -> None:
        await asyncio.to_thread(self._store.save_snapshot, signed, snapshot.head.peer, body)
        self.held[snapshot.head.peer] = snapshot
        self._to_merge = True
