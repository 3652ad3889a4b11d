"""The bytes of a snapshot: round trip, golden digest, and what is refused."""

import contextlib
import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from symfed_wire.snapshot import SnapshotBody, SnapshotError, decode, encode
from symfed_wire.snapshot_histogram import SnapshotHistogram

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
    histogram=SnapshotHistogram(
        feature=np.array([0, 1]),
        length=np.array([2, 3]),
        bin=np.array([65472, 65473, -65473, 0, 65472]),
        count=np.array([7, 5, 6, 1, 5]),
    ),
)
HISTOGRAM = pa.list_(
    pa.struct([("feature", pa.int32()), ("bin", pa.list_(pa.int32())), ("count", pa.list_(pa.uint64()))])
)


def changed(**fields: object) -> SnapshotBody:
    return SnapshotBody(**{**vars(BODY), **fields})


def stream(
    cells: dict[str, tuple[object, Any]],
    version: bytes | None = b"1",
    rows: int = 1,
    options: pa.ipc.IpcWriteOptions | None = None,
) -> bytes:
    """A stream with these fields, written without the code under test."""
    schema = pa.schema(
        [(name, kind) for name, (_, kind) in cells.items()],
        metadata=None if version is None else {b"symfed.snapshot": version},
    )
    batch = pa.record_batch(
        [pa.array([value] * rows, type=kind) for value, kind in cells.values()], schema=schema
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
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
        "histogram": (
            [
                {"feature": 0, "bin": [65472, 65473], "count": [7, 5]},
                {"feature": 1, "bin": [-65473, 0, 65472], "count": [6, 1, 5]},
            ],
            HISTOGRAM,
        ),
    }


def assert_same(got: SnapshotBody, wanted: SnapshotBody) -> None:
    assert (got.names, got.types, got.rows) == (wanted.names, wanted.types, wanted.rows)
    for name in ("shift", "count", "sum", "gram", "m3", "m4"):
        assert getattr(got, name).tobytes() == getattr(wanted, name).tobytes(), name
    assert (got.histogram is None) == (wanted.histogram is None)
    if got.histogram is not None:
        for name, values in vars(got.histogram).items():
            assert np.array_equal(values, getattr(wanted.histogram, name)), name


@pytest.mark.parametrize(
    ("body", "digest"),
    [
        (BODY, "8161fab9b296259b9adf64227bc5f4354167547c3ddc31aafbaebbf43c64dacd"),
        (changed(histogram=None), "5c7463e0b0b5df309a50ae70a7e67b4b7fbea51bc8ce3dcf3a8b211a8c965d92"),
    ],
)
def test_round_trip_and_bytes(body: SnapshotBody, digest: str) -> None:
    data = encode(body)
    assert_same(decode(data), body)
    assert encode(decode(data)) == data
    assert hashlib.sha256(data).hexdigest() == digest


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
    del cells["m3"], cells["histogram"]
    body = decode(stream(cells))
    for each in (body, decode(encode(body))):
        assert each.m3 is None
        assert each.histogram is None


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
        ({"rows": (2**44 + 1, pa.uint64())}, "has 17592186044417 rows, at most 17592186044416 are possible"),
        ({"rows": (2**64 - 1, pa.uint64())}, "at most 17592186044416 are possible"),
        ({"names": (["a", "a"], pa.list_(pa.utf8()))}, "not all different"),
        ({"names": (["a", "b" * 1001], pa.list_(pa.utf8()))}, "a name of more than 1000 characters"),
        ({"histogram": (None, HISTOGRAM)}, "histogram of the snapshot has a null"),
    ],
)
def test_what_does_not_fit_is_told(fault: dict[str, tuple[object, Any]], message: str) -> None:
    with pytest.raises(SnapshotError, match=message):
        decode(stream(fields() | fault))


@pytest.mark.parametrize(
    ("first", "message"),
    [
        ({"feature": 2}, "has a feature that is none of its 2"),
        ({"feature": -1}, "has a feature that is none of its 2"),
        ({"feature": 1}, "has its features twice or out of order"),
        ({"feature": None}, "has a null"),
        ({"bin": [1, None]}, "has a null"),
        ({"bin": [65473, 65472]}, "of feature 'size' .* has a bin twice or out of order"),
        ({"bin": [65472, 65472]}, "has a bin twice or out of order"),
        ({"bin": [65472, 0x7FF << 6]}, "has a bin beyond the largest float64"),
        ({"bin": [-(0x7FF << 6) - 1, 65472]}, "has a bin beyond the largest float64"),
        ({"bin": [65472]}, "has a feature with more bins than counts, or fewer"),
        ({"count": [7, 0]}, "has a bin with no rows, or with more than the feature has"),
        ({"count": [7, 13]}, "has a bin with no rows, or with more than the feature has"),
        ({"count": [7, 2**63]}, "counts more rows than there can be"),
        ({"count": [7, 4]}, "of feature 'size' in the snapshot does not count its 12 rows"),
        ({"bin": [], "count": []}, "does not count its 12 rows"),
    ],
)
def test_a_histogram_that_is_none_is_told(first: dict[str, object], message: str) -> None:
    cell = [
        {"feature": 0, "bin": [65472, 65473], "count": [7, 5], **first},
        {"feature": 1, "bin": [0], "count": [12]},
    ]
    with pytest.raises(SnapshotError, match=f"histogram .*{message}"):
        decode(stream(fields() | {"histogram": (cell, HISTOGRAM)}))


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


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_a_compressed_snapshot_is_refused_before_it_takes_memory(codec: str) -> None:
    zeros = np.zeros(10_000_000)
    data = stream(
        fields() | {"gram": (zeros, pa.large_list(pa.float64()))},
        options=pa.ipc.IpcWriteOptions(compression=codec),
    )
    before = pa.default_memory_pool()
    counting = pa.proxy_memory_pool(before)
    pa.set_memory_pool(counting)
    try:
        with pytest.raises(SnapshotError, match="compressed"):
            decode(data)
    finally:
        pa.set_memory_pool(before)
    assert counting.max_memory() < len(data) < zeros.nbytes / 8


def test_dictionaries_and_the_first_form_of_compression_are_refused() -> None:
    of_texts = pa.dictionary(pa.int32(), pa.utf8())
    with pytest.raises(SnapshotError, match="has dictionaries"):
        decode(stream(fields() | {"levels": ("x", of_texts)}))
    options = pa.ipc.IpcWriteOptions(metadata_version=pa.ipc.MetadataVersion.V4)
    assert_same(decode(stream(fields(), options=options)), BODY)
    schema_only = pa.schema([("rows", pa.uint64())], metadata={b"symfed.snapshot": b"1"})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema_only) as writer:
        batch = pa.record_batch([pa.array([1], type=pa.uint64())], schema=schema_only)
        writer.write_batch(batch, custom_metadata={"ARROW:experimental_compression": "zstd"})
    with pytest.raises(SnapshotError, match="compressed"):
        decode(bytes(sink.getvalue()))


def test_no_flipped_byte_and_no_cut_gets_past_as_another_error() -> None:
    data = encode(BODY)
    tampered = [data[:i] + bytes([data[i] ^ 0xFF]) + data[i + 1 :] for i in range(0, len(data), 3)]
    for other in (*tampered, *(data[:i] for i in range(0, len(data), 17))):
        with contextlib.suppress(SnapshotError):
            decode(other)
