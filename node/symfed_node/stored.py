"""Statistics as bytes on the node's own volume: every bit of them, high and low words.

A 4-byte length, a JSON header with features and rows, then the arrays, all little-endian. The first version
had no histograms and no version in its header. Not for others: what leaves the node is the snapshot
(`symfed_wire.snapshot`).
"""

import json
import struct
from typing import Final

import numpy as np

from symfed_node.errors import CorruptDataError
from symfed_node.statistics.doubledouble import DoubleDouble, FloatArray
from symfed_node.statistics.histogram import Histograms, not_known
from symfed_node.statistics.state import Feature, Statistics, triangle_size

_LENGTH: Final = struct.Struct("<I")
_VECTORS: Final = ("shift", "minimum", "maximum")
_VERSION: Final = 2
_SUMS: Final = ("sum", "gram", "m3", "m4")


def to_bytes(stats: Statistics) -> bytes:
    """All of `stats`."""
    features = [[feature.name, feature.type] for feature in stats.features]
    histograms = stats.histograms
    header = json.dumps(
        {
            "version": _VERSION,
            "features": features,
            "rows": stats.rows,
            "histograms": histograms.known.tolist(),
            "bins": len(histograms.key),
        }
    ).encode()
    words = [word for name in _SUMS for word in (getattr(stats, name).hi, getattr(stats, name).lo)]
    floats = [getattr(stats, name) for name in _VECTORS] + words
    wholes = [stats.count, histograms.key, histograms.count]
    arrays = [*(array.astype("<i8") for array in wholes), *(array.astype("<f8") for array in floats)]
    return _LENGTH.pack(len(header)) + header + b"".join(array.tobytes() for array in arrays)


def from_bytes(data: bytes) -> Statistics:
    """What `to_bytes` wrote, of this version or of the first. Raises CorruptDataError for anything else."""
    try:
        return _read(data)
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise CorruptDataError(f"stored statistics cannot be read: {error}") from error


def _read(data: bytes) -> Statistics:
    (header_length,) = _LENGTH.unpack_from(data)
    start = _LENGTH.size + header_length
    header = json.loads(data[_LENGTH.size : start])
    version = header.get("version", 1)
    if version > _VERSION:
        raise ValueError(f"they have version {version}, this program reads up to {_VERSION}")
    features = tuple(Feature(str(name), str(kind)) for name, kind in header["features"])
    p, bins = len(features), int(header.get("bins", 0))
    wholes = np.frombuffer(data, dtype="<i8", count=p + 2 * bins, offset=start).astype(np.int64)
    count, key, in_bins = np.split(wholes, [p, p + bins])
    numbers = np.frombuffer(data, dtype="<f8", offset=start + 8 * len(wholes)).astype(np.float64)
    sizes = [p] * len(_VECTORS) + [triangle_size(p) if name == "gram" else p for name in _SUMS for _ in "hl"]
    if sum(sizes) != len(numbers):
        raise ValueError(f"{len(numbers)} numbers where {p} features need {sum(sizes)}")
    parts: list[FloatArray] = np.split(numbers, np.cumsum(sizes[:-1]))
    shift, minimum, maximum, *words = parts
    total, gram, m3, m4 = (DoubleDouble(words[i], words[i + 1]) for i in range(0, 8, 2))
    known = not_known(count > 0).known if version == 1 else np.array(header["histograms"], dtype=np.bool_)
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
        histograms=Histograms(known, key, in_bins),
    )
