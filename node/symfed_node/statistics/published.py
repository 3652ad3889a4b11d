"""What of a peer's statistics leaves it, and what comes back from others."""

from dataclasses import replace
from typing import Final

import numpy as np

from symfed_node.statistics.doubledouble import DoubleDouble, FloatArray
from symfed_node.statistics.errors import (
    GapsNotSupportedError,
    TooFewRowsError,
    ValueOutOfRangeError,
)
from symfed_node.statistics.histogram import BoolArray, Histograms, not_known, of_bins
from symfed_node.statistics.merge import rebase
from symfed_node.statistics.moments import means, variances
from symfed_node.statistics.shift import grid_shift
from symfed_node.statistics.state import LARGEST_VALUE, Feature, Statistics
from symfed_wire.snapshot import SnapshotBody
from symfed_wire.snapshot_histogram import SnapshotHistogram

_POWERS: Final = {"sum": 1, "gram": 2, "m3": 3, "m4": 4}


def rows_needed(p: int) -> int:
    """The fewest rows of `p` features that a snapshot, or a change since the last one, may stand for."""
    return p + 5


def publishable(stats: Statistics) -> Statistics:
    """`stats` as others may see them: shift on a coarse grid, high words only, no extremes,
    no bin with few rows.

    Raises TooFewRowsError below `rows_needed`.
    """
    p = len(stats.features)
    if stats.rows < rows_needed(p):
        raise TooFewRowsError(
            f"{stats.rows} rows of {p} features may not be published: at least {rows_needed(p)} are needed"
        )
    around = rebase(stats, grid_shift(np.nan_to_num(means(stats)), np.sqrt(variances(stats))))
    unknown = np.full(p, np.nan)
    return replace(
        around,
        sum=DoubleDouble.of(around.sum.hi),
        gram=DoubleDouble.of(around.gram.hi),
        m3=DoubleDouble.of(around.m3.hi),
        m4=DoubleDouble.of(around.m4.hi),
        minimum=unknown,
        maximum=unknown,
        histograms=around.histograms.pooled(),
    )


def to_snapshot(stats: Statistics) -> SnapshotBody:
    """The snapshot of `publishable` statistics."""
    return SnapshotBody(
        names=stats.names,
        types=tuple(feature.type for feature in stats.features),
        rows=stats.rows,
        shift=stats.shift,
        count=stats.count,
        sum=stats.sum.hi,
        gram=stats.gram.hi,
        m3=stats.m3.hi,
        m4=stats.m4.hi,
        histogram=_to_snapshot_histogram(stats.histograms),
    )


def from_snapshot(body: SnapshotBody) -> Statistics:
    """The statistics in a peer's snapshot.

    Raises GapsNotSupportedError when a feature is known in some of its rows only, and ValueOutOfRangeError
    for sums that no values give, which would leave none of the merged ones finite.
    """
    _check_range(body)
    gaps = [name for name, count in zip(body.names, body.count, strict=True) if count not in (0, body.rows)]
    if gaps:
        raise GapsNotSupportedError(
            f"the snapshot knows feature {', '.join(gaps)} in some of its {body.rows} rows only"
        )
    unknown = np.full(len(body.names), np.nan)
    return Statistics(
        features=tuple(Feature(name, type_) for name, type_ in zip(body.names, body.types, strict=True)),
        rows=body.rows,
        shift=body.shift,
        count=body.count,
        sum=DoubleDouble.of(body.sum),
        gram=DoubleDouble.of(body.gram),
        m3=_known(body.m3, unknown),
        m4=_known(body.m4, unknown),
        minimum=unknown,
        maximum=unknown,
        histograms=_from_snapshot_histogram(body.histogram, body.count > 0),
    )


def _check_range(body: SnapshotBody) -> None:
    farthest = 2 * LARGEST_VALUE  # from the shift
    bounds = {name: body.rows * farthest**power for name, power in _POWERS.items()}
    for name, most in {"shift": LARGEST_VALUE, **bounds}.items():
        values = getattr(body, name)
        if values is not None and (np.abs(values) > most).any():
            raise ValueOutOfRangeError(
                f"{name} of the snapshot is larger than {body.rows} rows of values up to "
                f"{LARGEST_VALUE:.0e} give"
            )


def _known(values: FloatArray | None, unknown: FloatArray) -> DoubleDouble:
    return DoubleDouble.of(unknown if values is None else values)


def _to_snapshot_histogram(histograms: Histograms) -> SnapshotHistogram:
    feature, length = np.unique(histograms.feature, return_counts=True)
    return SnapshotHistogram(feature, length, histograms.bin, histograms.count)


def _from_snapshot_histogram(histogram: SnapshotHistogram | None, has_rows: BoolArray) -> Histograms:
    if histogram is None:
        return not_known(has_rows)
    known = ~has_rows
    known[histogram.feature] = True
    return of_bins(known, np.repeat(histogram.feature, histogram.length), histogram.bin, histogram.count)
