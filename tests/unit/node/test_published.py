"""What leaves a peer: enough rows, a coarse shift, high words, no extremes."""

import numpy as np
import pytest

from symfed_node.explore import univariate
from symfed_node.statistics.accumulate import accumulate, choose_shift
from symfed_node.statistics.doubledouble import FloatArray
from symfed_node.statistics.errors import GapsNotSupportedError, TooFewRowsError, ValueOutOfRangeError
from symfed_node.statistics.merge import merge_snapshots
from symfed_node.statistics.moments import means, variances
from symfed_node.statistics.published import from_snapshot, publishable, rows_needed, to_snapshot
from symfed_node.statistics.state import Feature
from symfed_wire.snapshot import SnapshotBody, decode, encode
from symfed_wire.snapshot_histogram import SnapshotHistogram

F = (Feature("a", "C"), Feature("b", "B"))
ROWS: FloatArray = np.array([np.linspace(170.3, 181.7, 40), np.arange(40) % 2])


def test_nothing_is_published_from_fewer_than_p_plus_5_rows() -> None:
    assert rows_needed(2) == 7
    publishable(accumulate(ROWS[:, :7], F, np.zeros(2)))
    with pytest.raises(TooFewRowsError, match="6 rows of 2 features may not be published: at least 7"):
        publishable(accumulate(ROWS[:, :6], F, np.zeros(2)))


def test_the_first_rows_own_shift_does_not_leave() -> None:
    first_row = ROWS[:, 0]
    out = publishable(accumulate(ROWS, F, first_row))
    deviation = ROWS.std(axis=1)
    for shift, sd, mean, column in zip(out.shift, deviation, ROWS.mean(axis=1), ROWS, strict=True):
        assert shift % 2.0 ** np.ceil(np.log2(sd / 4)) == 0
        assert abs(shift - mean) <= sd / 2
        assert shift != column[0]


def test_low_words_and_extremes_stay_at_home() -> None:
    out = publishable(accumulate(ROWS, F, ROWS[:, 0]))  # rebased, so that there are low words
    for number in (out.sum, out.gram, out.m3, out.m4):
        assert not number.lo.any()
    assert np.isnan(out.minimum).all()
    assert np.isnan(out.maximum).all()


def test_published_statistics_are_those_of_the_rows() -> None:
    out = publishable(accumulate(ROWS, F, ROWS[:, 0]))
    np.testing.assert_allclose(means(out), ROWS.mean(axis=1), rtol=1e-15)
    np.testing.assert_allclose(variances(out), ROWS.var(axis=1), rtol=1e-13)


def test_a_snapshot_comes_back_as_it_was_published() -> None:
    out = publishable(accumulate(ROWS, F, choose_shift(ROWS)))
    back = from_snapshot(decode(encode(to_snapshot(out))))
    assert back.features == F
    assert back.rows == 40
    assert np.array_equal(back.count, [40, 40])
    assert np.array_equal(back.shift, out.shift)
    for got, wanted in ((back.sum, out.sum), (back.gram, out.gram), (back.m3, out.m3), (back.m4, out.m4)):
        assert np.array_equal(got.hi, wanted.hi)


def test_no_bin_of_few_rows_leaves_and_none_comes_back_otherwise() -> None:
    with_extreme: FloatArray = np.hstack([ROWS, [[1e6], [1.0]]])
    stats = accumulate(with_extreme, F, choose_shift(with_extreme))
    assert stats.histograms.count.min() == 1
    out = publishable(stats)
    assert out.histograms.count.min() >= 5
    back = from_snapshot(decode(encode(to_snapshot(out)))).histograms
    assert back.known.all()
    assert np.array_equal(back.key, out.histograms.key)
    assert np.array_equal(back.count, out.histograms.count)


def test_a_histogram_that_one_peer_does_not_send_is_unknown_in_the_sum() -> None:
    out = publishable(accumulate(ROWS, F, choose_shift(ROWS)))
    body = to_snapshot(out)
    older = from_snapshot(SnapshotBody(**{**vars(body), "histogram": None}))
    assert not merge_snapshots([out, older], F).histograms.known.any()
    assert body.histogram is not None
    length = body.histogram.length
    of_b = slice(length[0], None)
    half = SnapshotHistogram(np.array([1]), length[1:], body.histogram.bin[of_b], body.histogram.count[of_b])
    partial = from_snapshot(SnapshotBody(**{**vars(body), "histogram": half}))
    merged = merge_snapshots([out, partial], F).histograms
    assert merged.known.tolist() == [False, True]
    assert np.array_equal(merged.count, [40, 40])


def test_moments_that_one_peer_does_not_send_are_unknown_in_the_sum() -> None:
    out = publishable(accumulate(ROWS, F, choose_shift(ROWS)))
    partial = from_snapshot(SnapshotBody(**{**vars(to_snapshot(out)), "m3": None}))
    merged = merge_snapshots([out, partial], F)
    assert np.isnan(merged.m3.hi).all()
    assert np.isfinite(merged.m4.hi).all()
    assert merged.rows == 80


@pytest.mark.parametrize(
    ("name", "most"), [("shift", 1e70), ("sum", 8e71), ("gram", 1.6e142), ("m3", 3.2e212), ("m4", 6.4e282)]
)
@pytest.mark.parametrize("sign", [1, -1])
def test_sums_that_no_values_give_are_refused(name: str, most: float, sign: int) -> None:
    """Merged, they would leave no finite sum to anybody."""
    body = to_snapshot(publishable(accumulate(ROWS, F, ROWS[:, 0])))

    def changed(value: float) -> SnapshotBody:
        values = getattr(body, name).copy()
        values[-1] = sign * value
        return SnapshotBody(**{**vars(body), name: values})

    largest = from_snapshot(changed(most * (1 - 1e-9)))
    with np.errstate(all="raise", under="ignore"):
        univariate(merge_snapshots([largest] * 3, F), 1)
    with pytest.raises(
        ValueOutOfRangeError, match=f"{name} of the snapshot is larger than 40 rows of values"
    ):
        from_snapshot(changed(most * (1 + 1e-9)))


def test_a_snapshot_with_gaps_is_refused_by_feature() -> None:
    body = to_snapshot(publishable(accumulate(ROWS, F, choose_shift(ROWS))))
    with pytest.raises(GapsNotSupportedError, match="feature b in some of its 40 rows"):
        from_snapshot(SnapshotBody(**{**vars(body), "count": np.array([40, 39])}))
