"""The journal: what was learnt or forgotten is on the disk before it is acknowledged.

`journal-<n>` is a list of records, each the statistics of one batch; `checkpoint` is the sum of all that
went before `journal-<n>` and says which n that is. Adding and subtracting the records again in their order
gives the very same bits. A record is `length, crc32(payload), crc32(of these two), payload`, all little-
endian 32 bits; the payload is a line of JSON (kind, request id, what was answered) and then the statistics.
"""

import json
import logging
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, get_args

from symfed_node.errors import CorruptDataError, JournalError, UnknownOutcomeError
from symfed_node.files import make_folder, remove, sync_folder, write_atomically
from symfed_node.learnt import Answer, Learnt, Op, Record, Requests, apply
from symfed_node.stored import from_bytes, to_bytes

log = logging.getLogger(__name__)

_DONE: Final[dict[Op, str]] = {"learn": "learnt", "forget": "forgotten"}
_MAGIC: Final = b"symfed-journal-1\n"
_HEADER: Final = struct.Struct("<III")


class Journal:
    """The files in one folder. Not safe for several threads or processes at once."""

    def __init__(self, folder: Path, *, checkpoint_bytes: int) -> None:
        self._folder = make_folder(folder)
        self._checkpoint_bytes = checkpoint_bytes
        self._number = 0
        self._file: BinaryIO | None = None
        self._size = 0

    def recover(self) -> Learnt:
        """Read everything and open the journal for more.

        A record that a crash cut short was never acknowledged: it is taken off, and the log says so.
        Raises CorruptDataError for anything else that does not read as it was written.
        """
        learnt = self._read_checkpoint()
        path = self._path(self._number)
        if not path.exists():
            if self._number > 0:
                raise CorruptDataError(f"{path} is gone although its checkpoint is there: restore the volume")
            if later := sorted(self._folder.glob("journal-*")):
                raise CorruptDataError(
                    f"{later[-1]} is there, but neither its checkpoint nor {path}: restore the volume"
                )
            self._create(path)
        data = path.read_bytes()
        end = min(len(_MAGIC), len(data))  # a crash may have cut the file's first write too
        if data[:end] != _MAGIC[:end]:
            raise CorruptDataError(f"{path} is not a journal of this version")
        for payload, after in _payloads(data, path):
            learnt = apply(learnt, _decode_record(payload))
            end = after
        if len(data) != end:
            log.warning("%s: cut %d bytes of a write that a crash interrupted", path, len(data) - end)
        self._open(path, end)
        for other in self._folder.glob("journal-*"):
            if other != path:
                remove(other)
        return learnt

    def append(self, record: Record) -> None:
        """Put a record on the disk; when this returns it survives a crash.

        Raises JournalError when nothing was written, UnknownOutcomeError when the disk failed under it.
        """
        if self._file is None:
            raise JournalError("the journal takes no more records after a failed write: restart the node")
        payload = _encode_record(record)
        checksum = zlib.crc32(payload)
        check = zlib.crc32(struct.pack("<II", len(payload), checksum))
        data = _HEADER.pack(len(payload), checksum, check) + payload
        file, self._file = self._file, None
        try:
            _write_all(file, data)
            os.fsync(file.fileno())
        except OSError as error:
            # What is on the disk now is unknown (a failed fsync drops pages), so only a restart may go on.
            file.close()
            raise UnknownOutcomeError(
                f"the journal cannot be written: {error.strerror}; whether the rows were "
                f"{_DONE[record.answer.op]} is known only after a restart of the node: then send them again "
                "with the same sym-request-id"
            ) from error
        self._file = file
        self._size += len(data)

    @property
    def is_usable(self) -> bool:
        """Whether records can be appended."""
        return self._file is not None

    @property
    def is_due_for_checkpoint(self) -> bool:
        """Whether the journal has passed its size."""
        return self._size > self._checkpoint_bytes

    def checkpoint(self, learnt: Learnt) -> None:
        """Write the whole state and start an empty journal; a crash at any point leaves either.

        Raises JournalError; which of the two is on the disk is then unknown, so only a restart goes on.
        """
        self.close()
        old, new = self._path(self._number), self._path(self._number + 1)
        try:
            self._create(new)
            write_atomically(self._folder / "checkpoint", _encode_checkpoint(self._number + 1, learnt))
            self._open(new, len(_MAGIC))
            remove(old)
        except OSError as error:
            self.close()
            raise JournalError(f"the checkpoint cannot be written: {error.strerror}") from error
        self._number += 1

    def close(self) -> None:
        """Close the file; everything acknowledged is on the disk already."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _path(self, number: int) -> Path:
        return self._folder / f"journal-{number}"

    def _read_checkpoint(self) -> Learnt:
        path = self._folder / "checkpoint"
        if not path.exists():
            return Learnt()
        self._number, learnt = _decode_checkpoint(path.read_bytes(), path)
        return learnt

    def _create(self, path: Path) -> None:
        with path.open("wb") as file:
            file.write(_MAGIC)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self._folder)

    def _open(self, path: Path, size: int) -> None:
        """Open for appending after the first `size` bytes, or after the first line."""
        self._file = path.open("r+b", buffering=0)
        self._size = max(size, len(_MAGIC))
        self._file.write(_MAGIC)
        self._file.truncate(self._size)
        self._file.seek(self._size)
        os.fsync(self._file.fileno())


def _write_all(file: BinaryIO, data: bytes) -> None:
    """Write all of `data`; an unbuffered file may take a part at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _payloads(data: bytes, path: Path) -> Iterator[tuple[bytes, int]]:
    """Each whole payload and the offset behind it; stops at a torn tail."""
    offset = len(_MAGIC)
    while offset + _HEADER.size <= len(data):
        length, checksum, check = _HEADER.unpack_from(data, offset)
        if check != zlib.crc32(data[offset : offset + 8]):
            if not any(data[offset:]):  # some file systems leave zeros where a write was cut
                return
            raise CorruptDataError(_corrupt(path, offset))
        start = offset + _HEADER.size
        end = start + length
        payload = data[start:end]
        if end > len(data):
            return
        if checksum != zlib.crc32(payload):
            if end == len(data):
                return
            raise CorruptDataError(_corrupt(path, offset))
        yield payload, end
        offset = end


def _corrupt(path: Path, offset: int) -> str:
    return (
        f"{path}: the record at byte {offset} is damaged and others follow it; restore the volume from a "
        "backup, or delete the project's volume and learn its rows again"
    )


def _encode_record(record: Record) -> bytes:
    answer = record.answer
    line = {"op": answer.op, "id": record.request, "answer": [answer.rows, answer.skipped, answer.at]}
    batch = b"" if record.batch is None else to_bytes(record.batch)
    return json.dumps(line).encode() + b"\n" + batch


def _decode_record(payload: bytes) -> Record:
    line, _, batch = payload.partition(b"\n")
    fields = json.loads(line)
    op = fields["op"]
    if op not in get_args(Op):
        raise CorruptDataError(f"the journal has a record {op!r} of a later version")
    rows, skipped, at = fields["answer"]
    return Record(fields["id"], Answer(rows, skipped, at, op), from_bytes(batch) if batch else None)


def _encode_checkpoint(number: int, learnt: Learnt) -> bytes:
    requests = [[key, [a.rows, a.skipped, a.at, a.op]] for key, a in learnt.requests.items()]
    line = json.dumps({"journal": number, "requests": requests, "modified": learnt.modified}).encode()
    payload = line + b"\n" + (b"" if learnt.stats is None else to_bytes(learnt.stats))
    return zlib.crc32(payload).to_bytes(4, "little") + payload


def _decode_checkpoint(data: bytes, path: Path) -> tuple[int, Learnt]:
    payload = data[4:]
    if zlib.crc32(payload).to_bytes(4, "little") != data[:4]:
        raise CorruptDataError(f"{path} is damaged: restore the volume from a backup")
    line, _, stats = payload.partition(b"\n")
    fields = json.loads(line)
    return int(fields["journal"]), Learnt(
        stats=from_bytes(stats) if stats else None,
        modified=int(fields["modified"]),
        requests=Requests((key, Answer(*answer)) for key, answer in fields["requests"]),
    )
