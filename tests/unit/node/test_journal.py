"""The journal: what was acknowledged is read back to the bit, whatever a crash leaves."""

import json
import logging
import os
import zlib
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from symfed_node import journal as journal_module
from symfed_node import learnt as learnt_module
from symfed_node.errors import CorruptDataError, JournalError, UnknownOutcomeError
from symfed_node.journal import Journal
from symfed_node.learnt import Answer, Learnt, Record, Requests, apply
from symfed_node.statistics.accumulate import accumulate
from symfed_node.statistics.doubledouble import DoubleDouble
from symfed_node.statistics.histogram import Histograms
from symfed_node.statistics.state import Feature, Statistics
from symfed_node.stored import from_bytes, to_bytes

FEATURES = (Feature("a", "C"), Feature("größe", "C"))
SHIFT = np.array([0.25, -3.0])


def record(number: int, request: str = "") -> Record:
    values = np.random.default_rng(number).normal(size=(2, 7)) * 10.0**number
    return Record(request, Answer(7, number, 1000 + number), accumulate(values, FEATURES, SHIFT))


def journal_in(folder: Path, checkpoint_bytes: int = 1 << 20) -> Journal:
    return Journal(folder, checkpoint_bytes=checkpoint_bytes)


def bits(learnt: Learnt) -> bytes:
    return b"" if learnt.stats is None else to_bytes(learnt.stats)


def expected(*records: Record) -> Learnt:
    learnt = Learnt(requests=Requests())
    for one in records:
        learnt = apply(learnt, one)
    return learnt


def written(folder: Path, *records: Record) -> Path:
    journal = journal_in(folder)
    journal.recover()
    for one in records:
        journal.append(one)
    journal.close()
    return folder / "journal-0"


def test_a_replay_gives_the_same_bits(tmp_path: Path) -> None:
    records = [record(number, f"id {number}") for number in range(5)]
    written(tmp_path, *records)
    learnt = journal_in(tmp_path).recover()
    assert bits(learnt) == bits(expected(*records))
    assert learnt.stats is not None
    assert np.any(learnt.stats.gram.lo != 0)  # the low words are part of it
    assert learnt.requests.find("id 3") == Answer(7, 3, 1003)
    assert learnt.requests.find("id 5") is None
    assert learnt.modified == 1004


def test_a_journal_from_before_forgetting_is_read(tmp_path: Path) -> None:
    """Its records and its checkpoint have only what a learn answered."""
    journal = journal_in(tmp_path)
    learnt = apply(journal.recover(), record(1, "old"))
    journal.checkpoint(learnt)
    journal.append(record(2, "newer"))
    journal.close()
    checkpoint = tmp_path / "checkpoint"
    payload = checkpoint.read_bytes()[4:].replace(b', "learn"]', b"]")
    checkpoint.write_bytes(zlib.crc32(payload).to_bytes(4, "little") + payload)
    found = journal_in(tmp_path).recover()
    assert found.requests.find("old") == Answer(7, 1, 1001, "learn")
    assert found.requests.find("newer") == Answer(7, 2, 1002, "learn")


def test_a_record_of_a_later_version_is_an_error(tmp_path: Path) -> None:
    written(tmp_path, Record("", Answer(0, 1, 5, "merge"), None))  # type: ignore[arg-type]  # not of this one
    with pytest.raises(CorruptDataError, match="the journal has a record 'merge' of a later version"):
        journal_in(tmp_path).recover()


def test_every_quantity_is_stored(tmp_path: Path) -> None:
    one = record(1)
    written(tmp_path, one)
    found = journal_in(tmp_path).recover().stats
    assert found is not None
    assert one.batch is not None
    for name in (field.name for field in fields(Statistics)):
        was, is_now = getattr(one.batch, name), getattr(found, name)
        if isinstance(was, DoubleDouble | Histograms):
            for part, values in vars(was).items():
                assert np.array_equal(values, getattr(is_now, part))
        else:
            assert np.array_equal(was, is_now)


def test_statistics_of_the_first_version_are_read_without_histograms() -> None:
    """As they were stored before there were histograms: no version, no bins."""
    stats = record(1).batch
    assert stats is not None
    features = [[feature.name, feature.type] for feature in stats.features]
    header = json.dumps({"features": features, "rows": stats.rows}).encode()
    floats = [stats.shift, stats.minimum, stats.maximum]
    for sums in (stats.sum, stats.gram, stats.m3, stats.m4):
        floats += [sums.hi, sums.lo]
    arrays = b"".join(array.tobytes() for array in (stats.count, *floats))
    found = from_bytes(len(header).to_bytes(4, "little") + header + arrays)
    assert not found.histograms.known.any()
    assert to_bytes(replace(found, histograms=stats.histograms)) == to_bytes(stats)
    again = from_bytes(to_bytes(found))
    assert not again.histograms.known.any()


def test_statistics_of_a_later_version_are_refused() -> None:
    stats = record(1).batch
    assert stats is not None
    data = to_bytes(stats).replace(b'"version": 2', b'"version": 3')
    with pytest.raises(CorruptDataError, match="they have version 3, this program reads up to 2"):
        from_bytes(data)


def test_a_write_cut_at_any_byte_is_taken_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path, record(1, "kept"), record(2, "torn"))
    whole = path.read_bytes()
    kept = len(written(tmp_path / "one", record(1, "kept")).read_bytes())
    caplog.set_level(logging.WARNING)
    for length in range(kept, len(whole)):
        path.write_bytes(whole[:length])
        journal = journal_in(tmp_path)
        learnt = journal.recover()
        assert bits(learnt) == bits(expected(record(1)))
        assert learnt.requests.find("torn") is None
        assert ("cut" in caplog.text) == (length > kept)
        caplog.clear()
        if length % 50 == 0:  # it goes on where it was cut
            journal.append(record(3))
            journal.close()
            assert bits(journal_in(tmp_path).recover()) == bits(expected(record(1), record(3)))
        journal.close()


def test_a_cut_first_write_is_an_empty_journal(tmp_path: Path) -> None:
    path = written(tmp_path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        journal = journal_in(tmp_path)
        assert journal.recover().stats is None
        journal.append(record(1))
        journal.close()
        assert bits(journal_in(tmp_path).recover()) == bits(expected(record(1)))


def test_zeros_where_a_write_was_cut_are_taken_off(tmp_path: Path) -> None:
    path = written(tmp_path, record(1))
    path.write_bytes(path.read_bytes() + bytes(300))
    assert bits(journal_in(tmp_path).recover()) == bits(expected(record(1)))


@pytest.mark.parametrize("inside", [0, 4, 8, 12, 200])
def test_a_damaged_record_before_others_is_an_error(tmp_path: Path, inside: int) -> None:
    path = written(tmp_path, record(1), record(2))
    data = bytearray(path.read_bytes())
    data[len(b"symfed-journal-1\n") + inside] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(CorruptDataError, match="the record at byte 17 is damaged and others follow it"):
        journal_in(tmp_path).recover()


def test_another_file_is_an_error(tmp_path: Path) -> None:
    written(tmp_path).write_bytes(b"symfed-journal-9\n")
    with pytest.raises(CorruptDataError, match="is not a journal of this version"):
        journal_in(tmp_path).recover()


def test_a_record_is_on_the_disk_before_append_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = journal_in(tmp_path)
    journal.recover()
    size_when_synced: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        size_when_synced.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(os, "fsync", fsync)
    journal.append(record(1))
    assert size_when_synced == [(tmp_path / "journal-0").stat().st_size]


def test_the_folder_is_synced_when_a_journal_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(journal_module, "sync_folder", synced.append)
    journal_in(tmp_path / "new").recover()
    assert synced == [tmp_path / "new"]


def test_after_a_failed_write_only_a_restart_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = journal_in(tmp_path)
    journal.recover()
    journal.append(record(1))

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fail)
        with pytest.raises(
            UnknownOutcomeError, match="No space left on device; whether the rows were learnt"
        ):
            journal.append(record(2))
    assert not journal.is_usable
    with pytest.raises(JournalError, match="restart the node") as refused:
        journal.append(record(3))
    assert not isinstance(refused.value, UnknownOutcomeError)  # here nothing was written for certain
    # Here the record did reach the disk; its client repeats it under the same id.
    assert bits(journal_in(tmp_path).recover()) == bits(expected(record(1), record(2)))


def test_a_checkpoint_keeps_every_bit_and_every_request(tmp_path: Path) -> None:
    records = [record(number, f"id {number}") for number in range(4)]
    journal = journal_in(tmp_path, checkpoint_bytes=100)
    learnt = journal.recover()
    for one in records[:3]:
        journal.append(one)
        learnt = apply(learnt, one)
        assert journal.is_due_for_checkpoint
        journal.checkpoint(learnt)
        assert not journal.is_due_for_checkpoint
    journal.append(records[3])
    journal.close()
    found = journal_in(tmp_path).recover()
    assert bits(found) == bits(expected(*records))
    assert [key for key, _ in found.requests.items()] == ["id 0", "id 1", "id 2", "id 3"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint", "journal-3"]


@pytest.mark.parametrize("step", ["write_atomically", "sync_folder", "remove"])
def test_a_crash_in_a_checkpoint_leaves_the_old_or_the_new_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    journal = journal_in(tmp_path)
    learnt = journal.recover()
    for number in range(3):
        journal.append(record(number))
        learnt = apply(learnt, record(number))

    def crash(*arguments: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(journal_module, step, crash)
        with pytest.raises(JournalError, match="the checkpoint cannot be written"):
            journal.checkpoint(learnt)
    assert not journal.is_usable
    again = journal_in(tmp_path)
    assert bits(again.recover()) == bits(learnt)
    again.append(record(3))
    again.close()
    found = journal_in(tmp_path).recover()
    assert bits(found) == bits(apply(learnt, record(3)))


def test_a_damaged_checkpoint_or_a_lost_journal_is_an_error(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    learnt = apply(journal.recover(), record(1))
    journal.append(record(1))
    journal.checkpoint(learnt)
    journal.close()
    checkpoint = tmp_path / "checkpoint"
    data = checkpoint.read_bytes()
    checkpoint.write_bytes(data[:-1])
    with pytest.raises(CorruptDataError, match="checkpoint is damaged"):
        journal_in(tmp_path).recover()
    checkpoint.write_bytes(data)
    (tmp_path / "journal-1").unlink()
    with pytest.raises(CorruptDataError, match="journal-1 is gone"):
        journal_in(tmp_path).recover()


def test_a_journal_without_its_checkpoint_is_an_error(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    learnt = apply(journal.recover(), record(1))
    journal.append(record(1))
    journal.checkpoint(learnt)
    journal.append(record(2))
    journal.close()
    (tmp_path / "checkpoint").unlink()
    with pytest.raises(CorruptDataError, match=r"journal-1 is there, but neither its checkpoint"):
        journal_in(tmp_path).recover()
    assert (tmp_path / "journal-1").exists()
    assert not (tmp_path / "journal-0").exists()


def test_old_request_ids_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learnt_module, "KEPT_REQUESTS", 2)
    requests = Requests()
    for number in range(4):
        requests.keep(f"id {number}", Answer(number, 0, 0))
    assert [key for key, _ in requests.items()] == ["id 2", "id 3"]


def test_a_learn_of_no_rows_is_remembered(tmp_path: Path) -> None:
    written(tmp_path, Record("empty", Answer(0, 3, 5), None))
    learnt = journal_in(tmp_path).recover()
    assert learnt.stats is None
    assert learnt.requests.find("empty") == Answer(0, 3, 5)
