"""The chunks in which a backend stores a snapshot's body: of one size but the last, each sealed or none."""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Final

from symfed_node.exchange.base import Outgoing, ReplacedError
from symfed_wire.documents import SnapshotHead
from symfed_wire.sealing import ChunkSealer

CHUNK: Final = 512 << 10
SEAL_BYTES: Final = 16
"""what sealing adds to a chunk"""
SLOWEST: Final = 256 << 10
"""bytes a second that a transfer must reach"""


def cut(outgoing: Outgoing) -> Iterator[bytes]:
    """The chunks of a body."""
    for index, start in enumerate(range(0, len(outgoing.body), CHUNK)):
        chunk = outgoing.body[start : start + CHUNK]
        yield chunk if outgoing.sealer is None else outgoing.sealer.seal(index, chunk)


def joined(chunks: Iterable[bytes], head: SnapshotHead, sealer: ChunkSealer | None) -> bytes:
    """The body of the chunks. Raises ReplacedError when it is not that of its head, UnsealError."""
    opened = chunks if sealer is None else (sealer.unseal(index, chunk) for index, chunk in enumerate(chunks))
    body = b"".join(opened)
    if len(body) != head.size or sha256(body).hexdigest() != head.sha256:
        raise ReplacedError(f"the snapshot of peer {head.peer} is not that of its head")
    return body
