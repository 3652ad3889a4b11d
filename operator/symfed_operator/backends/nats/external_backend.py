"""The backend for a NATS that somebody else runs: streams in an account that all members share.

The admin's operator makes the stream of the document, each peer's own operator that peer's.
"""

from symfed_operator.backends.base import Applied, GoneMember, Told, WantedFederation, WantedMember
from symfed_operator.backends.nats.external import OpenAccount, SharedAccount
from symfed_operator.backends.nats.shared import address_of, document_layout, grant, member_layout
from symfed_operator.documents import first_document, newest_document
from symfed_wire.documents import FederationDocument, NatsAddress, SignatureError, Signed
from symfed_wire.errors import MalformedError
from symfed_wire.join import JoinAnswer
from symfed_wire.resources import FederationPeer


class ExternalNatsBackend:
    """`Backend` on a NATS that somebody else runs; see there. Its connections are short."""

    def __init__(self, account: SharedAccount) -> None:
        self._account = account

    def address_of(self, federation: str, member: WantedMember) -> NatsAddress:
        """See `Backend.address_of`."""
        return address_of(federation, member.uuid)

    def place_of(self, peer: FederationPeer, federation_name: str) -> None:
        """See `Backend.place_of`."""

    async def apply(self, wanted: WantedFederation) -> Applied:
        """See `Backend.apply`."""
        async with self._account.connected() as account:
            warning = account.check()
            await account.stream(document_layout(wanted.uid)).ensure()
        grants = {
            member.uuid: grant(wanted.uid, member.uuid, self._account.hosts) for member in wanted.members
        }
        return Applied(grants, notes=(warning,) if warning else ())

    async def publish_document(self, wanted: WantedFederation, document: Signed) -> None:
        """See `Backend.publish_document`."""
        async with self._account.connected() as account:
            await account.stream(document_layout(wanted.uid)).publish_document(document)

    async def remove_member(self, wanted: WantedFederation, gone: GoneMember) -> None:
        """See `Backend.remove_member`. It keeps the login: nothing that it puts is read any more."""
        if not gone.uuid or any(member.uuid == gone.uuid for member in wanted.members):
            return
        async with self._account.connected() as account:
            await account.stream(member_layout(wanted.uid, gone.uuid, wanted.stream_max_bytes)).free()

    async def retain_member(self, wanted: WantedFederation, gone: GoneMember) -> None:
        """See `Backend.retain_member`. Its stream stays as it is."""

    async def retain(self, wanted: WantedFederation) -> None:
        """See `Backend.retain`. All streams stay as they are."""

    async def delete(self, wanted: WantedFederation) -> None:
        """See `Backend.delete`."""
        async with self._account.connected() as account:
            await account.free_all(wanted.uid)

    async def close(self) -> None:
        """See `Backend.close`: nothing is open."""


class ExternalNatsPeerSide:
    """`PeerSide` on a NATS that somebody else runs; see there. What the peer has is its stream."""

    def __init__(self, account: SharedAccount, uuid: str, answer: JoinAnswer) -> None:
        self._account = account
        self._uuid = uuid
        self._answer = answer

    @property
    def told(self) -> Told:
        """See `PeerSide.told`."""
        return Told(nats_login=self._account.login)

    async def apply(self) -> str:
        """See `PeerSide.apply`."""
        async with self._account.connected() as account:
            warning = account.check()
            document = await self._newest_document(account)
            own = document.member(self._uuid)
            if own is not None and own.state == "removed":
                return "the admin has removed this peer: no stream is made"
            size = document.settings.stream_max_bytes
            await account.stream(member_layout(self._answer.federation, self._uuid, size)).ensure()
            return f"the stream is as it must be; {warning}" if warning else "the stream is as it must be"

    async def delete(self, *, retains: bool) -> None:
        """See `PeerSide.delete`."""
        if retains:
            return
        async with self._account.connected() as account:
            await account.stream(member_layout(self._answer.federation, self._uuid, 0)).free()

    async def _newest_document(self, account: OpenAccount) -> FederationDocument:
        """The published one, unless it is forged or older than the one that came with the grant."""
        stored = await account.stream(document_layout(self._answer.federation)).newest()
        try:
            return first_document(self._answer) if stored is None else newest_document(self._answer, stored)
        except (MalformedError, SignatureError):
            return first_document(self._answer)
