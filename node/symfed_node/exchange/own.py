"""The own snapshot: its bytes, and what tells one from another."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from symfed_node.exchange.keys import newest_generation
from symfed_node.statistics.published import to_snapshot
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


def changed_rows(rows: int, *heads: SnapshotHead | None) -> int:
    """How many rows tell `rows` at least from the snapshots that others may have; all, without any."""
    return min((abs(rows - head.rows) for head in heads if head is not None), default=rows)


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
