"""What a federation's backend must be able to do, and what it is told.

The reconciles see only this file and the backend that they were given.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from symfed_wire.documents import Signed
from symfed_wire.errors import SymfedError
from symfed_wire.join import NatsGrant


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


class PartlyAppliedError(BackendError):
    """The streams of some members are not as they must be.

    `first` says it of one of them; `grants` are those of all the others, by uuid.
    """

    def __init__(self, first: BackendError, grants: dict[str, NatsGrant]) -> None:
        super().__init__(str(first))
        self.first = first
        self.grants = grants


@dataclass(frozen=True)
class ManagedMember:
    """An active member. `writer_key` and `reader_key` are the public nkeys (`U…`) of its two users.

    `issued` is when its object was made; it dates its user JWTs, so that they are the same every time.
    """

    uuid: str
    seeds: MemberSeeds
    writer_key: str
    reader_key: str
    issued: datetime


@dataclass(frozen=True)
class ManagedFederation:
    """A federation on the NATS that the operator administers, with its *active* members.

    `uid` is that of the Federation object; `stream_max_bytes` bounds what each member may store.
    """

    uid: str
    name: str
    seeds: FederationSeeds
    stream_max_bytes: int
    members: tuple[ManagedMember, ...] = ()


class Backend(Protocol):
    """Level-based: each call observes first and changes only what differs. Raises BackendError."""

    async def apply(self, wanted: ManagedFederation) -> dict[str, NatsGrant]:
        """Makes everything that the federation needs; grants by member uuid.

        The grants carry the *advertised* hosts: the operator's own nodes get the internal ones instead.
        Raises PartlyAppliedError when only some members' streams fail.
        """
        ...

    async def publish_document(self, wanted: ManagedFederation, document: Signed) -> None:
        """Publishes the federation document, unless the stored one is the same. After `apply`."""
        ...

    async def remove_member(self, wanted: ManagedFederation, seeds: MemberSeeds) -> None:
        """Cuts a member's users and frees its stream and account; it is skipped if listed in `wanted`.

        Needs no `apply` before, so that what leaves makes room for what comes.
        """
        ...

    async def retain_member(self, wanted: ManagedFederation, seeds: MemberSeeds) -> None:
        """Cuts a member's users and shrinks its account to what it stores; what stores nothing is freed."""
        ...

    async def retain(self, wanted: ManagedFederation) -> None:
        """Frees the readers' account and shrinks the federation's to what it stores."""
        ...

    async def delete(self, wanted: ManagedFederation) -> None:
        """Frees all streams, then all accounts: those of the members in `wanted`, readers', federation's."""
        ...

    async def close(self) -> None:
        """Closes connections."""
        ...
