"""Adding up statistics: any split, any order, forgetting, other shifts, other features."""

from dataclasses import replace
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest

from symfed_node.statistics.accumulate import accumulate, choose_shift
from symfed_node.statistics.doubledouble import DoubleDouble, FloatArray
from symfed_node.statistics.errors import GapsNotSupportedError, SchemaMismatchError, StatisticsError
from symfed_node.statistics.merge import (
    add,
    align,
    digest,
    extend_features,
    merge_snapshots,
    rebase,
    subtract,
)
from symfed_node.statistics.published import publishable
from symfed_node.statistics.state import Feature, Statistics, select

F = tuple(Feature(name, "C") for name in ("a", "b", "c"))
RANDOM = np.random.default_rng(3)
WHOLE: FloatArray = RANDOM.integers(-(2**9), 2**9, size=(3, 900)).astype(np.float64)
REAL: FloatArray = RANDOM.normal([[1e3], [-5.0], [0.1]], [[3.0], [0.01], [7.0]], size=(3, 900))
ZERO = np.zeros(3)


def sums(stats: Statistics) -> tuple[DoubleDouble, ...]:
    return (stats.sum, stats.gram, stats.m3, stats.m4)


def raw(stats: Statistics) -> bytes:
    return (
        b"".join(half.tobytes() for number in sums(stats) for half in (number.hi, number.lo))
        + stats.count.tobytes()
    )


def exact(stats: Statistics) -> list[Fraction]:
    return [
        Fraction(hi) + Fraction(lo)
        for number in sums(stats)
        for hi, lo in zip(number.hi, number.lo, strict=True)
    ]


def cut(columns: FloatArray, *ends: int) -> list[FloatArray]:
    return np.split(columns, ends, axis=1)


def pooled(columns: FloatArray, shift: FloatArray = ZERO) -> Statistics:
    return accumulate(columns, F, shift)


def assert_within(got: Statistics, wanted: list[Fraction], largest: list[Fraction], bits: int) -> None:
    for a, b, bound in zip(exact(got), wanted, largest, strict=True):
        assert abs(a - b) <= bound / 2**bits


@pytest.mark.parametrize("ends", [(1,), (450,), (10, 11, 899), tuple(range(100, 900, 100))])
def test_any_split_of_the_rows_adds_up_to_the_pooled_sums(ends: tuple[int, ...]) -> None:
    parts = [pooled(part) for part in cut(WHOLE, *ends)]
    merged = merge_snapshots(parts, F)
    largest = exact(pooled(np.abs(WHOLE)))
    assert_within(merged, exact(pooled(WHOLE)), largest, 100)
    assert merged.rows == 900
    assert np.array_equal(merged.minimum, WHOLE.min(axis=1))


def test_every_order_of_the_peers_stays_within_the_bound() -> None:
    parts = [pooled(part) for part in cut(REAL, 100, 350, 800)]
    wanted = [sum(column) for column in zip(*map(exact, parts), strict=True)]
    largest = [sum(map(abs, column)) for column in zip(*map(exact, parts), strict=True)]
    for order in permutations(parts):
        assert_within(merge_snapshots(order, F), wanted, largest, 100)


def test_one_order_gives_the_same_bytes_and_digest() -> None:
    parts = [publishable(pooled(part, choose_shift(part))) for part in cut(REAL, 100, 350)]
    first, second = merge_snapshots(parts, F), merge_snapshots(list(parts), F)
    assert raw(first) == raw(second)
    assert digest(first) == digest(second)


def test_the_digest_tells_every_change_and_no_reordering() -> None:
    stats = pooled(REAL, choose_shift(REAL))
    assert digest(select(stats, [2, 0, 1])) == digest(stats)
    nudged = stats.gram.lo.copy()
    nudged[4] += 2.0**-70
    changed = [
        Statistics(**{**vars(stats), "gram": DoubleDouble(stats.gram.hi, nudged)}),
        Statistics(**{**vars(stats), "rows": 901}),
        Statistics(**{**vars(stats), "features": (*F[:2], Feature("c", "B"))}),
        rebase(stats, ZERO),
    ]
    assert len({digest(other) for other in (stats, *changed)}) == 5


def test_a_permutation_of_the_features_permutes_the_merged_bits() -> None:
    parts = [publishable(pooled(part, choose_shift(part))) for part in cut(REAL, 100, 350)]
    turned = (F[2], F[0], F[1])
    assert digest(merge_snapshots(parts, turned)) == digest(merge_snapshots(parts, F))


def test_the_digest_is_of_the_histograms_too() -> None:
    stats, other = pooled(REAL), pooled(REAL)
    counts = stats.histograms.count.copy()
    counts[:2] += [1, -1]
    assert digest(replace(other, histograms=replace(other.histograms, count=counts))) != digest(stats)
    unknown = replace(other.histograms, known=np.zeros(3, dtype=np.bool_))
    assert digest(replace(other, histograms=unknown)) != digest(stats)


def test_forgetting_gives_back_the_bytes_before_learning() -> None:
    shift = choose_shift(REAL)
    before, batch = (pooled(part, shift) for part in cut(REAL, 600))
    after = subtract(add(before, batch), batch)
    assert raw(after) == raw(before)
    assert after.rows == before.rows
    assert np.array_equal(after.histograms.key, before.histograms.key)
    assert np.array_equal(after.histograms.count, before.histograms.count)


def test_an_extreme_stays_known_when_no_forgotten_row_reaches_it() -> None:
    columns: FloatArray = np.array([[1.0, 5.0, 9.0, 2.0, 9.0], [1.0, 2.0, 3.0, 0.0, 4.0]])
    two = [Feature("a", "C"), Feature("b", "C")]
    whole, batch = (accumulate(part, two, np.zeros(2)) for part in (columns, columns[:, 3:]))
    after = subtract(whole, batch)
    assert np.array_equal(after.minimum, [1.0, np.nan], equal_nan=True)
    assert np.array_equal(after.maximum, [np.nan, np.nan], equal_nan=True)
    assert np.isnan(add(after, batch).maximum).all()


def test_more_cannot_be_forgotten_than_was_learnt() -> None:
    with pytest.raises(StatisticsError, match="900 rows out of 10"):
        subtract(pooled(REAL[:, :10]), pooled(REAL))


def test_rebasing_is_the_sum_around_the_other_shift() -> None:
    shift = np.array([1.0, -7.0, 100.0])
    got, wanted = rebase(pooled(WHOLE), shift), pooled(WHOLE, shift)
    assert_within(got, exact(wanted), exact(pooled(np.abs(WHOLE) + 100)), 100)
    assert np.array_equal(got.shift, shift)


def test_shifts_whose_difference_is_no_float64_lose_no_digits() -> None:
    far = np.full(3, 1e9)
    stats = pooled(WHOLE)
    wanted = exact(rebase(stats, far))
    got = rebase(rebase(stats, np.full(3, 0.1)), far)
    assert_within(got, wanted, [abs(value) for value in wanted], 95)


def test_rebasing_there_and_back_loses_next_to_nothing() -> None:
    here = choose_shift(REAL)
    stats = pooled(REAL, here)
    there = rebase(stats, here + np.array([0.1, -3.0, 1e3]))
    largest = [max(abs(a), abs(b)) for a, b in zip(exact(stats), exact(there), strict=True)]
    scale = [max(largest)] * len(largest)
    assert_within(rebase(there, here), exact(stats), scale, 95)


def test_sums_around_different_shifts_are_not_added() -> None:
    with pytest.raises(StatisticsError, match="rebase them first"):
        add(pooled(REAL), pooled(REAL, np.ones(3)))


def test_a_feature_that_a_peer_lacks_has_no_count_there() -> None:
    whole = pooled(REAL[:, :500], choose_shift(REAL))
    part = accumulate(REAL[[2, 0], 500:], [F[2], F[0]], np.array([0.5, 999.0]))
    merged = merge_snapshots([part, whole], F)
    assert merged.count.tolist() == [900, 500, 900]
    assert merged.shift.tolist() == [999.0, whole.shift[1], 0.5]
    together = select(merged, [0, 2])
    wanted = accumulate(REAL[[0, 2]], [F[0], F[2]], np.array([999.0, 0.5]))
    np.testing.assert_allclose(together.gram.hi, wanted.gram.hi, rtol=1e-12)
    np.testing.assert_allclose(together.m4.hi, wanted.m4.hi, rtol=1e-12)
    alone = select(merged, [1])
    assert alone.gram.hi.tolist() == select(whole, [1]).gram.hi.tolist()
    with pytest.raises(GapsNotSupportedError, match="feature b is known in some of the 900 rows"):
        rebase(merged, ZERO)


def test_features_keep_their_index_and_new_ones_follow() -> None:
    assert extend_features(F[:2], [F[2], F[0]]) == F
    with pytest.raises(SchemaMismatchError, match="feature 'a' has type B where C is expected"):
        extend_features(F, [Feature("a", "B")])


def test_aligning_refuses_a_feature_without_a_place() -> None:
    with pytest.raises(SchemaMismatchError, match="no place for feature c"):
        align(pooled(REAL), F[:2])


def test_selecting_takes_the_pairs_along() -> None:
    columns = REAL[[2, 0]]
    wanted = accumulate(columns, [F[2], F[0]], ZERO[:2])
    np.testing.assert_allclose(select(pooled(REAL), [2, 0]).gram.hi, wanted.gram.hi, rtol=1e-14)
