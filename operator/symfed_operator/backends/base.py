"""What a federation's backend must be able to do, and what it is told.

The reconciles see only this file and the backends that `choice.py` gives them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeAlias

from symfed_wire.documents import AwsAddress, NatsAddress, Signed
from symfed_wire.errors import SymfedError
from symfed_wire.join import AwsGrant, AwsMember, NatsGrant, NatsUserKeys
from symfed_wire.node_config import AwsPlace, NatsLogin
from symfed_wire.resources import FederationPeer

Address: TypeAlias = NatsAddress | AwsAddress
Grant: TypeAlias = NatsGrant | AwsGrant


class BackendError(SymfedError):
    """The outside did not do what a federation needs. `reason` is the condition's reason."""

    reason = "BackendFailed"


class UnreachableError(BackendError):
    """The server does not answer in time."""

    reason = "Unreachable"


class AuthorizationFailedError(BackendError):
    """The server refuses the operator's own credentials or signature."""

    reason = "AuthorizationFailed"


class TooManyConnectionsError(BackendError):
    """Somebody holds all the connections that an account may have."""

    reason = "TooManyConnections"


class NoCapacityError(BackendError):
    """The server cannot reserve the storage that an account needs."""

    reason = "NoCapacity"


class JetStreamDisabledError(BackendError):
    """The server stores nothing, or not for this account."""

    reason = "JetStreamDisabled"


class NotSupportedError(BackendError):
    """The operator has no server on which it could make accounts."""

    reason = "NotSupported"


@dataclass(frozen=True)
class MemberSeeds:
    """A member's private nkeys on the admin's side (account nkeys, `SA…`): Secret `member-<uid>`.

    `account` is the identity of its account, `signing` signs for the operator itself (activations, its
    own short-lived users), the two roles sign the member's writer and reader. The reader's role is the
    member's own, so that a removed member's reader is cut by the absence of that key, with nothing to
    remember.
    """

    account: str = field(repr=False)
    signing: str = field(repr=False)
    writer_role: str = field(repr=False)
    reader_role: str = field(repr=False)


@dataclass(frozen=True)
class FederationSeeds:
    """A federation's private nkeys (account nkeys, `SA…`): part of Secret `fed-<uid>`.

    `account` and `signing` are of the account that holds the document, `readers_account` is the identity
    of the readers' account.
    """

    account: str = field(repr=False)
    signing: str = field(repr=False)
    readers_account: str = field(repr=False)


class CredentialsMissingError(BackendError):
    """The Secret with the credentials of a backend is not there, or lacks keys."""

    reason = "CredentialsMissing"


class SecretMissingError(CredentialsMissingError):
    """There is no Secret of that name; in a namespace that goes, none can be made any more."""


class ExternalNameTakenError(BackendError):
    """What a federation would make has its name outside already, and is somebody else's."""

    reason = "NameTaken"


@dataclass(frozen=True)
class WantedMember:
    """An active member, with the public side that its backend needs: NATS user keys, or its place on AWS.

    `issued` is when its object was made; it dates its user JWTs, so that they are the same every time.
    """

    uuid: str
    seeds: MemberSeeds
    issued: datetime
    users: NatsUserKeys | None = None
    aws: AwsMember | None = None


@dataclass(frozen=True)
class GoneMember:
    """A member that goes; `uuid` is unknown of one whose account was retained before."""

    seeds: MemberSeeds
    uuid: str = ""


@dataclass(frozen=True)
class WantedFederation:
    """A federation with its *active* members.

    `uid` is that of the Federation object; `stream_max_bytes` bounds what each member may store on NATS.
    """

    uid: str
    name: str
    seeds: FederationSeeds
    stream_max_bytes: int
    members: tuple[WantedMember, ...] = ()


@dataclass(frozen=True)
class Applied:
    """What a backend made: grants by member uuid, and an error for each member that has none.

    `notes` are for the administrator, and stop nothing.
    """

    grants: Mapping[str, Grant]
    faults: tuple[BackendError, ...] = ()
    topic_arn: str | None = None
    notes: tuple[str, ...] = ()


class Backend(Protocol):
    """The admin's side. Level-based: each call observes first and changes only what differs.

    Every call but `address_of` and `place_of` may raise BackendError.
    """

    def address_of(self, federation: str, member: WantedMember) -> Address:
        """Where the others find a member; `federation` is the uid of the Federation object."""
        ...

    def place_of(self, peer: FederationPeer, federation_name: str) -> AwsMember | None:
        """The place on AWS of a peer that is hosted here; None where there is no such thing."""
        ...

    async def apply(self, wanted: WantedFederation) -> Applied:
        """Makes everything that the federation needs. A member's own fault costs that member alone.

        NATS grants carry the *advertised* hosts: the operator's own nodes get the internal ones instead.
        """
        ...

    async def publish_document(self, wanted: WantedFederation, document: Signed) -> None:
        """Publishes the federation document, unless the stored one is the same. After `apply`."""
        ...

    async def remove_member(self, wanted: WantedFederation, gone: GoneMember) -> None:
        """Cuts a member off and frees what it had; it is skipped if listed in `wanted`.

        Needs no `apply` before, so that what leaves makes room for what comes.
        """
        ...

    async def retain_member(self, wanted: WantedFederation, gone: GoneMember) -> None:
        """Cuts a member off and keeps what it has stored, with room for nothing more."""
        ...

    async def retain(self, wanted: WantedFederation) -> None:
        """Frees what the federation has beside its stored snapshots, and keeps those."""
        ...

    async def delete(self, wanted: WantedFederation) -> None:
        """Frees everything, of the members in `wanted` too."""
        ...

    async def close(self) -> None:
        """Closes connections."""
        ...


@dataclass(frozen=True)
class Told:
    """What a node is told beside its grant."""

    nats_login: NatsLogin | None = None
    aws_place: AwsPlace | None = None


class PeerSide(Protocol):
    """What a hosted peer's own operator does for it, with the peer's own credentials.

    It was made for one peer and its JoinAnswer. `apply` and `delete` may raise BackendError.
    """

    @property
    def told(self) -> Told:
        """What the peer's node needs to use it."""
        ...

    async def apply(self) -> str:
        """Makes what the peer itself must have, from the newest document; says what is as it must be."""
        ...

    async def delete(self, *, retains: bool) -> None:
        """Frees it, and what the peer has stored too, unless it `retains` that. After it has left."""
        ...
