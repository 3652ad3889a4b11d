"""The admin's side of a federation on AWS: topic, document, and who may use them."""

import logging
from collections.abc import Sequence

from symfed_operator.backends.aws.accounts import AccountUnknownError
from symfed_operator.backends.aws.bucket import Bucket
from symfed_operator.backends.aws.errors import BucketMissingError
from symfed_operator.backends.aws.names import aws_member, federation_prefix, peer_prefix
from symfed_operator.backends.aws.session import AwsSide
from symfed_operator.backends.aws.topic import Topic, publish
from symfed_operator.backends.base import (
    Applied,
    BackendError,
    ExternalNameTakenError,
    GoneMember,
    WantedFederation,
    WantedMember,
)
from symfed_wire.aws_layout import Pointer
from symfed_wire.documents import AwsAddress, Signed
from symfed_wire.join import AwsGrant, AwsMember
from symfed_wire.names import FEDERATION
from symfed_wire.resources import FederationPeer

_log = logging.getLogger(__name__)


class AwsBackend:
    """`Backend` in the account of one admin; see there."""

    def __init__(self, side: AwsSide) -> None:
        self._side = side

    def address_of(self, federation: str, member: WantedMember) -> AwsAddress:
        """See `Backend.address_of`."""
        place = _place(member)
        return AwsAddress(
            account_id=place.account_id,
            region=place.region,
            bucket=place.bucket,
            prefix=peer_prefix(federation, member.uuid),
        )

    def place_of(self, peer: FederationPeer, federation_name: str) -> AwsMember | None:
        """See `Backend.place_of`: it shares the admin's side unless it has its own."""
        own = peer.spec.aws
        if own is not None:
            return aws_member(own, own.account_id, federation_name, peer)
        return aws_member(self._side.access, self._side.account, federation_name, peer)

    async def apply(self, wanted: WantedFederation) -> Applied:
        """See `Backend.apply`."""
        accounts = _accounts(wanted.members)
        topic, bucket = self._topic(wanted), Bucket(self._side, wanted.uid)
        unknown = await topic.ensure(accounts)
        unknown |= (await bucket.let_read(accounts - unknown)).unknown
        grant = AwsGrant(
            topic_arn=topic.arn,
            region=self._side.access.region,
            bucket=bucket.name,
            prefix=federation_prefix(wanted.uid),
        )
        places = {member.uuid: _place(member).account_id for member in wanted.members}
        return Applied(
            grants={uuid: grant for uuid, account in places.items() if account not in unknown},
            faults=tuple(
                AccountUnknownError(
                    f"AWS takes no policy that names the account {account} of the member {uuid}: remove the"
                    " member, and invite it again with the account that it has"
                )
                for uuid, account in places.items()
                if account in unknown
            ),
            topic_arn=topic.arn,
        )

    async def publish_document(self, wanted: WantedFederation, document: Signed) -> None:
        """See `Backend.publish_document`."""
        if await Bucket(self._side, wanted.uid).put_document(document):
            woken = Pointer(kind="document", federation=wanted.uid, peer=FEDERATION)
            await publish(self._side, self._topic(wanted).arn, woken)

    async def remove_member(self, wanted: WantedFederation, gone: GoneMember) -> None:
        """See `Backend.remove_member`; what it has stored is in its own bucket."""
        accounts = _accounts([member for member in wanted.members if member.uuid != gone.uuid])
        try:
            await self._topic(wanted).restrict(accounts)
        except ExternalNameTakenError as error:
            _log.info("federation %s: %s: no topic is restricted", wanted.uid, error)
        try:
            await Bucket(self._side, wanted.uid).let_read(accounts)
        except BucketMissingError as error:
            _log.info("federation %s: nobody can read any more: %s", wanted.uid, error)

    async def retain_member(self, wanted: WantedFederation, gone: GoneMember) -> None:
        """See `Backend.retain_member`."""
        await self.remove_member(wanted, gone)

    async def retain(self, wanted: WantedFederation) -> None:
        """See `Backend.retain`: objects stay, and only their owner reads them."""
        await self._free(wanted, keeps_objects=True)

    async def delete(self, wanted: WantedFederation) -> None:
        """See `Backend.delete`: of the bucket just what is the federation's."""
        await self._free(wanted, keeps_objects=False)

    async def close(self) -> None:
        """Nothing is open."""

    async def _free(self, wanted: WantedFederation, *, keeps_objects: bool) -> None:
        try:
            await self._topic(wanted).delete()
        except ExternalNameTakenError as error:
            _log.info("federation %s: %s: no topic is deleted", wanted.uid, error)
        bucket = Bucket(self._side, wanted.uid)
        try:
            await bucket.let_nobody_read()
            if not keeps_objects:
                await bucket.delete_objects(federation_prefix(wanted.uid))
        except BucketMissingError as error:
            _log.info("federation %s: nothing is left to free: %s", wanted.uid, error)

    def _topic(self, wanted: WantedFederation) -> Topic:
        return Topic(self._side, wanted.uid, wanted.name)


def _place(member: WantedMember) -> AwsMember:
    if member.aws is None:
        raise BackendError(f"member {member.uuid} has no place on AWS: delete it and invite the peer again")
    return member.aws


def _accounts(members: Sequence[WantedMember]) -> frozenset[str]:
    return frozenset(_place(member).account_id for member in members)
