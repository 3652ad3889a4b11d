"""What an exchange keeps on the data volume: small files, each replaced as a whole."""

import hashlib
import io
import json
import logging
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from symfed_node.errors import CorruptDataError
from symfed_node.federated import PeerSnapshot, read_snapshot
from symfed_node.files import make_folder, remove, write_atomically
from symfed_node.statistics.histogram import Histograms
from symfed_node.statistics.state import Feature
from symfed_wire.documents import (
    HEAD_CONTEXT,
    FederationDocument,
    Signed,
    SnapshotHead,
    parse_signed,
    verify_document,
)
from symfed_wire.errors import SymfedError

log = logging.getLogger(__name__)

_LENGTH_BYTES: Final = 4


@dataclass(frozen=True)
class Merged:
    """What the last sum was made of; the snapshots themselves are files of their own."""

    features: tuple[Feature, ...] = ()
    members: tuple[str, ...] = ()


class ExchangeStore:
    """The files of one federation. Used by one task at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = make_folder(folder)
        self._snapshots = make_folder(folder / "snapshots")
        self._published = make_folder(folder / "published")

    def epoch(self) -> int:
        """The last epoch that was used for a put; 0 for none."""
        path = self._folder / "epoch"
        try:
            return int(path.read_text()) if path.exists() else 0
        except ValueError as error:
            raise CorruptDataError(
                f"{path} is damaged: delete it; the stored head tells the epoch"
            ) from error

    def save_epoch(self, epoch: int) -> None:
        """Remember an epoch before it is used."""
        write_atomically(self._folder / "epoch", str(epoch).encode())

    def document(self) -> Signed | None:
        """The last good federation document, or None."""
        path = self._folder / "document.json"
        return parse_signed(path.read_bytes()) if path.exists() else None

    def save_document(self, document: Signed) -> None:
        """Keep the newest good document."""
        write_atomically(self._folder / "document.json", document.model_dump_json().encode())

    def merged(self) -> Merged:
        """What the last sum was made of."""
        path = self._folder / "merged.json"
        if not path.exists():
            return Merged()
        fields = json.loads(path.read_bytes())
        return Merged(tuple(Feature(*feature) for feature in fields["features"]), tuple(fields["members"]))

    def save_merged(self, features: Sequence[Feature], members: Iterable[str]) -> None:
        """Remember the attributes' order, which clients build by, and whose snapshots are in the sum."""
        fields = {"features": [[f.name, f.type] for f in features], "members": list(members)}
        write_atomically(self._folder / "merged.json", json.dumps(fields).encode())

    def save_snapshot(self, head: Signed, peer: str, body: bytes) -> None:
        """Keep a member's newest verified snapshot."""
        first = head.model_dump_json().encode()
        data = len(first).to_bytes(_LENGTH_BYTES, "little") + first + body
        write_atomically(self._snapshots / peer, data)

    def snapshots(self, document: FederationDocument) -> dict[str, PeerSnapshot]:
        """Every kept snapshot that is still whole and signed by its member, by uuid."""
        found = {}
        for member in document.members:
            path = self._snapshots / member.uuid
            if path.exists():
                try:
                    found[member.uuid] = _read(path.read_bytes(), member.identity_key)
                except (SymfedError, ValueError) as error:
                    log.warning("%s is damaged and will be read again from its member: %s", path, error)
        return found

    def save_published(self, sha256: str, histograms: Histograms) -> None:
        """Remember, before a snapshot is put, the histograms of the rows behind it; they stay here."""
        data = io.BytesIO()
        np.savez(data, **vars(histograms))
        write_atomically(self._published / sha256, data.getvalue())

    def published(self, sha256: str) -> Histograms | None:
        """The histograms of the rows behind an own snapshot, if this volume knows them."""
        path = self._published / sha256
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return Histograms(**arrays)
        except (ValueError, TypeError, OSError, zipfile.BadZipFile) as error:
            log.warning("%s is damaged and not used: %s", path, error)
            return None

    def forget_published(self, kept: str) -> None:
        """Remove what is known of all snapshots but one."""
        for path in self._published.iterdir():
            if path.name != kept:
                remove(path)

    def forget(self, kept: Iterable[str]) -> None:
        """Remove the snapshots of all but the `kept` members."""
        wanted = set(kept)
        for path in self._snapshots.iterdir():
            if path.name not in wanted:
                remove(path)


def _read(data: bytes, identity_key: str) -> PeerSnapshot:
    start = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "little")
    head = verify_document(parse_signed(data[_LENGTH_BYTES:start]), HEAD_CONTEXT, identity_key, SnapshotHead)
    body = data[start:]
    if hashlib.sha256(body).hexdigest() != head.sha256:
        raise CorruptDataError("the digest is not that of the head")
    return read_snapshot(head, body)
