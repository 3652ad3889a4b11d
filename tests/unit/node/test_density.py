"""Histograms in equal bins: rows in range are all counted, in the right places."""

import numpy as np
import pytest
from pydantic import JsonValue

from symfed_node.density import Bins, density
from symfed_node.errors import NoRowsError
from symfed_node.statistics.accumulate import accumulate
from symfed_node.statistics.doubledouble import FloatArray
from symfed_node.statistics.published import from_snapshot, publishable, to_snapshot
from symfed_node.statistics.state import Feature, Statistics, empty
from symfed_wire.errors import MalformedError
from symfed_wire.snapshot import SnapshotBody

VALUES: FloatArray = np.random.default_rng(6).normal(3.0, 2.0, 4000)


def stats_of(values: FloatArray, kind: str = "C") -> Statistics:
    return accumulate(values[None], [Feature("a", kind)], np.zeros(1))


@pytest.mark.parametrize("bins", [1, 10, 37, 1000])
def test_all_rows_are_counted_from_the_least_value_to_the_largest(bins: int) -> None:
    found = density(stats_of(VALUES), 0, Bins(bins))
    assert (found.name, found.low, found.high) == ("a", VALUES.min(), VALUES.max())
    assert found.width == (VALUES.max() - VALUES.min()) / bins
    assert found.rows.sum() == pytest.approx(4000, rel=1e-13)
    assert len(found.rows) == bins
    assert found.rows.min() >= 0


def test_rows_are_in_the_bins_that_have_them() -> None:
    found = density(stats_of(VALUES), 0, Bins(8, -1.0, 7.0))
    exact, _ = np.histogram(VALUES, 8, (-1.0, 7.0))
    assert np.abs(found.rows - exact).max() < 0.06 * exact.max()
    assert abs(found.rows.sum() - exact.sum()) < 20


def test_halves_of_the_range_count_what_the_whole_does() -> None:
    stats = stats_of(VALUES)
    low, middle, high = VALUES.min(), 3.3, VALUES.max()
    halves = (
        density(stats, 0, Bins(1, low, middle)).rows[0] + density(stats, 0, Bins(1, middle, high)).rows[0]
    )
    assert halves == pytest.approx(4000, rel=1e-13)
    assert density(stats, 0, Bins(5, 100.0, 200.0)).rows.tolist() == [0.0] * 5


def test_binary_values_are_0_and_1_at_home_and_from_others() -> None:
    stats = stats_of(np.repeat([0.0, 1.0], [100, 50]), "B")
    for each in (stats, publishable(stats)):
        found = density(each, 0, Bins(2))
        assert (found.low, found.high, found.width, found.rows.tolist()) == (0.0, 1.0, 0.5, [100.0, 50.0])


def test_one_value_has_a_bin_around_it() -> None:
    found = density(stats_of(np.full(7, 4.0)), 0, Bins(3))
    assert (found.low, found.high, found.rows.tolist()) == (3.5, 4.5, [0.0, 7.0, 0.0])


def test_of_others_the_ends_are_those_of_the_outermost_bins() -> None:
    out = publishable(stats_of(VALUES))
    found = density(out, 0, Bins(20))
    assert found.rows.sum() == pytest.approx(4000, rel=1e-13)
    assert found.low != VALUES.min()


def test_without_rows_or_histograms_there_is_none() -> None:
    with pytest.raises(NoRowsError, match="no row has a value of a"):
        density(empty([Feature("a", "C")], np.zeros(1)), 0, Bins())
    fields = vars(to_snapshot(publishable(stats_of(VALUES)))) | {"histogram": None}
    with pytest.raises(NoRowsError, match="a: some of the rows were learnt by a version without histograms"):
        density(from_snapshot(SnapshotBody(**fields)), 0, Bins())


@pytest.mark.parametrize(
    ("parameters", "bins"),
    [
        ({}, Bins(10, None, None)),
        ({"hist_bins": "20", "hist_use_random": "true"}, Bins(20, None, None)),
        ({"hist_bins": 5, "hist_min": "-1.5", "hist_max": 2}, Bins(5, -1.5, 2.0)),
    ],
)
def test_the_bins_that_are_asked_for(parameters: dict[str, JsonValue], bins: Bins) -> None:
    assert Bins.of(parameters) == bins


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hist_bins": 0}, "hist_bins must be a whole number from 1 to 1000"),
        ({"hist_bins": 1001}, "hist_bins must be a whole number from 1 to 1000"),
        ({"hist_bins": "2.5"}, "hist_bins must be a whole number from 1 to 1000"),
        ({"hist_bins": "many"}, "hist_bins must be a finite number"),
        ({"hist_min": True}, "hist_min must be a finite number"),
        ({"hist_max": "inf"}, "hist_max must be a finite number"),
        ({"hist_max": [1]}, "hist_max must be a finite number"),
        ({"hist_min": 10**400}, "hist_min must be a finite number"),
        ({"hist_min": 2, "hist_max": 2}, "hist_min must be below hist_max"),
        (
            {"hist_min": 100},
            "hist_min must be below hist_max.*; the one that is not given is",
        ),
        ({"hist_min": -1.7e308, "hist_max": 1.7e308}, "hist_min must be below hist_max, and not too far"),
    ],
)
def test_bins_that_are_none_are_told(parameters: dict[str, JsonValue], message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        density(stats_of(VALUES), 0, Bins.of(parameters))
