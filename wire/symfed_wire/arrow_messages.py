"""The messages of an Arrow IPC stream, looked at before anything in them is unpacked.

pyarrow inflates compressed buffers as it reads them, to whatever size they say, and does not tell beforehand.
So their mark is read from the messages' flatbuffers (Arrow's Message.fbs and Schema.fbs).
"""

import struct

import pyarrow as pa

_HEADER = 2  # the third field of the table Message
_CUSTOM_METADATA = 4  # where the first version of compression had its mark
_COMPRESSION = 3  # the fourth field of the table RecordBatch
_PLAIN = {"schema", "record batch"}


def is_plain(data: bytes) -> bool:
    """Whether reading the stream takes no more memory than `data`: nothing compressed, no dictionaries.

    Raises pa.ArrowException, OSError, and struct.error for what is no stream.
    """
    with pa.BufferReader(data) as source:
        return all(_is_plain(message) for message in pa.ipc.MessageReader.open_stream(source))


def _is_plain(message: pa.ipc.Message) -> bool:
    if message.type not in _PLAIN:
        return False
    if message.type == "schema":
        return True
    metadata = message.metadata.to_pybytes()
    table = _follow(metadata, 0)
    header = _follow(metadata, _field(metadata, table, _HEADER))
    return not (_field(metadata, table, _CUSTOM_METADATA) or _field(metadata, header, _COMPRESSION))


def _follow(data: bytes, position: int) -> int:
    """Where the offset at `position` points to."""
    (offset,) = struct.unpack_from("<I", data, position)
    return position + int(offset)


def _field(data: bytes, table: int, index: int) -> int:
    """The position of a field of the table at `table`; 0 when it is absent."""
    (back,) = struct.unpack_from("<i", data, table)
    (size,) = struct.unpack_from("<H", data, table - back)
    at = 4 + 2 * index
    if at >= size:
        return 0
    (offset,) = struct.unpack_from("<H", data, table - back + at)
    return table + int(offset) if offset else 0
