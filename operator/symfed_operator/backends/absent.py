"""The backend of an operator without a NATS system of its own: federations say so, all else goes on."""

import logging

from symfed_operator.backends.base import (
    Applied,
    GoneMember,
    NotSupportedError,
    WantedFederation,
    WantedMember,
)
from symfed_operator.backends.nats.account import address_of
from symfed_wire.documents import NatsAddress, Signed
from symfed_wire.resources import FederationPeer

_log = logging.getLogger(__name__)
WHAT_TO_DO = (
    "the operator has no keys of a NATS system: install the chart with nats.enabled=true, or make the "
    "Secrets symfed-nats-operator and symfed-nats-system with `symfed-operator bootstrap-nats`, and restart "
    "the operator"
)


class AbsentBackend:
    """`Backend` where there is no server; see there. What was never made needs no freeing."""

    def address_of(self, federation: str, member: WantedMember) -> NatsAddress:
        """As if there were one."""
        return address_of(member.uuid)

    def place_of(self, peer: FederationPeer, federation_name: str) -> None:
        """See `Backend.place_of`."""

    async def apply(self, wanted: WantedFederation) -> Applied:
        """Raises NotSupportedError."""
        raise NotSupportedError(f"federation {wanted.name}: {WHAT_TO_DO}")

    async def publish_document(self, wanted: WantedFederation, document: Signed) -> None:
        """Raises NotSupportedError."""
        raise NotSupportedError(f"federation {wanted.name}: {WHAT_TO_DO}")

    async def remove_member(self, wanted: WantedFederation, gone: GoneMember) -> None:
        """Lets a member go; an account from when there was a server stays on its disk."""
        _log.warning(
            "federation %s: a member goes without a backend; what it had there is not freed", wanted.uid
        )

    async def retain_member(self, wanted: WantedFederation, gone: GoneMember) -> None:
        """Lets a member go; an account from when there was a server stays as it is."""
        _log.warning(
            "federation %s: a member goes without a backend; what it had there stays as it is", wanted.uid
        )

    async def retain(self, wanted: WantedFederation) -> None:
        """Lets a federation go, likewise."""
        _log.warning("federation %s goes without a backend; what it had there stays as it is", wanted.uid)

    async def delete(self, wanted: WantedFederation) -> None:
        """Lets a federation go, likewise."""
        _log.warning("federation %s goes without a backend; what it had there is not freed", wanted.uid)

    async def close(self) -> None:
        """Nothing is open."""
