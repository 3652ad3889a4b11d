"""Snapshots over AWS: objects in each peer's own bucket, a signed head beside them, a topic that wakes.

S3 holds the state, so a peer that was away needs no special case; SNS and SQS only wake.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, Literal

from symfed_node.exchange.aws_bucket import Bucket
from symfed_node.exchange.aws_calls import AwsCalls
from symfed_node.exchange.aws_faults import AwsError, deadline
from symfed_node.exchange.aws_own import OwnSnapshots
from symfed_node.exchange.aws_session import POLL_SECONDS, AwsSession
from symfed_node.exchange.aws_signed import SignedObjects
from symfed_node.exchange.aws_snapshot import read_snapshot
from symfed_node.exchange.aws_wake import AwsWake
from symfed_node.exchange.base import OnWake, Outgoing, Sign, Wake
from symfed_node.exchange.chunks import SLOWEST
from symfed_node.exchange.schedule import backoff_seconds
from symfed_wire.aws_layout import DOCUMENT_OBJECT, HEAD_OBJECT, Pointer
from symfed_wire.documents import AwsAddress, Member, Signed, SnapshotHead
from symfed_wire.errors import MalformedError
from symfed_wire.join import AwsGrant
from symfed_wire.node_config import AwsPlace
from symfed_wire.sealing import ChunkSealer

log = logging.getLogger(__name__)

_ATTEMPTS: Final = 4
_NOT_WOKEN: Final = "nothing wakes this peer"
_UNTOLD: Final = "the others are not woken"


class AwsExchange:
    """`Backend` over AWS; see there."""

    def __init__(self, peer: str, grant: AwsGrant, place: AwsPlace, credentials: Path | None = None) -> None:
        """`credentials` is the folder of a mounted Secret; without one boto3 finds a role's by itself."""
        self._peer = peer
        self._grant = grant
        self._place = place
        self._calls = AwsCalls(AwsSession(credentials, place.endpoint_url))
        self._wake = AwsWake(self._calls, peer, grant, place)
        self._signed = SignedObjects()
        partition, admin = _partition_and_account(grant.topic_arn)
        self._partition = partition
        self._federation = Bucket(
            self._calls,
            AwsAddress(account_id=admin, region=grant.region, bucket=grant.bucket, prefix=grant.prefix),
            partition,
            f"account {admin}, the admin's, allows it to account {place.account_id} in its bucket's policy"
            " while this peer is a member: it was removed, or the admin's operator cannot write that policy",
        )
        self._own_bucket = Bucket(
            self._calls,
            AwsAddress(
                account_id=place.account_id,
                region=place.region,
                bucket=place.bucket,
                prefix=f"{grant.prefix}{peer}/",
            ),
            partition,
            f"this peer's credentials must allow it, and the bucket must be of account {place.account_id}",
        )
        self._own = OwnSnapshots(self._own_bucket, self._signed)
        self._poller: asyncio.Task[None] | None = None
        self._untold: Pointer | None = None
        """what the others could not be woken with"""
        self._faults: dict[str, str] = {}
        """what does not work although snapshots come and go → why"""

    @property
    def request_timeout(self) -> float:
        """See `Backend.request_timeout`."""
        return self._calls.request_timeout

    @request_timeout.setter
    def request_timeout(self, seconds: float) -> None:
        self._calls.request_timeout = seconds

    @property
    def is_open(self) -> bool:
        """See `Backend.is_open`."""
        return self._poller is not None and not self._poller.done()

    @property
    def impaired(self) -> str:
        """See `Backend.impaired`."""
        return "; ".join(f"{what}: {why}" for what, why in sorted(self._faults.items()))

    async def open(self, on_wake: OnWake) -> None:
        """See `Backend.open`."""
        await self.close()
        await self._wake.receive(0, on_wake)
        self._faults.pop(_NOT_WOKEN, None)
        self._poller = asyncio.create_task(self._poll(on_wake))

    async def close(self) -> None:
        """See `Backend.close`. A request for messages that is under way is left to its thread."""
        poller, self._poller = self._poller, None
        if poller is not None:
            poller.cancel()
            await asyncio.wait([poller])

    async def document(self) -> Signed | None:
        """See `Backend.document`."""
        return await self._signed.get(self._federation, self._grant.prefix + DOCUMENT_OBJECT)

    async def head(self, member: Member) -> Signed | None:
        """See `Backend.head`."""
        bucket = self._bucket_of(member)
        return await self._signed.get(bucket, bucket.address.prefix + HEAD_OBJECT)

    async def body(self, member: Member, head: SnapshotHead, sealer: ChunkSealer | None) -> bytes:
        """See `Backend.body`."""
        async with deadline(f"reading the snapshot of peer {member.uuid}", self._transfer_seconds(head.size)):
            return await read_snapshot(self._bucket_of(member), head, sealer)

    async def confirm(self, own: Member, head: SnapshotHead) -> None:
        """See `Backend.confirm`."""
        await self._own.confirm(head)

    async def put(self, outgoing: Outgoing, sign: Sign) -> Signed:
        """See `Backend.put`."""
        async with deadline("publishing the snapshot", self._transfer_seconds(outgoing.draft.size)):
            signed = await self._own.put(outgoing, sign)
        # It is published: what fails now is told, and stops nothing.
        self._untold = self._pointer("head")
        await self._tell_the_untold()
        await self._note("older snapshots are not deleted", self._own.tidy())
        return signed

    async def ask(self) -> None:
        """See `Backend.ask`."""
        await self._wake.tell(self._pointer("ask"))

    async def _poll(self, on_wake: OnWake) -> None:
        """Be woken until AWS refuses."""
        failures = 0
        while True:
            try:
                await self._wake.receive(POLL_SECONDS, on_wake)
            except AwsError as error:
                log.warning("wake-ups: %s", error)
                if not error.is_passing:
                    break
                failures += 1
                self._faults[_NOT_WOKEN] = str(error)
                await asyncio.sleep(backoff_seconds(failures))
            else:
                failures = 0
                self._faults.pop(_NOT_WOKEN, None)
            await self._tell_the_untold()
        self._poller = None
        on_wake(Wake.CLOSED)

    async def _tell_the_untold(self) -> None:
        if self._untold is not None and await self._note(_UNTOLD, self._wake.tell(self._untold)):
            self._untold = None

    async def _note(self, what: str, doing: Coroutine[Any, Any, None]) -> bool:
        """Whether it was done; its fault is kept under `what` until it works."""
        try:
            await doing
        except AwsError as error:
            if self._faults.get(what) != str(error):
                log.warning("%s: %s", what, error)
            self._faults[what] = str(error)
            return False
        self._faults.pop(what, None)
        return True

    def _pointer(self, kind: Literal["head", "ask"]) -> Pointer:
        return Pointer(kind=kind, federation=self._grant.prefix.rstrip("/"), peer=self._peer)

    def _bucket_of(self, member: Member) -> Bucket:
        if member.uuid == self._peer:
            return self._own_bucket
        if member.aws is None:
            raise MalformedError(f"the federation document has no AWS address of peer {member.uuid}")
        if member.aws.prefix != (expected := f"{self._grant.prefix}{member.uuid}/"):
            raise MalformedError(
                f"the federation document says that peer {member.uuid} is read under {member.aws.prefix}; in"
                f" this federation that is {expected}"
            )
        return Bucket(
            self._calls,
            member.aws,
            self._partition,
            f"account {member.aws.account_id} must allow it to account {self._place.account_id} in its"
            " bucket's policy, which its operator writes; a peer without a snapshot is answered alike",
        )

    def _transfer_seconds(self, size: int) -> float:
        return _ATTEMPTS * self.request_timeout + size / SLOWEST


def _partition_and_account(topic_arn: str) -> tuple[str, str]:
    """Of the topic, so of the admin."""
    parts = topic_arn.split(":", 5)
    if len(parts) != 6:
        raise MalformedError(f"{topic_arn!r} is not the ARN of a topic")
    return parts[1], parts[4]
