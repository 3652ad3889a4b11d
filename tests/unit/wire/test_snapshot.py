"""The bytes of a snapshot: round trip, golden digest, and what is refused."""

import contextlib
import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from symfed_wire.snapshot import SnapshotBody, SnapshotError, decode, encode

BODY = SnapshotBody(
    names=("size", "Gewicht µ"),
    types=("C", "B"),
    rows=12,
    shift=np.array([1.5, -0.25]),
    count=np.array([12, 12]),
    sum=np.array([0.1, 2.0**-1074]),
    gram=np.array([3.0, -4.5, 1e300]),
    m3=np.array([1.0, 2.0]),
    m4=np.array([5.0, 6.0]),
)


def changed(**fields: object) -> SnapshotBody:
    return SnapshotBody(**{**vars(BODY), **fields})


def stream(cells: dict[str, tuple[object, Any]], version: bytes | None = b"1", rows: int = 1) -> bytes:
    """A stream with these fields, written without the code under test."""
    schema = pa.schema(
        [(name, kind) for name, (_, kind) in cells.items()],
        metadata=None if version is None else {b"symfed.snapshot": version},
    )
    batch = pa.record_batch(
        [pa.array([value] * rows, type=kind) for value, kind in cells.values()], schema=schema
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def fields() -> dict[str, tuple[object, Any]]:
    """BODY, field by field, with the types of federation.md."""
    doubles = pa.list_(pa.float64())
    return {
        "names": (list(BODY.names), pa.list_(pa.utf8())),
        "types": (list(BODY.types), pa.list_(pa.utf8())),
        "rows": (12, pa.uint64()),
        "shift": (BODY.shift, doubles),
        "sum": (BODY.sum, doubles),
        "m3": (BODY.m3, doubles),
        "m4": (BODY.m4, doubles),
        "count": (BODY.count, pa.list_(pa.uint64())),
        "gram": (BODY.gram, pa.large_list(pa.float64())),
    }


def assert_same(got: SnapshotBody, wanted: SnapshotBody) -> None:
    assert (got.names, got.types, got.rows) == (wanted.names, wanted.types, wanted.rows)
    for name in ("shift", "count", "sum", "gram", "m3", "m4"):
        assert getattr(got, name).tobytes() == getattr(wanted, name).tobytes(), name


def test_round_trip_and_bytes() -> None:
    data = encode(BODY)
    assert_same(decode(data), BODY)
    assert encode(decode(data)) == data
    assert (
        hashlib.sha256(data).hexdigest() == "5c7463e0b0b5df309a50ae70a7e67b4b7fbea51bc8ce3dcf3a8b211a8c965d92"
    )


def test_the_form_is_that_of_the_contract() -> None:
    with pa.ipc.open_stream(encode(BODY)) as reader:
        assert reader.schema.metadata == {b"symfed.snapshot": b"1"}
        assert {field.name: field.type for field in reader.schema} == {
            name: kind for name, (_, kind) in fields().items()
        }
        assert [batch.num_rows for batch in reader] == [1]
    assert_same(decode(stream(fields())), BODY)


def test_no_features_are_a_snapshot_too() -> None:
    none = np.empty(0)
    body = SnapshotBody((), (), 0, none, np.empty(0, dtype=np.int64), none, none, none, none)
    assert_same(decode(encode(body)), body)


def test_unknown_fields_are_ignored_and_absent_ones_are_not_known() -> None:
    cells = fields() | {"levels": (["x"], pa.list_(pa.utf8()))}
    assert_same(decode(stream(cells)), BODY)
    del cells["m3"]
    body = decode(stream(cells))
    assert body.m3 is None
    assert decode(encode(body)).m3 is None


@pytest.mark.parametrize("name", ["names", "rows", "gram", "count"])
def test_a_needed_field_that_is_absent_is_named(name: str) -> None:
    cells = fields()
    del cells[name]
    with pytest.raises(SnapshotError, match=f"the snapshot lacks {name}"):
        decode(stream(cells))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            {"gram": (BODY.gram[:2], pa.large_list(pa.float64()))},
            "gram .* has 2 elements, 3 belong to 2 features",
        ),
        ({"types": (["C"], pa.list_(pa.utf8()))}, "types .* has 1 elements, 2 belong"),
        ({"gram": (BODY.gram, pa.list_(pa.float64()))}, "gram of the snapshot has type list"),
        ({"rows": (None, pa.uint64())}, "rows of the snapshot has a null"),
        ({"sum": ([1.0, None], pa.list_(pa.float64()))}, "sum of the snapshot has a null"),
        ({"sum": (None, pa.list_(pa.float64()))}, "sum of the snapshot has a null"),
        ({"m4": ([1.0, float("nan")], pa.list_(pa.float64()))}, "m4 .* not finite"),
        ({"count": ([12, 13], pa.list_(pa.uint64()))}, "counts more than its 12 rows"),
        ({"rows": (2**63, pa.uint64())}, "counts more than"),
        ({"names": (["a", "a"], pa.list_(pa.utf8()))}, "not all different"),
    ],
)
def test_what_does_not_fit_is_told(fault: dict[str, tuple[object, Any]], message: str) -> None:
    with pytest.raises(SnapshotError, match=message):
        decode(stream(fields() | fault))


def test_a_field_that_comes_twice_is_refused() -> None:
    data = stream(fields() | {"sun": fields()["sum"]})
    with pytest.raises(SnapshotError, match="two fields of one name"):
        decode(data.replace(b"sun", b"sum"))


def test_sizes_are_checked_before_anything_is_sent() -> None:
    with pytest.raises(SnapshotError, match="shift of the snapshot has 1 elements"):
        encode(changed(shift=np.zeros(1)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no Arrow stream"),
        (b"hello, this is no snapshot at all", "no Arrow stream"),
        (encode(BODY)[:-200], "no Arrow stream|one record batch"),
        (stream(fields(), version=b"2"), "has version b'2', this program reads b'1'"),
        (stream(fields(), version=None), "has version None"),
        (stream(fields(), rows=2), "one record batch of one row"),
    ],
)
def test_other_bytes_are_refused_with_a_message(data: bytes, message: str) -> None:
    with pytest.raises(SnapshotError, match=message):
        decode(data)


def test_no_flipped_byte_and_no_cut_gets_past_as_another_error() -> None:
    data = encode(BODY)
    tampered = [data[:i] + bytes([data[i] ^ 0xFF]) + data[i + 1 :] for i in range(0, len(data), 3)]
    for other in (*tampered, *(data[:i] for i in range(0, len(data), 17))):
        with contextlib.suppress(SnapshotError):
            decode(other)
