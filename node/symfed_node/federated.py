"""The federated project: the sum of what the members have published (federation.md, Merging). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from symfed_node.statistics.errors import SchemaMismatchError
from symfed_node.statistics.merge import digest, extend_features, merge_snapshots
from symfed_node.statistics.published import from_snapshot
from symfed_node.statistics.state import Feature, Statistics, select
from symfed_wire.documents import SnapshotHead, schema_digest
from symfed_wire.snapshot import SnapshotError, decode

MOST_GONE: Final = 10_000
"""features without a member that keep an index; with more all of these lose it, and the others move up"""


@dataclass(frozen=True, eq=False)
class PeerSnapshot:
    """A member's verified snapshot."""

    head: SnapshotHead
    stats: Statistics


@dataclass(frozen=True, eq=False)
class Federated:
    """The merged snapshots."""

    features: tuple[Feature, ...]
    """all that ever got an index here, in that order"""
    stats: Statistics
    """over those of them that a member has now: what is gone costs an index and no sums"""
    members: Mapping[str, SnapshotHead]
    """whose snapshots are in the sum, by uuid"""
    left_out: Mapping[str, str]
    """uuid → why that member's snapshot is not in the sum"""
    digest: str
    """of the sums alone, the same on every peer"""

    @property
    def epoch(self) -> int:
        """Sum of the members' epochs: it grows with every exchange."""
        return sum(head.epoch for head in self.members.values())


def read_snapshot(head: SnapshotHead, body: bytes) -> PeerSnapshot:
    """The statistics in a body, held against its head. Raises SnapshotError or StatisticsError."""
    content = decode(body)
    stats = from_snapshot(content)
    if stats.rows != head.rows:
        raise SnapshotError(f"the head says {head.rows} rows and the snapshot {stats.rows}")
    if schema_digest(zip(content.names, content.types, strict=True)) != head.schema_digest:
        raise SnapshotError("the head's schema is not that of the snapshot")
    return PeerSnapshot(head, stats)


def merge_members(
    snapshots: Mapping[str, PeerSnapshot], kept: Sequence[Feature], admin: str | None
) -> Federated:
    """Add up `snapshots` (by uuid) in the order of the uuids' bytes.

    The types are those of the admin's snapshot, then of the others in that order; a member in conflict with
    the ones before it is left out. `kept` are the features that have an index already: they give the order
    and no type, else the sum would depend on whose snapshot was merged first here. (One that no member has
    any more keeps its type with its index, up to MOST_GONE of them.) Behind them come the admin's,
    then the others'.
    """
    in_order = sorted(snapshots, key=str.encode)
    given, left_out = tuple[Feature, ...](), dict[str, str]()
    for peer in sorted(in_order, key=lambda peer: peer != admin):  # stable: the admin first, then by uuid
        try:
            given = extend_features(given, snapshots[peer].stats.features)
        except SchemaMismatchError as error:
            left_out[peer] = str(error)
    by_name = {feature.name: feature for feature in given}
    if len([feature for feature in kept if feature.name not in by_name]) > MOST_GONE:
        kept = [feature for feature in kept if feature.name in by_name]
    features = extend_features([by_name.get(feature.name, feature) for feature in kept], given)
    members = [peer for peer in in_order if peer not in left_out]
    present = [feature for feature in features if feature.name in by_name]
    stats = merge_snapshots([snapshots[peer].stats for peer in members], present)
    return Federated(
        features=features,
        stats=stats,
        members={peer: snapshots[peer].head for peer in members},
        left_out=left_out,
        digest=digest(known_part(stats)),
    )


def known_part(stats: Statistics) -> Statistics:
    """`stats` without the features that none of its rows has: those keep their index and nothing else."""
    return select(stats, [i for i, count in enumerate(stats.count) if count > 0])
