"""Statistics as bytes on the node's own volume: every bit of them, high and low words.

A 4-byte length, a JSON header with features and rows, then the arrays, all little-endian. Not for others:
what leaves the node is the snapshot (`symfed_wire.snapshot`).
"""

import json
import struct
from typing import Final

import numpy as np

from symfed_node.errors import CorruptDataError
from symfed_node.statistics.doubledouble import DoubleDouble, FloatArray
from symfed_node.statistics.state import Feature, Statistics, triangle_size

_LENGTH: Final = struct.Struct("<I")
_VECTORS: Final = ("shift", "minimum", "maximum")
_SUMS: Final = ("sum", "gram", "m3", "m4")


def to_bytes(stats: Statistics) -> bytes:
    """All of `stats`."""
    features = [[feature.name, feature.type] for feature in stats.features]
    header = json.dumps({"features": features, "rows": stats.rows}).encode()
    vectors = [getattr(stats, name) for name in _VECTORS]
    words = [word for name in _SUMS for word in (getattr(stats, name).hi, getattr(stats, name).lo)]
    arrays = b"".join(array.astype("<f8").tobytes() for array in (*vectors, *words))
    return _LENGTH.pack(len(header)) + header + stats.count.astype("<i8").tobytes() + arrays


def from_bytes(data: bytes) -> Statistics:
    """What `to_bytes` wrote. Raises CorruptDataError when the sizes do not fit."""
    try:
        return _read(data)
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise CorruptDataError(f"stored statistics cannot be read: {error}") from error


def _read(data: bytes) -> Statistics:
    (header_length,) = _LENGTH.unpack_from(data)
    start = _LENGTH.size + header_length
    header = json.loads(data[_LENGTH.size : start])
    features = tuple(Feature(str(name), str(kind)) for name, kind in header["features"])
    p = len(features)
    count = np.frombuffer(data, dtype="<i8", count=p, offset=start).astype(np.int64)
    numbers = np.frombuffer(data, dtype="<f8", offset=start + 8 * p).astype(np.float64)
    sizes = [p] * len(_VECTORS) + [triangle_size(p) if name == "gram" else p for name in _SUMS for _ in "hl"]
    if sum(sizes) != len(numbers):
        raise ValueError(f"{len(numbers)} numbers where {p} features need {sum(sizes)}")
    parts: list[FloatArray] = np.split(numbers, np.cumsum(sizes[:-1]))
    shift, minimum, maximum, *words = parts
    total, gram, m3, m4 = (DoubleDouble(words[i], words[i + 1]) for i in range(0, 8, 2))
    return Statistics(
        features=features,
        rows=int(header["rows"]),
        shift=shift,
        count=count,
        sum=total,
        gram=gram,
        m3=m3,
        m4=m4,
        minimum=minimum,
        maximum=maximum,
    )
