"""A snapshot as an object: its chunks one after the other, each sealed or none."""

from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from typing import Final

from symfed_node.exchange.aws_bodies import get_body
from symfed_node.exchange.aws_bucket import Bucket
from symfed_node.exchange.base import Outgoing, ReplacedError
from symfed_node.threads import in_thread
from symfed_wire.documents import SnapshotHead
from symfed_wire.errors import MalformedError
from symfed_wire.sealing import ChunkSealer

CHUNK: Final = 512 << 10
SEAL_BYTES: Final = 16
"""what sealing adds to a chunk"""


def pack(outgoing: Outgoing) -> bytes:
    """The object of a snapshot."""
    sealer, body = outgoing.sealer, outgoing.body
    if sealer is None:
        return body
    starts = range(0, len(body), CHUNK)
    return b"".join(sealer.seal(index, body[at : at + CHUNK]) for index, at in enumerate(starts))


async def read_snapshot(bucket: Bucket, head: SnapshotHead, sealer: ChunkSealer | None) -> bytes:
    """The body that `head` points to, of its size and digest.

    Raises MalformedError for a head that points elsewhere than to the bucket's peer, ReplacedError,
    UnsealError, AwsError.
    """
    prefix = bucket.address.prefix
    if head.object is None or not head.object.startswith(prefix):
        raise MalformedError(f"the head of peer {head.peer} does not point to a snapshot under {prefix}")
    chunks = -(-head.size // head.chunk)
    size = head.size + (SEAL_BYTES * chunks if sealer else 0)
    data = await get_body(bucket, head.object, size)
    return await in_thread(partial(_unpack, data, head, sealer))


def _unpack(data: bytes, head: SnapshotHead, sealer: ChunkSealer | None) -> bytes:
    body = data if sealer is None else b"".join(_opened(data, head.chunk + SEAL_BYTES, sealer))
    if len(body) != head.size or sha256(body).hexdigest() != head.sha256:
        raise ReplacedError(f"the snapshot of peer {head.peer} is not that of its head")
    return body


def _opened(data: bytes, step: int, sealer: ChunkSealer) -> Iterator[bytes]:
    for index, at in enumerate(range(0, len(data), step)):
        yield sealer.unseal(index, data[at : at + step])
