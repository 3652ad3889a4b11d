"""The own snapshots in the own bucket: put, and no more kept than two."""

from __future__ import annotations

import base64
import re
from functools import partial
from typing import Final

from symfed_node.exchange.aws_bodies import create_body, require_body
from symfed_node.exchange.aws_bucket import Bucket
from symfed_node.exchange.aws_signed import SignedObjects
from symfed_node.exchange.aws_snapshot import pack, read_snapshot
from symfed_node.exchange.base import Outgoing, ReplacedError, Sign
from symfed_node.exchange.chunks import CHUNK
from symfed_node.threads import in_thread
from symfed_wire.aws_layout import HEAD_OBJECT, snapshot_object
from symfed_wire.documents import Signed, SnapshotHead
from symfed_wire.errors import MalformedError, UnsealError

_MOST_DELETED: Final = 1000  # in one request
_SNAPSHOT: Final = re.compile(r"(\d+)-[0-9a-f]{16}")


class OwnSnapshots:
    """What one peer has stored. All raise AwsError."""

    def __init__(self, bucket: Bucket, signed: SignedObjects) -> None:
        self._bucket = bucket
        self._signed = signed
        self._prefix = bucket.address.prefix
        self._stored: set[str] | None = None
        """the keys of the snapshots in the bucket; None until somebody has looked"""
        self._kept: tuple[str | None, ...] = ()
        """the key that the stored head points to, and the one that the head before it did"""

    async def put(self, outgoing: Outgoing, sign: Sign) -> Signed:
        """Store a body, then its head. Raises ReplacedError where another node has put a head meanwhile."""
        draft = outgoing.draft
        key = self._prefix + snapshot_object(draft.epoch, draft.sha256)
        head = draft.model_copy(update={"object": key, "chunk": CHUNK})
        if self._stored is not None:
            self._stored.add(key)
        await self._put_body(key, head, outgoing)
        before, signed = self._last_object(), sign(head)
        await self._signed.replace(self._bucket, self._prefix + HEAD_OBJECT, signed)
        self._kept = (key, before)
        return signed

    async def confirm(self, head: SnapshotHead) -> None:
        """Raises ReplacedError when the object of the stored head is gone."""
        if head.object is not None:
            await require_body(self._bucket, head.object)

    async def tidy(self) -> None:
        """Delete all snapshots before the newest two, among them those that never got a head."""
        if not self._kept:
            return
        if self._stored is None:
            self._stored = await self._bucket.keys()
        newest = self._epoch(self._kept[0] or "")
        old = sorted(key for key in self._stored - {*self._kept} if 0 <= self._epoch(key) < newest)
        for start in range(0, len(old), _MOST_DELETED):
            some = old[start : start + _MOST_DELETED]
            await self._bucket.delete(some)
            self._stored.difference_update(some)

    async def _put_body(self, key: str, head: SnapshotHead, outgoing: Outgoing) -> None:
        data = await in_thread(partial(pack, outgoing))
        if await create_body(self._bucket, key, data):
            return
        try:  # an earlier attempt may have stored it, perhaps under another federation key
            await read_snapshot(self._bucket, head, outgoing.sealer)
        except (ReplacedError, UnsealError):
            await self._bucket.delete([key])
            if not await create_body(self._bucket, key, data):
                raise ReplacedError(
                    f"{self._bucket.arn(key)} was put by others: does another node run as this peer?"
                ) from None

    def _last_object(self) -> str | None:
        """Where the head that was seen last points to; it is replaced, so nobody has to vouch for it."""
        try:
            signed = self._signed.last(self._bucket, self._prefix + HEAD_OBJECT)
            payload = base64.b64decode(signed.payload) if signed else b""
            return SnapshotHead.model_validate_json(payload).object
        except (MalformedError, ValueError):
            return None

    def _epoch(self, key: str) -> int:
        """The epoch of a snapshot's key; −1 for anything else."""
        name = _SNAPSHOT.fullmatch(key.removeprefix(self._prefix))
        return int(name[1]) if name and key.startswith(self._prefix) else -1
