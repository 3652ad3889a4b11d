"""The own snapshot: its bytes, and what tells one from another. Pure."""

import hashlib
from dataclasses import dataclass

from symfed_node.statistics.published import to_snapshot
from symfed_node.statistics.state import Statistics
from symfed_wire.documents import SnapshotHead, schema_digest
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
