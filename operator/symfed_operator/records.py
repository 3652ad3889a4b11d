"""Identities of federations, members and peers: Secrets in the operator's own namespace.

They are made before anything outside is (so that a crash reuses them) and only ever by POST; what is
learnt later is added by replacing the Secret at the resourceVersion that was read.
"""

import base64
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import Field, JsonValue, ValidationError

from symfed_operator.backends.base import FederationSeeds, MemberSeeds
from symfed_operator.cluster import LABEL_MANAGED_BY, MANAGER, SecretObject, secret_data
from symfed_operator.errors import DamagedRecordError
from symfed_operator.invitation import OpenedInvitation
from symfed_wire.documents import PeerUuid, Signed, WireModel, describe_faults
from symfed_wire.errors import MalformedError
from symfed_wire.join import JoinAnswer
from symfed_wire.kube import SECRETS, JsonObject, Kube
from symfed_wire.kube_errors import ConflictError
from symfed_wire.node_config import NatsLogin, PeerSecrets

_FILE = "record.json"
_JOIN_KEY_BYTES = 16  # as clients know it


class FederationRecord(WireModel):
    """Secret `fed-<uid>`: all keys of a federation, in base64; `document` is the last one that was made.

    `join_key` is in every invitation and seals joins. `federation_keys` seal snapshots, by generation.
    `retained` are the seeds of members' accounts that outlive their members.
    """

    seeds: FederationSeeds
    document_seed: str
    join_key: str = Field(alias="federation_key")  # as it is stored
    federation_keys: Mapping[int, str] = {}
    document: Signed | None = None
    retained: tuple[MemberSeeds, ...] = ()

    @property
    def document_key_pair(self) -> Ed25519PrivateKey:
        """Signs the federation document."""
        return Ed25519PrivateKey.from_private_bytes(base64.b64decode(self.document_seed))

    @property
    def document_key(self) -> str:
        """The public half in base64, which invitations carry."""
        return _public(self.document_key_pair)


class MemberRecord(WireModel):
    """Secret `member-<uid of the FederationPeer>`, on the admin's side. While it is there, so may be the
    member's account. `answer` is what the member was granted."""

    seeds: MemberSeeds
    answer: JoinAnswer | None = None


class PeerRecord(WireModel):
    """Secret `peer-<uid of the FederationPeer>` of a peer that is hosted here.

    `asked_with` is there while it has asked to join and has no answer, so that it can leave all the same.
    `answer` and `leave_url` are there once it has joined, `login` where that is to somebody else's NATS.
    `beside` is what the Federation beside it granted, kept where the peer has something outside to be freed.
    """

    uuid: PeerUuid
    secrets: PeerSecrets
    asked_with: OpenedInvitation | None = None
    answer: JoinAnswer | None = None
    leave_url: str | None = None
    login: NatsLogin | None = None
    beside: JoinAnswer | None = None

    @property
    def identity_key_pair(self) -> Ed25519PrivateKey:
        """Signs the peer's snapshot heads and its wish to leave."""
        return Ed25519PrivateKey.from_private_bytes(base64.b64decode(self.secrets.identity_seed))

    @property
    def identity_key(self) -> str:
        """Public Ed25519 key in base64."""
        return _public(self.identity_key_pair)

    @property
    def sealing_key(self) -> str:
        """Public X25519 key in base64."""
        seed = base64.b64decode(self.secrets.sealing_seed)
        return _public(X25519PrivateKey.from_private_bytes(seed))


def new_federation_record(seeds: FederationSeeds) -> FederationRecord:
    """Fresh keys of a federation around its NATS seeds."""
    return FederationRecord(
        seeds=seeds,
        document_seed=_random(32),
        join_key=_random(_JOIN_KEY_BYTES),
        federation_keys={1: new_federation_key()},
    )


def new_federation_key() -> str:
    """A fresh key for snapshots."""
    return _random(32)


def new_peer_record(uuid: str, nats_writer_seed: str, nats_reader_seed: str) -> PeerRecord:
    """Fresh keys of a peer."""
    secrets = PeerSecrets(
        identity_seed=_random(32),
        sealing_seed=_random(32),
        nats_writer_seed=nats_writer_seed,
        nats_reader_seed=nats_reader_seed,
    )
    return PeerRecord(uuid=uuid, secrets=secrets)


def federation_record_name(uid: str) -> str:
    """The Secret of a Federation's record."""
    return f"fed-{uid}"


def member_record_name(uid: str) -> str:
    """The Secret of a member's record; `uid` is its FederationPeer's."""
    return f"member-{uid}"


def peer_record_name(uid: str) -> str:
    """The Secret of a hosted peer's record."""
    return f"peer-{uid}"


Record = TypeVar("Record", FederationRecord, MemberRecord, PeerRecord)


@dataclass(frozen=True)
class Stored(Generic[Record]):
    """A record with where it is and which version of it this is."""

    name: str
    resource_version: str
    record: Record
    is_new: bool = False


class Records:
    """The records in the operator's namespace, by the Secret's name; never listed."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube = kube
        self._namespace = namespace

    async def find(self, name: str, model: type[Record]) -> Stored[Record] | None:
        """Read a record. Raises DamagedRecordError."""
        found = await self._kube.find(SECRETS, self._namespace, name)
        return None if found is None else self._parse(found, model)

    async def ensure(self, name: str, model: type[Record], make: Callable[[], Record]) -> Stored[Record]:
        """Read a record; make it first when it is not there. Whoever makes it first wins."""
        found = await self.find(name, model)
        if found is not None:
            return found
        try:
            made = await self._kube.create(SECRETS, self._namespace, self._manifest(name, make()))
        except ConflictError:
            return self._parse(await self._kube.get(SECRETS, self._namespace, name), model)
        parsed = self._parse(made, model)
        return Stored(parsed.name, parsed.resource_version, parsed.record, is_new=True)

    async def replace(
        self, stored: Stored[Record], record: Record, labels: Mapping[str, JsonValue] | None = None
    ) -> Stored[Record]:
        """Write what was learnt. Raises ConflictError when somebody else wrote since."""
        body = self._manifest(stored.name, record, stored.resource_version, labels)
        answer = await self._kube.replace(SECRETS, self._namespace, stored.name, body)
        return self._parse(answer, type(record))

    async def delete(self, name: str) -> None:
        """Remove a record, if it is there."""
        await self._kube.delete(SECRETS, self._namespace, name)

    def _manifest(
        self,
        name: str,
        record: WireModel,
        resource_version: str = "",
        more_labels: Mapping[str, JsonValue] | None = None,
    ) -> JsonObject:
        metadata: JsonObject = {
            "name": name,
            "namespace": self._namespace,
            "labels": {LABEL_MANAGED_BY: MANAGER, **(more_labels or {})},
        }
        if resource_version:
            metadata["resourceVersion"] = resource_version
        data = secret_data({_FILE: record.model_dump_json(by_alias=True, exclude_none=True)})
        return {"metadata": metadata, "type": "Opaque", "data": data}

    def _parse(self, answer: JsonObject, model: type[Record]) -> Stored[Record]:
        secret = SecretObject.model_validate(answer)
        name = secret.metadata.name
        try:
            record = model.model_validate_json(secret.text(_FILE) or "")
        except MalformedError as error:
            raise DamagedRecordError(f"{self._namespace}: {error}; restore it") from None
        except ValidationError as error:
            raise DamagedRecordError(
                f"Secret {self._namespace}/{name}, key {_FILE}: {describe_faults(error)}; restore it"
            ) from None
        return Stored(name, secret.metadata.resource_version, record)


def _random(length: int) -> str:
    return base64.b64encode(os.urandom(length)).decode()


def _public(key: Ed25519PrivateKey | X25519PrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()
