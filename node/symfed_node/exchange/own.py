"""The own snapshot: its bytes, and what tells one from another."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from symfed_node.exchange.condition import too_few_rows
from symfed_node.exchange.keys import newest_generation
from symfed_node.statistics.histogram import Histograms
from symfed_node.statistics.published import rows_needed, to_snapshot
from symfed_node.statistics.state import Statistics
from symfed_wire.documents import FederationDocument, SnapshotHead, schema_digest
from symfed_wire.snapshot import encode


@dataclass(frozen=True)
class Encoded:
    """Statistics as a snapshot's body, and what its head says of them."""

    body: bytes
    rows: int
    schema_digest: str
    sha256: str


def encode_statistics(stats: Statistics) -> Encoded:
    """The body of `publishable` statistics, or again of those that were read from one."""
    content = to_snapshot(stats)
    body = encode(content)
    features = zip(content.names, content.types, strict=True)
    return Encoded(body, content.rows, schema_digest(features), hashlib.sha256(body).hexdigest())


def is_same(one: SnapshotHead, other: SnapshotHead) -> bool:
    """Whether both are of one snapshot."""
    return (one.epoch, one.sha256) == (other.epoch, other.sha256)


@dataclass(frozen=True)
class Standing:
    """How the own rows stand to what is published of them."""

    cannot_publish: str = ""
    """why they may not be published at all, or empty"""
    waiting_rows: int = 0
    """a change of so many rows waits for more"""
    is_due: bool = False
    """whether they are to be published"""


Published: TypeAlias = Callable[[str], Histograms | None]
"""From a snapshot's sha256 to the histograms of the rows behind it; None for one that is not known here."""


def standing(
    local: Statistics | None, held: SnapshotHead | None, stored: SnapshotHead | None, published: Published
) -> Standing:
    """Whether `local` may be published beside the snapshot that is held here and the one that is stored."""
    if local is None:
        return Standing("" if held else too_few_rows(0, 0))
    needed = rows_needed(len(local.features))
    if local.rows < needed:
        return Standing(too_few_rows(local.rows, needed, held.rows if held else 0))
    heads = [head for head in (held, stored) if head is not None]
    changed = min((_rows_apart(local, head, published) for head in heads), default=local.rows)
    return Standing(is_due=True) if changed >= needed else Standing(waiting_rows=changed)


def _rows_apart(local: Statistics, head: SnapshotHead, published: Published) -> int:
    """In how many rows at least `local` differs from those behind a snapshot.

    Ten rows forgotten and ten others learnt are a change of up to twenty; rows that were learnt and forgotten
    since are none, in whichever batches. Without the histograms (the volume was restored from an older copy)
    only the numbers of rows tell.
    """
    by_number = abs(local.rows - head.rows)
    features = ((feature.name, feature.type) for feature in local.features)
    behind = published(head.sha256) if schema_digest(features) == head.schema_digest else None
    return by_number if behind is None else max(by_number, local.histograms.rows_apart(behind))


def allows_explore(told: bool | None, published: SnapshotHead | None) -> bool:
    """What the next head says of exploration: what the own object tells, until then what was published."""
    return told if told is not None else published is not None and published.explore


def is_outdated(head: SnapshotHead, document: FederationDocument, told: bool | None) -> bool:
    """Whether a published head says what is not so any more, although no rows changed."""
    is_other_key = head.key_generation != newest_generation(document)
    return is_other_key or head.explore != allows_explore(told, head)


def draft_head(
    document: FederationDocument, peer: str, epoch: int, encoded: Encoded, *, explore: bool
) -> SnapshotHead:
    """The head of a snapshot that is to be put, without its place."""
    return SnapshotHead(
        federation=document.federation,
        peer=peer,
        epoch=epoch,
        rows=encoded.rows,
        schema_digest=encoded.schema_digest,
        size=len(encoded.body),
        chunk=len(encoded.body),
        sha256=encoded.sha256,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        key_generation=newest_generation(document),
        explore=explore,
    )
