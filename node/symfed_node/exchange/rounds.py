"""What an exchange does: take the newest document, read the members' snapshots, publish, merge."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from symfed_node.exchange.base import Backend, Outgoing, ReplacedError
from symfed_node.exchange.condition import too_few_rows
from symfed_node.exchange.heads import check_head, next_epoch
from symfed_node.exchange.keys import PeerKeys, newest_generation
from symfed_node.exchange.log import SyncLog
from symfed_node.exchange.store import ExchangeStore
from symfed_node.federated import Federated, PeerSnapshot, merge_members, read_snapshot
from symfed_node.statistics.published import publishable, rows_needed, to_snapshot
from symfed_node.statistics.state import Statistics
from symfed_wire.documents import (
    FEDERATION_CONTEXT,
    FederationDocument,
    Member,
    Signed,
    SnapshotHead,
    schema_digest,
    verify_document,
)
from symfed_wire.errors import SymfedError
from symfed_wire.node_config import Membership
from symfed_wire.snapshot import encode

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
        self._held: dict[str, PeerSnapshot] = {}
        self._knows_own_head = False
        self._to_merge = False
        self.log = SyncLog()
        self.behind: dict[str, str] = {}
        """uuid → why a member's snapshot is missing or not its newest"""
        self.cannot_publish = ""
        self.waiting_rows = 0
        self.document = self._newest_document()

    @property
    def is_removed(self) -> bool:
        """Whether the document lists this peer as removed."""
        own = self.document.member(self._peer)
        return own is not None and own.state == "removed"

    @property
    def names(self) -> Mapping[str, str]:
        """The members' names by uuid."""
        return {member.uuid: member.name for member in self.document.members}

    def restore(self) -> Federated | None:
        """The sum as it was when the node stopped, from the disk alone."""
        merged = self._store.merged()
        self._held = {
            peer: snapshot
            for peer, snapshot in self._store.snapshots(self.document).items()
            if peer in merged.members or peer == self._peer
        }
        federated = self._merge() if self._peer in merged.members else None
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
        except SymfedError as error:
            self.log.error("document", f"the stored federation document was refused: {error}")
            return False
        self.log.well("document")
        if document.version <= self.document.version:
            return False
        self._store.save_document(signed)
        self.document = document
        self.log.event(f"took version {document.version} of the federation document")
        if not self.is_removed:
            self._drop_removed()
        return True

    async def read_members(self) -> None:
        """Read every active member's newest snapshot; one that fails is named in `behind`."""
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def read(member: Member) -> str:
            async with at_once:
                return await self._read(member)

        members = self.document.active_members()
        faults = await asyncio.gather(*(read(member) for member in members))
        self.behind = {member.uuid: why for member, why in zip(members, faults, strict=True) if why}

    async def publish(self, local: Statistics | None) -> None:
        """Put an own snapshot when it has changed enough; says in `cannot_publish` why there is none yet."""
        held = self._held.get(self._peer)
        needed = rows_needed(len(local.features)) if local is not None else 0
        rows = 0 if local is None else local.rows
        self.waiting_rows = 0
        self.cannot_publish = ""
        if local is None or rows < needed:
            self.cannot_publish = "" if held else too_few_rows(rows, needed)
            return
        body, features = await asyncio.to_thread(_encode, local)
        sha256 = hashlib.sha256(body).hexdigest()
        generation = newest_generation(self.document)
        if held is not None and held.head.sha256 == sha256:
            if held.head.key_generation == generation:
                return
        elif held is not None and abs(rows - held.head.rows) < needed:
            self.waiting_rows = abs(rows - held.head.rows)
            return
        if self._knows_own_head:  # else an epoch below the stored one might be used, which all others refuse
            await self._put(body, sha256, rows, features, generation)

    async def merge(self, current: Federated | None) -> Federated | None:
        """The new sum, or `current` when nothing has changed or there is no own snapshot yet."""
        if not self._to_merge or self._peer not in self._held:
            return current
        federated = await asyncio.to_thread(self._merge)
        self._store.save_merged(federated.stats.features, federated.members)
        self._store.forget(self._held)
        self._to_merge = False
        self.log.event(
            f"merged {federated.stats.rows} rows of {len(federated.members)} members, epoch {federated.epoch}"
        )
        return federated

    def _merge(self) -> Federated:
        admin = next((member.uuid for member in self.document.members if member.admin), None)
        return merge_members(self._held, self._store.merged().features, admin)

    def _newest_document(self) -> FederationDocument:
        """The newer one of the operator's and the one on the disk."""
        given = self._verified(self._membership.document)
        stored = self._store.document()
        if stored is None:
            return given
        try:
            kept = self._verified(stored)
        except SymfedError as error:
            self.log.error("document", f"the document on the disk was refused: {error}")
            return given
        return kept if kept.version > given.version else given

    def _verified(self, signed: Signed) -> FederationDocument:
        key = self._membership.document_key
        return verify_document(signed, FEDERATION_CONTEXT, key, FederationDocument)

    def _drop_removed(self) -> None:
        active = {member.uuid for member in self.document.active_members()}
        for peer in [peer for peer in self._held if peer not in active]:
            del self._held[peer]
            self._to_merge = True
            self.log.event(f"dropped the snapshot of {self.names.get(peer, '')} ({peer}), who is no member")

    async def _read(self, member: Member) -> str:
        """Take a member's newest snapshot if it is new; why it could not be taken, or empty."""
        try:
            found = await self._newest(member)
        except SymfedError as error:
            if member.uuid == self._peer:
                raise  # without the own head no epoch is safe, and nobody else can be reached either
            text = f"snapshot of {member.name} ({member.uuid}): {error}"
            if self.log.error(member.uuid, text):
                self.log.receive_errors += 1
            return str(error)
        self.log.well(member.uuid)
        if member.uuid == self._peer:
            self._knows_own_head = True
        return "" if found or member.uuid == self._peer else "has published nothing yet"

    async def _newest(self, member: Member) -> bool:
        """Whether the member has a snapshot; a new one is held and on the disk when this returns."""
        for attempt in range(_READ_ATTEMPTS):
            held = self._held.get(member.uuid)
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

    async def _put(self, body: bytes, sha256: str, rows: int, features: str, generation: int) -> None:
        held = self._held.get(self._peer)
        epoch = next_epoch(self._store.epoch(), held.head.epoch if held else 0)
        self._store.save_epoch(epoch)
        draft = SnapshotHead(
            federation=self.document.federation,
            peer=self._peer,
            epoch=epoch,
            rows=rows,
            schema_digest=features,
            size=len(body),
            chunk=len(body),
            sha256=sha256,
            created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            key_generation=generation,
        )
        sealer = self._keys.sealer(self.document, generation, self._peer, epoch)
        signed = await self._backend.put(Outgoing(draft, body, sealer), self._keys.sign_head)
        # What the others will read is what is merged here, so it is read back from the bytes.
        own = self.document.member(self._peer)
        if own is not None:
            head = check_head(signed, own, self.document, held.head if held else None)
            await self._hold(await asyncio.to_thread(read_snapshot, head, body), signed, body)
        self.log.sent += 1
        self.log.event(f"published epoch {epoch}: {rows} rows, {len(body)} bytes")

    async def _hold(self, snapshot: PeerSnapshot, signed: Signed, body: bytes) -> None:
        await asyncio.to_thread(self._store.save_snapshot, signed, snapshot.head.peer, body)
        self._held[snapshot.head.peer] = snapshot
        self._to_merge = True


def _encode(local: Statistics) -> tuple[bytes, str]:
    """The body of a snapshot and the digest of its features."""
    content = to_snapshot(publishable(local))
    return encode(content), schema_digest(zip(content.names, content.types, strict=True))
