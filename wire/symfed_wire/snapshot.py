"""The body of a peer's snapshot: one Arrow IPC stream (federation.md, Snapshots).

Needs numpy and pyarrow, so only the node imports this module.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symfed_wire import snapshot_histogram
from symfed_wire.arrow_messages import is_plain
from symfed_wire.frames import LONGEST_NAME
from symfed_wire.snapshot_histogram import IntArray, SnapshotError, SnapshotHistogram

__all__ = ["MOST_ROWS", "SnapshotBody", "SnapshotError", "decode", "encode"]

FloatArray: TypeAlias = npt.NDArray[np.float64]

MOST_ROWS = 1 << 44
"""so that no sum over a feature's bins, or over thousands of members, passes 63 bits"""

_VERSION_KEY = b"symfed.snapshot"
_VERSION = b"1"
_TYPES = {
    "names": pa.list_(pa.utf8()),
    "types": pa.list_(pa.utf8()),
    "rows": pa.uint64(),
    "shift": pa.list_(pa.float64()),
    "sum": pa.list_(pa.float64()),
    "m3": pa.list_(pa.float64()),
    "m4": pa.list_(pa.float64()),
    "count": pa.list_(pa.uint64()),
    "gram": pa.large_list(pa.float64()),
    "histogram": snapshot_histogram.ARROW_TYPE,
}
_OPTIONAL = {"m3", "m4", "histogram"}


@dataclass(frozen=True, eq=False)
class SnapshotBody:
    """A peer's sums over its rows x around the shift c; p features."""

    names: tuple[str, ...]
    types: tuple[str, ...]
    rows: int
    shift: FloatArray
    """c, (p,)"""
    count: IntArray
    """rows in which the feature is known, (p,)"""
    sum: FloatArray
    """Σ(x−c), (p,)"""
    gram: FloatArray
    """Σ(x−c)(x−c)ᵀ, lower triangle row by row, (p(p+1)/2,)"""
    m3: FloatArray | None
    """Σ(x−c)³, (p,); None: not known"""
    m4: FloatArray | None
    """Σ(x−c)⁴, (p,); None: not known"""
    histogram: SnapshotHistogram | None = None
    """None: not known"""


def encode(body: SnapshotBody) -> bytes:
    """The stream; the same body gives the same bytes. Raises SnapshotError where sizes disagree."""
    _check(body)
    floats = {"shift": body.shift, "sum": body.sum, "m3": body.m3, "m4": body.m4, "gram": body.gram}
    cells: dict[str, object] = {
        "names": list(body.names),
        "types": list(body.types),
        "rows": body.rows,
        "count": body.count.astype(np.uint64),
        # + 0.0 turns -0.0 into 0.0
        **{name: values + 0.0 for name, values in floats.items() if values is not None},
    }
    columns = {name: pa.array([cell], type=_TYPES[name]) for name, cell in cells.items()}
    if body.histogram is not None:
        columns["histogram"] = snapshot_histogram.to_arrow(body.histogram)
    fields = [(name, kind) for name, kind in _TYPES.items() if name in columns]
    schema = pa.schema(fields, metadata={_VERSION_KEY: _VERSION})
    batch = pa.record_batch([columns[name] for name, _ in fields], schema=schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def decode(data: bytes) -> SnapshotBody:
    """The snapshot in `data`; fields that are not known here are ignored. Raises SnapshotError."""
    cells = _read(data)
    missing = [name for name in _TYPES if name not in cells and name not in _OPTIONAL]
    if missing:
        raise SnapshotError(f"the snapshot lacks {', '.join(missing)}")
    rows = cells["rows"].as_py()
    count = cells["count"].values.to_numpy()
    if rows > MOST_ROWS:
        raise SnapshotError(f"the snapshot has {rows} rows, at most {MOST_ROWS} are possible")
    if (count > rows).any():
        raise SnapshotError(f"the snapshot counts more than its {rows} rows")
    body = SnapshotBody(
        names=tuple(cells["names"].as_py()),
        types=tuple(cells["types"].as_py()),
        rows=rows,
        shift=_floats(cells["shift"]),
        count=count.astype(np.int64),
        sum=_floats(cells["sum"]),
        gram=_floats(cells["gram"]),
        m3=_floats(cells["m3"]) if "m3" in cells else None,
        m4=_floats(cells["m4"]) if "m4" in cells else None,
        histogram=snapshot_histogram.from_arrow(cells["histogram"]) if "histogram" in cells else None,
    )
    _check(body)
    return body


def _read(data: bytes) -> dict[str, pa.Scalar]:
    """The fields of the one row, types checked."""
    try:
        if not is_plain(data):
            raise SnapshotError("the snapshot is compressed or has dictionaries: its fields must be plain")
        with pa.ipc.open_stream(data) as reader:
            version = (reader.schema.metadata or {}).get(_VERSION_KEY)
            names: list[str] = reader.schema.names
            batches = list(reader)
        for batch in batches:
            batch.validate(full=True)
    except (pa.ArrowException, OSError, UnicodeDecodeError, struct.error) as error:
        raise SnapshotError(f"the snapshot is no Arrow stream: {error}") from error
    if version != _VERSION:
        raise SnapshotError(f"the snapshot has version {version!r}, this program reads {_VERSION!r}")
    if [batch.num_rows for batch in batches] != [1]:
        raise SnapshotError("the snapshot must be one record batch of one row")
    [batch] = batches
    if len(set(names)) != len(names):
        raise SnapshotError("the snapshot has two fields of one name")
    known = {name: batch.column(name) for name in names if name in _TYPES}
    for name, column in known.items():
        if column.type != _TYPES[name]:
            raise SnapshotError(f"{name} of the snapshot has type {column.type}, not {_TYPES[name]}")
        if column.null_count or (name != "rows" and column.values.null_count):
            raise SnapshotError(f"{name} of the snapshot has a null")
    return {name: column[0] for name, column in known.items()}


def _floats(cell: pa.Scalar) -> FloatArray:
    return np.array(cell.values.to_numpy(), dtype=np.float64)


def _check(body: SnapshotBody) -> None:
    """Every list has the size that the names give it, and every number is finite."""
    p = len(body.names)
    sizes = dict.fromkeys(("types", "shift", "count", "sum", "m3", "m4"), p) | {"gram": p * (p + 1) // 2}
    for name, size in sizes.items():
        values = getattr(body, name)
        if values is not None and len(values) != size:
            raise SnapshotError(
                f"{name} of the snapshot has {len(values)} elements, {size} belong to {p} features"
            )
        if isinstance(values, np.ndarray) and not np.isfinite(values).all():
            raise SnapshotError(f"{name} of the snapshot holds a value that is not finite")
    if len(set(body.names)) != p or not all(body.names):
        raise SnapshotError("the names in the snapshot are not all different and non-empty")
    if any(len(name) > LONGEST_NAME for name in body.names):
        raise SnapshotError(f"the snapshot has a name of more than {LONGEST_NAME} characters")
    if body.histogram is not None:
        snapshot_histogram.check(body.histogram, body.names, body.count)
