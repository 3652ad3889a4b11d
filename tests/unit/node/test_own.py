"""When the own rows may be published: never so that a change of few rows can be told."""

import numpy as np
import pytest

from symfed_node.exchange.own import Standing, encode_statistics, standing
from symfed_node.statistics.accumulate import accumulate
from symfed_node.statistics.doubledouble import FloatArray
from symfed_node.statistics.forget import without
from symfed_node.statistics.histogram import Histograms
from symfed_node.statistics.merge import add
from symfed_node.statistics.published import publishable
from symfed_node.statistics.state import Feature, Statistics
from symfed_wire.documents import SnapshotHead

FEATURES = (Feature("a", "C"), Feature("b", "C"))
NEEDED = 7
SHIFT = np.zeros(2)
SOME, MORE, FEW = (np.random.default_rng(seed).normal(50.0, 9.0, size=(2, 60)) for seed in (1, 2, 3))


def sums(values: FloatArray) -> Statistics:
    return accumulate(values, FEATURES, SHIFT)


def head_of(stats: Statistics) -> SnapshotHead:
    encoded = encode_statistics(publishable(stats))
    return SnapshotHead(
        federation="f",
        peer="00000000-0000-4000-8000-000000000001",
        epoch=1,
        rows=encoded.rows,
        schema_digest=encoded.schema_digest,
        size=1,
        chunk=1,
        sha256=encoded.sha256,
        created="2026-01-02T00:00:00Z",
    )


PUBLISHED = sums(SOME)
HEAD = head_of(PUBLISHED)
KNOWN = {HEAD.sha256: PUBLISHED.histograms}


def learnt(stats: Statistics, *batches: FloatArray) -> Statistics:
    for batch in batches:
        stats = add(stats, sums(batch))
    return stats


def forgotten(stats: Statistics, *batches: FloatArray) -> Statistics:
    for batch in batches:
        stats = without(stats, sums(batch))
    return stats


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        (PUBLISHED, Standing()),
        (learnt(PUBLISHED, MORE[:, :6]), Standing(waiting_rows=6)),
        (learnt(PUBLISHED, MORE[:, :7]), Standing(is_due=True)),
        (forgotten(PUBLISHED, SOME[:, :6]), Standing(waiting_rows=6)),
        (forgotten(PUBLISHED, SOME[:, :7]), Standing(is_due=True)),
        # As many go as come: no difference in their number.
        (learnt(forgotten(PUBLISHED, SOME[:, :2]), MORE[:, :2]), Standing(waiting_rows=4)),
        (learnt(forgotten(PUBLISHED, SOME[:, :10]), MORE[:, :10]), Standing(is_due=True)),
        # What was never published is taken back, whole or in other batches: one row is new.
        (forgotten(learnt(PUBLISHED, MORE, FEW[:, :1]), MORE), Standing(waiting_rows=1)),
        (forgotten(learnt(PUBLISHED, MORE, FEW[:, :1]), *np.hsplit(MORE, 2)), Standing(waiting_rows=1)),
        (learnt(forgotten(PUBLISHED, SOME[:, :20]), SOME[:, :9], SOME[:, 9:20]), Standing()),
        # Too few rows are left.
        (
            forgotten(PUBLISHED, SOME[:, 6:]),
            Standing(
                "6 rows may not be published: at least 7 are needed; the last snapshot stays, of 60 rows"
            ),
        ),
    ],
)  # fmt: skip
def test_what_counts_is_in_how_many_rows_the_published_ones_differ(
    local: Statistics, expected: Standing
) -> None:
    assert standing(local, HEAD, HEAD, KNOWN.get) == expected


def test_the_nearest_of_two_snapshots_counts() -> None:
    later = learnt(PUBLISHED, MORE[:, :20])
    known = KNOWN | {head_of(later).sha256: later.histograms}
    local = learnt(later, FEW[:, :3])
    assert standing(local, HEAD, head_of(later), known.get) == Standing(waiting_rows=3)
    assert standing(local, HEAD, None, known.get) == Standing(is_due=True)


def test_of_a_snapshot_that_this_volume_does_not_know_the_number_of_rows_counts() -> None:
    def unknown(sha256: str) -> Histograms | None:
        return None

    assert standing(learnt(PUBLISHED, MORE[:, :7]), HEAD, HEAD, unknown) == Standing(is_due=True)
    replaced = learnt(forgotten(PUBLISHED, SOME[:, :10]), MORE[:, :10])
    assert standing(replaced, HEAD, HEAD, unknown) == Standing()


def test_a_snapshot_of_other_features_tells_the_number_of_rows() -> None:
    other = accumulate(SOME[:1], FEATURES[:1], SHIFT[:1])
    known = {HEAD.sha256: other.histograms}
    local = learnt(PUBLISHED, MORE[:, :3])
    head = HEAD.model_copy(update={"schema_digest": head_of(other).schema_digest})
    assert standing(local, head, head, known.get) == Standing(waiting_rows=3)


def test_without_a_snapshot_all_rows_count() -> None:
    assert standing(PUBLISHED, None, None, KNOWN.get) == Standing(is_due=True)
    assert standing(None, None, None, KNOWN.get) == Standing("no rows have been learnt yet")
    assert standing(None, HEAD, HEAD, KNOWN.get) == Standing()
    few = standing(sums(SOME[:, :6]), None, None, KNOWN.get)
    assert few == Standing("6 rows may not be published: at least 7 are needed")
    assert standing(sums(SOME[:, :NEEDED]), None, None, KNOWN.get).is_due
