"""A snapshot as an object: its chunks one after the other, each sealed or none."""

from functools import partial

from symfed_node.exchange.aws_bodies import get_body
from symfed_node.exchange.aws_bucket import Bucket
from symfed_node.exchange.base import Outgoing
from symfed_node.exchange.chunks import SEAL_BYTES, cut, joined
from symfed_node.threads import in_thread
from symfed_wire.documents import SnapshotHead
from symfed_wire.errors import MalformedError
from symfed_wire.sealing import ChunkSealer


def pack(outgoing: Outgoing) -> bytes:
    """The object of a snapshot."""
    return outgoing.body if outgoing.sealer is None else b"".join(cut(outgoing))


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
    step = len(data) if sealer is None else head.chunk + SEAL_BYTES
    return joined((data[at : at + step] for at in range(0, len(data), step)), head, sealer)
