"""Who is a member of a federation right now: its FederationPeers, from a live list, with their keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError

from symfed_operator.backends.base import Address, Backend, GoneMember, WantedMember
from symfed_operator.backends.nats import keys
from symfed_operator.context import Context
from symfed_operator.documents import ActiveMember
from symfed_operator.errors import UnusableKeysError
from symfed_operator.records import (
    MemberRecord,
    PeerRecord,
    Stored,
    member_record_name,
    peer_record_name,
)
from symfed_wire.documents import Member, describe_faults
from symfed_wire.join import AwsMember, NatsUserKeys
from symfed_wire.kube import PEERS
from symfed_wire.names import FINALIZER
from symfed_wire.resources import Federation, FederationPeer, Remote

_BEFORE_EVERYTHING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Identity:
    """The public half of a member; NATS keys are nkey text, the others raw 32 bytes in base64.

    `aws` is its place there, if it has one.
    """

    uuid: str
    name: str
    identity_key: str
    sealing_key: str
    users: NatsUserKeys | None
    aws: AwsMember | None = None


@dataclass(frozen=True)
class ListedMember:
    """A FederationPeer of the federation with its identity and what the admin's side keeps for it."""

    peer: FederationPeer
    identity: Identity
    stored: Stored[MemberRecord]

    def active(self, address: Address) -> ActiveMember:
        """As the federation document lists it."""
        return ActiveMember(
            uuid=self.identity.uuid,
            name=self.identity.name,
            identity_key=self.identity.identity_key,
            sealing_key=self.identity.sealing_key,
            is_hosted=self.peer.is_hosted,
            created=created(self.peer),
            address=address,
        )

    @property
    def wanted(self) -> WantedMember:
        """As the backend needs it."""
        return WantedMember(
            uuid=self.identity.uuid,
            seeds=self.stored.record.seeds,
            issued=created(self.peer),
            users=self.identity.users,
            aws=self.identity.aws,
        )


@dataclass(frozen=True)
class LeavingMember:
    """A FederationPeer under deletion; what it had outside may still be there."""

    peer: FederationPeer
    stored: Stored[MemberRecord]

    @property
    def gone(self) -> GoneMember:
        """As the backend removes it."""
        remote = self.peer.spec.remote
        return GoneMember(self.stored.record.seeds, remote.uuid if remote else self.peer.status.uuid or "")


@dataclass(frozen=True)
class Membership:
    """Everybody who has a place in the federation, and why others have none."""

    active: tuple[ListedMember, ...]
    leaving: tuple[LeavingMember, ...]
    left_out: tuple[UnusableKeysError, ...]


def created(peer: FederationPeer) -> datetime:
    """When the object was made; the API server always says."""
    return peer.metadata.creation_timestamp or _BEFORE_EVERYTHING


def by_age(peers: Sequence[FederationPeer]) -> list[FederationPeer]:
    """Oldest first; the uid decides between objects of one second."""
    return sorted(peers, key=lambda peer: (created(peer), peer.metadata.uid))


async def live_peers(context: Context, namespace: str, fields: str = "") -> list[FederationPeer]:
    """The FederationPeers of a namespace as the API server has them now, oldest first."""
    items = await context.kube.list_all(PEERS, namespace, fields=fields)
    return by_age([FederationPeer.model_validate(item) for item in items])


async def live_members(context: Context, federation: Federation) -> list[FederationPeer]:
    """The FederationPeers that name this federation, those under deletion included."""
    fields = f"spec.federationRef.name={federation.metadata.name}"
    return await live_peers(context, federation.metadata.namespace, fields)


async def membership(
    context: Context, federation: Federation, backend: Backend, *, admits: bool
) -> Membership:
    """Read everybody, and, if the federation admits anybody, make the records of those that are new.

    A hosted peer is skipped until it has its identity, a remote one until it has its finalizer, without
    which its record would be nobody's when it goes; a second one with the same uuid altogether.
    """
    active: dict[str, ListedMember] = {}
    leaving: list[LeavingMember] = []
    left_out: list[UnusableKeysError] = []
    for peer in await live_members(context, federation):
        record_name = member_record_name(peer.metadata.uid)
        stored = await context.records.find(record_name, MemberRecord)
        if peer.metadata.deletion_timestamp is not None:
            if stored is not None:
                leaving.append(LeavingMember(peer, stored))
            continue
        if stored is None and not (admits and FINALIZER in peer.metadata.finalizers):
            continue
        try:
            identity = await _identity(context, peer, federation, backend)
        except UnusableKeysError as error:
            left_out.append(error)
            continue
        if identity is not None and identity.uuid not in active:
            stored = stored or await context.records.ensure(
                record_name, MemberRecord, lambda: MemberRecord(seeds=keys.new_member_seeds())
            )
            active[identity.uuid] = ListedMember(peer, identity, stored)
    return Membership(tuple(active.values()), tuple(leaving), tuple(left_out))


async def _identity(
    context: Context, peer: FederationPeer, federation: Federation, backend: Backend
) -> Identity | None:
    if peer.spec.remote is None:
        stored = await context.records.find(peer_record_name(peer.metadata.uid), PeerRecord)
        aws = backend.place_of(peer, federation.spec.name)
        return None if stored is None else hosted_identity(peer, stored.record, aws)
    identity = remote_identity(peer, peer.spec.remote)
    if (identity.aws if federation.spec.aws else identity.users) is None:
        kind = "place on AWS (aws)" if federation.spec.aws else "keys of NATS users (natsUserKeys)"
        raise UnusableKeysError(
            f"FederationPeer {peer.metadata.name}: spec.remote has no {kind}, which this federation needs; "
            "delete it and invite the peer again"
        )
    return identity


def remote_identity(peer: FederationPeer, remote: Remote) -> Identity:
    """The public half of a member that is hosted elsewhere.

    The gateway checks keys before it writes them; an object that somebody else wrote is checked here.
    Raises UnusableKeysError.
    """
    try:
        Member(
            uuid=remote.uuid,
            name=remote.display_name,
            identity_key=remote.identity_key,
            sealing_key=remote.sealing_key,
        )
    except ValidationError as error:
        raise UnusableKeysError(
            f"FederationPeer {peer.metadata.name}: spec.remote: {describe_faults(error)}; "
            "delete it and invite the peer again"
        ) from None
    users, aws = remote.nats_user_keys, remote.aws
    return Identity(
        uuid=remote.uuid,
        name=remote.display_name,
        identity_key=remote.identity_key,
        sealing_key=remote.sealing_key,
        users=NatsUserKeys(writer=users.writer, reader=users.reader) if users else None,
        aws=AwsMember(
            account_id=aws.account_id, region=aws.region, bucket=aws.bucket, queue_arn=aws.queue_arn
        )
        if aws
        else None,
    )


def hosted_identity(peer: FederationPeer, record: PeerRecord, aws: AwsMember | None) -> Identity:
    """The public half of a peer's record, with its place on AWS if its federation is there."""
    return Identity(
        uuid=record.uuid,
        name=peer.spec.project or peer.metadata.name,
        identity_key=record.identity_key,
        sealing_key=record.sealing_key,
        users=NatsUserKeys(
            writer=keys.public_key(record.secrets.nats_writer_seed),
            reader=keys.public_key(record.secrets.nats_reader_seed),
        ),
        aws=aws,
    )
