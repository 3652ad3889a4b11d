"""Histograms on the float's own bits: exact counts, exact sums, and no bin of few rows for others."""

from collections.abc import Sequence

import numpy as np
import pytest

from symfed_node.statistics.histogram import (
    FEWEST_ROWS,
    FloatArray,
    Histograms,
    count_values,
    edges,
    not_known,
)

RNG = np.random.default_rng(5)


def columns(n: int) -> FloatArray:
    """Five features: around zero, 0 and 1, huge negatives, subnormal, measurements."""
    normal = RNG.normal(size=(3, n))
    binary = RNG.integers(0, 2, n).astype(np.float64)
    return np.stack(
        [normal[0], binary, -np.abs(normal[1]) * 1e300, normal[2] * 1e-310, RNG.normal(50.0, 2.0, n)]
    )


def bins_of(histograms: Histograms, feature: int) -> dict[int, int]:
    of = histograms.feature == feature
    return dict(zip(histograms.bin[of].tolist(), histograms.count[of].tolist(), strict=True))


def same(a: Histograms, b: Histograms) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in vars(a))


@pytest.mark.parametrize("n", [1, 500, 5000, 40_000])
def test_each_bin_counts_the_values_between_its_edges(n: int) -> None:
    """By sorting, by a table, and where a table would be too long."""
    values = columns(n)
    histograms = count_values(values)
    assert histograms.known.all()
    assert np.all(np.diff(histograms.key) > 0)
    for feature, column in enumerate(values):
        of = histograms.feature == feature
        assert histograms.count[of].sum() == n
        number = histograms.bin[of]
        low, high = edges(number)
        assert np.all(high[:-1] <= low[1:])
        ascending = np.sort(column)
        left = np.searchsorted(ascending, low, side="left"), np.searchsorted(ascending, low, side="right")
        right = np.searchsorted(ascending, high, side="left"), np.searchsorted(ascending, high, side="right")
        inside = np.where(number < 0, right[1] - left[1], right[0] - left[0])
        assert np.array_equal(inside, histograms.count[of])


def test_a_bin_is_at_most_a_64th_wide() -> None:
    low, high = edges(np.array([65472, 65535, -65473, 0, -1]))
    assert low.tolist() == [1.0, 1.984375, -1.015625, 0.0, -(2.0**-1028)]
    assert high.tolist() == [1.015625, 2.0, -1.0, 2.0**-1028, 0.0]


def test_parts_add_up_and_come_off_again() -> None:
    values = columns(6000)
    whole, part, rest = (count_values(values[:, cut]) for cut in (slice(None), slice(0, 99), slice(99, None)))
    assert same(part.add(rest), whole)
    assert same(rest.add(part), whole)
    assert same(whole.subtract(part), rest)
    assert (part.subtract(whole).count < 0).any()


def test_features_are_picked_and_joined_by_ones_without_rows() -> None:
    histograms = count_values(columns(300))
    picked = histograms.select(np.array([4, 0, 1]))
    for new, old in enumerate((4, 0, 1)):
        assert bins_of(picked, new) == bins_of(histograms, old)
    wide = histograms.widen(7)
    assert wide.known.all()
    assert bins_of(wide, 6) == {}
    assert same(wide.select(np.arange(5)), histograms)


def test_what_one_side_does_not_know_is_not_known_of_both() -> None:
    histograms = count_values(columns(300))
    other = not_known(np.array([True, False, False, False, False]))
    both = histograms.add(other)
    assert both.known.tolist() == [False, True, True, True, True]
    assert bins_of(both, 0) == {}
    assert bins_of(both, 1) == bins_of(histograms, 1)


def histogram_of(counts: Sequence[int]) -> Histograms:
    return count_values(np.repeat(1.0 + np.arange(len(counts)) / 64, counts)[None])


@pytest.mark.parametrize(
    ("counts", "pooled"),
    [
        ([5, 9, 7], {0: 5, 1: 9, 2: 7}),
        ([1, 9, 7], {1: 10, 2: 7}),
        ([9, 7, 1], {0: 9, 1: 8}),
        ([9, 1, 7], {0: 9, 2: 8}),
        ([1, 1, 1, 1, 1, 9], {2: 5, 5: 9}),
        ([4, 4], {0: 8}),
        ([2, 2], None),
        ([4], None),
        ([5], {0: 5}),
        ([9, 1, 1, 1, 1], {0: 13}),
    ],
)
def test_bins_of_few_rows_are_pooled(counts: list[int], pooled: dict[int, int] | None) -> None:
    result = histogram_of(counts).pooled()
    assert result.known.tolist() == [pooled is not None]
    assert bins_of(result, 0) == {65472 + bin: rows for bin, rows in (pooled or {}).items()}


@pytest.mark.parametrize("n", [5, 31, 5000])
def test_pooling_keeps_every_row_and_leaves_no_bin_of_few(n: int) -> None:
    histograms = count_values(columns(n))
    pooled = histograms.pooled()
    assert pooled.count.min() >= FEWEST_ROWS
    assert np.all(np.diff(pooled.key) > 0)
    assert set(pooled.key) <= set(histograms.key)
    assert [sum(bins_of(pooled, feature).values()) for feature in range(5)] == [n] * 5
    assert same(pooled.pooled(), pooled)


def test_a_lone_extreme_is_not_told() -> None:
    ages = np.concatenate([np.repeat([40.0, 41.0, 42.0], 20), [107.0]])[None]
    assert max(bins_of(count_values(ages).pooled(), 0)) < min(bins_of(count_values(ages[:, -1:]), 0))


def test_rows_apart_is_what_rows_differ_in_at_least() -> None:
    values = RNG.normal(50.0, 10.0, size=(3, 400))
    base = count_values(values[:, :300])
    assert base.rows_apart(base) == 0
    assert base.rows_apart(count_values(values[:, :340])) == 40
    replaced = base.rows_apart(count_values(values[:, 20:320]))
    assert 20 < replaced <= 40
    assert count_values(values[:, :1]).rows_apart(count_values(values[:, 1:2])) == 2
