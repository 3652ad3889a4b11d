"""Adding, subtracting and aligning statistics, element by element in double-double.

No BLAS and no reordering: the same snapshots in the same order give the same bytes on every peer and CPU.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from symfed_node.statistics.doubledouble import DoubleDouble, FloatArray, blocks, two_sum
from symfed_node.statistics.errors import GapsNotSupportedError, SchemaMismatchError, StatisticsError
from symfed_node.statistics.state import Feature, Statistics, diagonal, empty, select, triangle


def add(a: Statistics, b: Statistics) -> Statistics:
    """The statistics of the rows of both; they must have the same features and shift."""
    _check_same(a, b)
    return replace(
        a,
        rows=a.rows + b.rows,
        count=a.count + b.count,
        sum=a.sum.add(b.sum),
        gram=_in_blocks(DoubleDouble.add, a.gram, b.gram),
        m3=a.m3.add(b.m3),
        m4=a.m4.add(b.m4),
        minimum=np.minimum(a.minimum, b.minimum),
        maximum=np.maximum(a.maximum, b.maximum),
        histograms=a.histograms.add(b.histograms),
    )


def subtract(a: Statistics, b: Statistics) -> Statistics:
    """The statistics of the rows of `a` without those of `b`.

    An extreme stays known when no row of `b` reaches it. Whether `a` ever had these rows: `forget`.
    """
    _check_same(a, b)
    if b.rows > a.rows:
        raise StatisticsError(
            f"cannot take {b.rows} rows out of {a.rows}: more would be forgotten than were learnt"
        )
    return replace(
        a,
        rows=a.rows - b.rows,
        count=a.count - b.count,
        sum=a.sum.subtract(b.sum),
        gram=_in_blocks(DoubleDouble.subtract, a.gram, b.gram),
        m3=a.m3.subtract(b.m3),
        m4=a.m4.subtract(b.m4),
        minimum=np.where(b.minimum > a.minimum, a.minimum, np.nan),
        maximum=np.where(b.maximum < a.maximum, a.maximum, np.nan),
        histograms=a.histograms.subtract(b.histograms),
    )


def rebase(stats: Statistics, shift: FloatArray) -> Statistics:
    """The same rows around another `shift` (p,), in closed form.

    With d = old − new shift: Σ(x+d) = s + nd, Σ(x+d)(y+e) = S + d·s_y + e·s_x + nde; m3 and m4 likewise.
    Raises GapsNotSupportedError when a feature is known in some of the rows only.
    """
    _check_no_gaps(stats)
    if np.array_equal(stats.shift, shift):
        return stats
    known = stats.count > 0
    high, low = two_sum(stats.shift, -shift)
    d = DoubleDouble(np.where(known, high, 0.0), np.where(known, low, 0.0))
    n = float(stats.rows)
    s, m3 = stats.sum, stats.m3
    squares = stats.gram.take(diagonal(len(stats.features)))
    d2 = d.multiply(d)
    d3 = d2.multiply(d)
    return replace(
        stats,
        shift=np.array(shift, dtype=np.float64),
        sum=s.add(d.scale(n)),
        gram=_shifted_gram(stats.gram, d, s.add(d.scale(n / 2))),
        m3=m3.add(d.multiply(squares).scale(3.0)).add(d2.multiply(s).scale(3.0)).add(d3.scale(n)),
        m4=stats.m4.add(d.multiply(m3).scale(4.0))
        .add(d2.multiply(squares).scale(6.0))
        .add(d3.multiply(s).scale(4.0))
        .add(d3.multiply(d).scale(n)),
    )


def _shifted_gram(gram: DoubleDouble, d: DoubleDouble, t: DoubleDouble) -> DoubleDouble:
    """S + d·t_y + e·t_x with t = s + nd/2, the packed form of S + d·s_y + e·s_x + nde.

    Symmetric in the two features, so the order of the features does not change a bit of it.
    """
    rows, columns = triangle(len(d.hi))
    result = DoubleDouble(np.empty_like(gram.hi), np.empty_like(gram.lo))
    for block in blocks(len(rows)):
        i, j = rows[block], columns[block]
        crossed = d.take(i).multiply(t.take(j)).add(d.take(j).multiply(t.take(i)))
        result.put(block, gram.cut(block).add(crossed))
    return result


def extend_features(features: Sequence[Feature], others: Sequence[Feature]) -> tuple[Feature, ...]:
    """`features` with those of `others` that it lacks behind them; SchemaMismatchError on a type conflict."""
    types = {feature.name: feature.type for feature in features}
    for other in others:
        if types.setdefault(other.name, other.type) != other.type:
            raise SchemaMismatchError(
                f"feature {other.name!r} has type {other.type} where {types[other.name]} is expected"
            )
    order = {feature.name: feature for feature in (*features, *others)}
    return tuple(order.values())


def align(stats: Statistics, features: Sequence[Feature]) -> Statistics:
    """`stats` with exactly `features`, in that order; one that `stats` lacks has count 0 and shift 0.

    Raises SchemaMismatchError when `stats` has a feature that is not in `features`, or of another type.
    """
    wanted = tuple(features)
    if wanted == stats.features:
        return stats
    names = {feature.name for feature in wanted}
    if extra := [feature.name for feature in stats.features if feature.name not in names]:
        raise SchemaMismatchError(
            f"no place for feature {', '.join(extra)}: it is not among {', '.join(sorted(names))}"
        )
    all_features = extend_features(stats.features, wanted)
    widened = _widen(stats, all_features[len(stats.features) :])
    return select(widened, [widened.index(feature.name) for feature in wanted])


def merge_snapshots(snapshots: Sequence[Statistics], features: Sequence[Feature]) -> Statistics:
    """The sum of `snapshots` in the order given, each rebased to the first one's shift, over `features`.

    A feature that the first lacks takes its shift from the first that has it. Raises SchemaMismatchError.
    """
    aligned = [align(snapshot, features) for snapshot in snapshots]
    shift = np.zeros(len(features))
    for stats in reversed(aligned):
        shift = np.where(stats.count > 0, stats.shift, shift)
    return reduce(add, (rebase(stats, shift) for stats in aligned), empty(features, shift))


def digest(stats: Statistics) -> str:
    """SHA-256 (hex) of the statistics, features in the order of their names, without the extremes.

    Peers whose features have different indexes thus get the same digest for the same sums.
    """
    ordered = select(stats, sorted(range(len(stats.features)), key=lambda position: stats.names[position]))
    pairs = [[feature.name, feature.type] for feature in ordered.features]
    sha = hashlib.sha256(json.dumps([ordered.rows, pairs], separators=(",", ":")).encode())
    histograms = ordered.histograms
    sha.update(histograms.known.tobytes())
    for whole in (ordered.count, histograms.key, histograms.count):
        sha.update(whole.astype("<i8").tobytes())
    sums = (ordered.sum, ordered.gram, ordered.m3, ordered.m4)
    for values in (ordered.shift, *(half for dd in sums for half in (dd.hi, dd.lo))):
        sha.update(np.where(np.isnan(values), np.nan, values).astype("<f8").tobytes())  # one NaN for all CPUs
    return sha.hexdigest()


def _widen(stats: Statistics, absent: Sequence[Feature]) -> Statistics:
    """`stats` with features that none of its rows has, behind its own."""
    p = len(absent)
    none = empty(absent, np.zeros(p))
    pairs = DoubleDouble.zeros(len(triangle(len(stats.features) + p)[0]) - len(stats.gram.hi))
    return replace(
        stats,
        features=(*stats.features, *absent),
        shift=np.concatenate([stats.shift, none.shift]),
        count=np.concatenate([stats.count, none.count]),
        sum=_concatenate(stats.sum, none.sum),
        gram=_concatenate(stats.gram, pairs),
        m3=_concatenate(stats.m3, none.m3),
        m4=_concatenate(stats.m4, none.m4),
        minimum=np.concatenate([stats.minimum, none.minimum]),
        maximum=np.concatenate([stats.maximum, none.maximum]),
        histograms=stats.histograms.widen(len(stats.features) + p),
    )


def _in_blocks(
    operation: Callable[[DoubleDouble, DoubleDouble], DoubleDouble], a: DoubleDouble, b: DoubleDouble
) -> DoubleDouble:
    """An elementwise operation on long arrays, done piece by piece in the cache."""
    result = DoubleDouble(np.empty_like(a.hi), np.empty_like(a.lo))
    for block in blocks(len(a.hi)):
        result.put(block, operation(a.cut(block), b.cut(block)))
    return result


def _concatenate(a: DoubleDouble, b: DoubleDouble) -> DoubleDouble:
    return DoubleDouble(np.concatenate([a.hi, b.hi]), np.concatenate([a.lo, b.lo]))


def _check_same(a: Statistics, b: Statistics) -> None:
    if a.features != b.features:
        raise SchemaMismatchError(
            f"cannot add features {', '.join(b.names)} to {', '.join(a.names)}: align them first"
        )
    if not np.array_equal(a.shift, b.shift):
        raise StatisticsError("cannot add sums around different shifts: rebase them first")


def _check_no_gaps(stats: Statistics) -> None:
    gaps = [
        feature.name
        for feature, count in zip(stats.features, stats.count, strict=True)
        if count not in (0, stats.rows)
    ]
    if gaps:
        raise GapsNotSupportedError(
            f"feature {', '.join(gaps)} is known in some of the {stats.rows} rows only"
        )
