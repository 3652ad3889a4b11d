"""What operators do on NATS for the peers of a `World`: on a NATS of their own, or on somebody else's."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from symfed_operator.backends.base import GoneMember, WantedFederation, WantedMember
from symfed_operator.backends.nats import account, shared
from symfed_operator.backends.nats.backend import NatsBackend, NatsSettings
from symfed_operator.backends.nats.external import SharedAccount
from symfed_operator.backends.nats.keys import OPERATOR, new_federation_seeds, new_seed
from symfed_operator.bootstrap import NatsServerSettings, identity_from, nats_conf
from symfed_wire.documents import NatsAddress, Signed
from symfed_wire.join import NatsGrant
from symfed_wire.node_config import NatsLogin
from tests.integration.external_nats import Way, external_server
from tests.integration.nats_system import granted
from tests.integration.servers import NatsServer

STREAM_MAX_BYTES = 16 << 20
_ISSUED = datetime(2026, 1, 2, tzinfo=UTC)


class NatsOperator(Protocol):
    """The operators of all peers, in one."""

    @property
    def uid(self) -> str:
        """Of the Federation."""

    @property
    def login(self) -> NatsLogin | None:
        """What the nodes are told beside their grants."""

    def address_of(self, peer: str) -> NatsAddress: ...

    async def apply(self) -> dict[str, NatsGrant]: ...

    async def publish(self, document: Signed) -> None: ...

    async def remove(self, peer: str) -> None: ...

    async def close(self) -> None: ...


class ManagedNats:
    """On a NATS that the operator administers: accounts and users."""

    login = None

    def __init__(self, backend: NatsBackend, managed: WantedFederation) -> None:
        self._backend = backend
        self._managed = managed
        self.uid = managed.uid

    def address_of(self, peer: str) -> NatsAddress:
        return account.address_of(peer)

    async def apply(self) -> dict[str, NatsGrant]:
        return await granted(self._backend, self._managed)

    async def publish(self, document: Signed) -> None:
        await self._backend.publish_document(self._managed, document)

    async def remove(self, peer: str) -> None:
        gone = next(GoneMember(each.seeds, peer) for each in self._managed.members if each.uuid == peer)
        remaining = tuple(member for member in self._managed.members if member.uuid != peer)
        self._managed = replace(self._managed, members=remaining)
        await self._backend.remove_member(self._managed, gone)

    async def close(self) -> None:
        await self._backend.close()


class SharedNats:
    """On somebody else's NATS: streams alone."""

    def __init__(self, at: SharedAccount, peers: Sequence[str]) -> None:
        self._at = at
        self._peers = peers
        self.uid = str(uuid.uuid4())
        self.login = at.login

    def address_of(self, peer: str) -> NatsAddress:
        return shared.address_of(self.uid, peer)

    async def apply(self) -> dict[str, NatsGrant]:
        async with self._at.connected() as account:
            await account.stream(shared.document_layout(self.uid)).ensure()
            for peer in self._peers:
                await account.stream(shared.member_layout(self.uid, peer, STREAM_MAX_BYTES)).ensure()
        return {peer: shared.grant(self.uid, peer, self._at.hosts) for peer in self._peers}

    async def publish(self, document: Signed) -> None:
        async with self._at.connected() as account:
            await account.stream(shared.document_layout(self.uid)).publish_document(document)

    async def remove(self, peer: str) -> None:
        async with self._at.connected() as account:
            await account.stream(shared.member_layout(self.uid, peer, STREAM_MAX_BYTES)).free()

    async def close(self) -> None:
        """Its connections are short."""


def managed_nats(folder: Path, members: Sequence[WantedMember]) -> tuple[NatsServer, NatsOperator]:
    """A server of the operator's own, not started yet; it stores in `nats-data`."""
    identity = identity_from(new_seed(OPERATOR), _ISSUED)
    config = folder / "nats.conf"
    settings = NatsServerSettings(nats_data=str(folder / "nats-data"), nats_max_file_store="1Gi")
    config.write_text(nats_conf(identity, settings))
    server = NatsServer(config, folder / "nats")
    managed = WantedFederation(
        uid=str(uuid.uuid4()),
        name="iris",
        seeds=new_federation_seeds(),
        stream_max_bytes=STREAM_MAX_BYTES,
        members=tuple(members),
    )
    backend = NatsBackend(
        NatsSettings(
            internal_hosts=(server.url,),
            advertised_hosts=(server.url,),
            operator_signing_seed=identity.operator_signing_seed,
            system_creds=identity.system_creds,
        )
    )
    return server, ManagedNats(backend, managed)


def shared_nats(folder: Path, members: Sequence[WantedMember], way: Way) -> tuple[NatsServer, NatsOperator]:
    """Somebody else's server, likewise."""
    nats = external_server(folder, way)
    return nats.server, SharedNats(nats.account(), [member.uuid for member in members])
