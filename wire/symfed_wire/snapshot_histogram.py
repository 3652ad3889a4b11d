"""The histograms in a snapshot: how many rows of a feature lie in which bin (federation.md, Snapshots).

A bin holds the numbers whose first bits are the same: sign, exponent and MANTISSA_BITS of the mantissa. So no
range has to be agreed, and histograms of different peers add up exactly. A bin's number is those bits of the
magnitude, b = bits(|x|) >> BIN_SHIFT, and ~b below zero: numbers and values have one order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symfed_wire.errors import SymfedError

IntArray: TypeAlias = npt.NDArray[np.int64]

MANTISSA_BITS: Final = 6
"""64 bins between two powers of two, each at most 1.6 % wide.

A bin's number then has 17 bits and a sign, where int32 would take 20 bits of the mantissa. But size decides:
a million normal rows around zero fill 1,400 bins of 5 rows or more (17 KB a feature), measurements within one
or two powers of two at most 128. Each further bit doubles that.
"""
BIN_SHIFT: Final = 52 - MANTISSA_BITS
BIN_LIMIT: Final = 0x7FF << MANTISSA_BITS
"""the number that infinity would have: finite values stay below, in both directions"""

ARROW_TYPE: Final = pa.list_(
    pa.struct([("feature", pa.int32()), ("bin", pa.list_(pa.int32())), ("count", pa.list_(pa.uint64()))])
)


class SnapshotError(SymfedError):
    """Bytes that are no snapshot."""

    reason = "SnapshotInvalid"


@dataclass(frozen=True, eq=False)
class SnapshotHistogram:
    """Rows per bin of f features, k bins together. A feature that has rows and is not here is not known."""

    feature: IntArray
    """positions among the snapshot's names, ascending, (f,)"""
    length: IntArray
    """how many bins each of these features has, (f,)"""
    bin: IntArray
    """the bins' numbers, ascending within a feature, (k,)"""
    count: IntArray
    """rows in each bin, (k,)"""


def to_arrow(histogram: SnapshotHistogram) -> pa.Array:
    """The one cell of the snapshot's field, as an array."""
    ends = np.concatenate([[0], np.cumsum(histogram.length)]).astype(np.int32)
    structs = pa.StructArray.from_arrays(
        [
            pa.array(histogram.feature, type=pa.int32()),
            pa.ListArray.from_arrays(ends, pa.array(histogram.bin, type=pa.int32())),
            pa.ListArray.from_arrays(ends, pa.array(histogram.count, type=pa.uint64())),
        ],
        fields=list(ARROW_TYPE.value_type),
    )
    return pa.ListArray.from_arrays(np.array([0, len(structs)], dtype=np.int32), structs)


def from_arrow(cell: pa.Scalar) -> SnapshotHistogram:
    """What `to_arrow` wrote. Raises SnapshotError for a null, and where bins and counts do not pair."""
    structs = cell.values
    feature, bins, counts = (structs.field(name) for name in ("feature", "bin", "count"))
    parts = (structs, feature, bins, counts, bins.flatten(), counts.flatten())
    if any(part.null_count for part in parts):
        raise SnapshotError("histogram of the snapshot has a null")
    length = bins.value_lengths().to_numpy().astype(np.int64)
    if not np.array_equal(length, counts.value_lengths().to_numpy()):
        raise SnapshotError("histogram of the snapshot has a feature with more bins than counts, or fewer")
    count = counts.flatten().to_numpy()
    if (count >= 2**63).any():
        raise SnapshotError("histogram of the snapshot counts more rows than there can be")
    return SnapshotHistogram(
        feature=feature.to_numpy().astype(np.int64),
        length=length,
        bin=bins.flatten().to_numpy().astype(np.int64),
        count=count.astype(np.int64),
    )


def check(histogram: SnapshotHistogram, names: tuple[str, ...], count: IntArray) -> None:
    """Raises SnapshotError unless every feature's bins are in order and hold the rows of its `count` (p,)."""
    feature, length = histogram.feature, histogram.length
    if (feature < 0).any() or (feature >= len(names)).any():
        raise SnapshotError(f"histogram of the snapshot has a feature that is none of its {len(names)}")
    if (np.diff(feature) <= 0).any():
        raise SnapshotError("histogram of the snapshot has its features twice or out of order")
    of_bin = np.repeat(np.arange(len(feature)), length)
    too_far = (histogram.bin < -BIN_LIMIT) | (histogram.bin >= BIN_LIMIT)
    _refuse(names, feature[of_bin[too_far]], "beyond the largest float64")
    unsorted = (np.diff(histogram.bin) <= 0) & (np.diff(of_bin) == 0)
    _refuse(names, feature[of_bin[1:][unsorted]], "twice or out of order")
    most = count[feature[of_bin]]
    _refuse(
        names,
        feature[of_bin[(histogram.count <= 0) | (histogram.count > most)]],
        "with no rows, or with more than the feature has",
    )
    sums = np.zeros(len(feature), dtype=np.int64)
    np.add.at(sums, of_bin, histogram.count)
    for position in feature[sums != count[feature]]:
        raise SnapshotError(
            f"histogram of feature {names[position]!r} in the snapshot does not count its "
            f"{count[position]} rows"
        )


def _refuse(names: tuple[str, ...], positions: IntArray, fault: str) -> None:
    for position in positions:
        raise SnapshotError(f"histogram of feature {names[position]!r} in the snapshot has a bin {fault}")
