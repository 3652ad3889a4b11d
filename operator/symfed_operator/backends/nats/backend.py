"""The backend for a NATS system that the operator administers: accounts, users and streams."""

from dataclasses import dataclass, field

from symfed_operator.backends.base import ManagedFederation, MemberSeeds
from symfed_wire.documents import NatsAddress, Signed
from symfed_wire.join import NatsGrant


@dataclass(frozen=True)
class NatsSettings:
    """Where the operator's own NATS is and what it may use there.

    Args:
        internal_hosts: `nats://` URLs that the operator itself dials.
        advertised_hosts: `nats://` URLs that go into grants.
        operator_signing_seed: seed (`SO…`) of the operator's signing key.
        system_creds: text of the system user's credentials file.
        request_timeout: seconds for one request.
    """

    internal_hosts: tuple[str, ...]
    advertised_hosts: tuple[str, ...]
    operator_signing_seed: str = field(repr=False)
    system_creds: str = field(repr=False)
    request_timeout: float = 5.0


def address_of(uuid: str) -> NatsAddress:
    """Where the readers find a member: what the federation document says about it."""
    return NatsAddress(get=f"get.{uuid}", head=f"head.{uuid}")


class NatsBackend:
    """`Backend` over NATS; see there. One connection as system user, made on first use."""

    def __init__(self, settings: NatsSettings) -> None:
        self._settings = settings

    async def close(self) -> None:
        """Closes the connection."""
        raise NotImplementedError

    async def apply(self, wanted: ManagedFederation) -> dict[str, NatsGrant]:
        """See `Backend.apply`."""
        raise NotImplementedError

    async def publish_document(self, wanted: ManagedFederation, document: Signed) -> None:
        """See `Backend.publish_document`."""
        raise NotImplementedError

    async def remove_member(self, wanted: ManagedFederation, seeds: MemberSeeds) -> None:
        """See `Backend.remove_member`."""
        raise NotImplementedError

    async def delete(self, wanted: ManagedFederation) -> None:
        """See `Backend.delete`."""
        raise NotImplementedError
