"""A federation on somebody else's NATS as the operators of its admin and of its peers see it."""

import base64
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from symfed_operator.backends.base import GoneMember, WantedFederation, WantedMember
from symfed_operator.backends.nats import shared
from symfed_operator.backends.nats.external_backend import ExternalNatsBackend, ExternalNatsPeerSide
from symfed_operator.backends.nats.keys import new_federation_seeds, new_member_seeds
from symfed_wire.documents import (
    FEDERATION_CONTEXT,
    FederationDocument,
    FederationSettings,
    Member,
    Signed,
    sign_document,
)
from symfed_wire.join import JoinAnswer
from symfed_wire.node_config import NatsLogin
from tests.integration.external_nats import ExternalNats

ISSUED = datetime(2026, 1, 2, tzinfo=UTC)
MIB = 1 << 20


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


_IDENTITY_KEY = _text(Ed25519PrivateKey.generate().public_key().public_bytes_raw())
_SEALING_KEY = _text(X25519PrivateKey.generate().public_key().public_bytes_raw())


@dataclass
class ExternalFederation:
    """Its document is signed by its own key; `version` and the members' states can be changed."""

    nats: ExternalNats
    peers: tuple[str, ...]
    stream_max_bytes: int = 16 * MIB
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def backend(self) -> ExternalNatsBackend:
        """The admin's."""
        return ExternalNatsBackend(self.nats.account())

    @property
    def wanted(self) -> WantedFederation:
        """With all peers."""
        return self.wanting(*self.peers)

    def wanting(self, *peers: str) -> WantedFederation:
        """With these peers."""
        members = tuple(WantedMember(peer, new_member_seeds(), ISSUED) for peer in peers)
        return WantedFederation(self.uid, "iris", new_federation_seeds(), self.stream_max_bytes, members)

    def side(self, peer: str, login: NatsLogin | None = None) -> ExternalNatsPeerSide:
        """A peer's own operator's; what it was granted came with the first document."""
        answer = JoinAnswer(
            federation=self.uid,
            document_key=_text(self.key.public_key().public_bytes_raw()),
            document=self.document(),
            nats=shared.grant(self.uid, peer, (self.nats.url,)),
        )
        return ExternalNatsPeerSide(self.nats.account(login), peer, answer)

    def document(
        self,
        version: int = 1,
        stream_max_bytes: int = 0,
        removed: str = "",
        key: Ed25519PrivateKey | None = None,
    ) -> Signed:
        """Of this version, signed by the federation's key or by another one."""
        size = stream_max_bytes or self.stream_max_bytes
        document = FederationDocument(
            federation=self.uid,
            name="iris",
            version=version,
            issued="2026-01-02T00:00:00Z",
            settings=FederationSettings(schedule="d1", stream_max_bytes=size),
            members=tuple(self._member(p, "removed" if p == removed else "active") for p in self.peers),
        )
        return sign_document(document, FEDERATION_CONTEXT, key or self.key)

    def _member(self, peer: str, state: Literal["active", "removed"]) -> Member:
        return Member(
            uuid=peer,
            name="peer",
            state=state,
            identity_key=_IDENTITY_KEY,
            sealing_key=_SEALING_KEY,
            nats=shared.address_of(self.uid, peer),
        )

    async def make(self) -> None:
        """All that the operators make, and the first document."""
        await self.backend.apply(self.wanted)
        await self.backend.publish_document(self.wanted, self.document())
        for peer in self.peers:
            await self.side(peer).apply()

    def gone(self, peer: str) -> GoneMember:
        """A member that goes."""
        return GoneMember(new_member_seeds(), peer)

    def stream(self, who: str) -> str:
        """The name of a peer's stream, or of the document's (`federation`)."""
        return f"SF_{self.uid}_{who}"


def new_federation(nats: ExternalNats) -> ExternalFederation:
    """With two peers; nothing is made yet."""
    return ExternalFederation(nats, (str(uuid.uuid4()), str(uuid.uuid4())))
