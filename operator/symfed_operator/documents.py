"""The federation document: what the admin's operator says about who belongs. Pure but for the sealing."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from symfed_operator.backends.nats.backend import address_of
from symfed_operator.records import FederationRecord
from symfed_wire.documents import (
    FEDERATION_CONTEXT,
    FederationDocument,
    FederationSettings,
    KeyGeneration,
    Member,
    Signed,
    sign_document,
    verify_document,
)
from symfed_wire.join import JoinAnswer
from symfed_wire.quantities import parse_quantity
from symfed_wire.resources import Federation, FederationSpec, Nats
from symfed_wire.sealing import seal_to

_GENERATION = 1


@dataclass(frozen=True)
class ActiveMember:
    """A member as its FederationPeer has it; keys are raw 32 bytes in base64."""

    uuid: str
    name: str
    identity_key: str
    sealing_key: str
    is_hosted: bool
    created: datetime


def settings_of(spec: FederationSpec) -> FederationSettings:
    """The terms of a federation, as all its members read them."""
    nats = spec.nats or Nats()
    return FederationSettings(
        schedule=spec.schedule,
        encrypt=spec.encrypt_messages,
        secure_sum=spec.secure_sum,
        privacy=spec.privacy.mode,
        contract=spec.contract,
        request_timeout_seconds=nats.request_timeout_seconds,
        stream_max_bytes=parse_quantity(nats.stream_max_bytes),
    )


def read_document(record: FederationRecord) -> FederationDocument | None:
    """The last document that was made, if any. Raises SignatureError when it is not ours."""
    if record.document is None:
        return None
    return verify_document(record.document, FEDERATION_CONTEXT, record.document_key, FederationDocument)


def next_document(
    previous: FederationDocument | None,
    federation: Federation,
    active: Sequence[ActiveMember],
    federation_key: bytes,
    now: datetime,
) -> FederationDocument:
    """The document as it must be now: `previous` itself when nothing differs, else one version more."""
    uid = federation.metadata.uid
    document = FederationDocument(
        federation=uid,
        name=federation.spec.name,
        version=previous.version if previous else 1,
        issued=previous.issued if previous else _rfc3339(now),
        settings=settings_of(federation.spec),
        keys=(_key_generation(previous, uid, active, federation_key),),
        members=_members(previous, active),
    )
    if previous is None or document == previous:
        return document
    return document.model_copy(update={"version": previous.version + 1, "issued": _rfc3339(now)})


def is_still_good(old: JoinAnswer, uuid: str, new: JoinAnswer) -> bool:
    """Whether a member's stored answer holds: its document may be old, but must list the member."""
    if old.model_copy(update={"document": new.document}) != new:
        return False
    member = first_document(old).member(uuid)
    return member is not None and member.state == "active"


def first_document(answer: JoinAnswer) -> FederationDocument:
    """The document inside an answer. Raises SignatureError when the answer's own key did not sign it."""
    return verify_document(answer.document, FEDERATION_CONTEXT, answer.document_key, FederationDocument)


def sign_federation_document(document: FederationDocument, record: FederationRecord) -> Signed:
    """Sign with the federation key pair."""
    return sign_document(document, FEDERATION_CONTEXT, record.document_key_pair)


def _members(previous: FederationDocument | None, active: Sequence[ActiveMember]) -> tuple[Member, ...]:
    admin = _admin(previous, active)
    members = [
        Member(
            uuid=member.uuid,
            name=member.name,
            admin=member.uuid == admin,
            identity_key=member.identity_key,
            sealing_key=member.sealing_key,
            nats=address_of(member.uuid),
        )
        for member in active
    ]
    present = {member.uuid for member in active}
    gone = [member for member in (previous.members if previous else ()) if member.uuid not in present]
    members += [member.model_copy(update={"state": "removed"}) for member in gone]
    return tuple(sorted(members, key=lambda member: member.uuid.encode()))


def _admin(previous: FederationDocument | None, active: Sequence[ActiveMember]) -> str | None:
    """The admin's own peer stays it while it is there; else the oldest one hosted here."""
    hosted = sorted((m for m in active if m.is_hosted), key=lambda m: (m.created, m.uuid))
    known = {m.uuid for m in (previous.members if previous else ()) if m.admin and m.state == "active"}
    return next((m.uuid for m in hosted if m.uuid in known), hosted[0].uuid if hosted else None)


def _key_generation(
    previous: FederationDocument | None, uid: str, active: Sequence[ActiveMember], federation_key: bytes
) -> KeyGeneration:
    """The federation key for each active member; a sealed text is random, so it is made once and kept."""
    kept = {key.generation: key.sealed_for for key in (previous.keys if previous else ())}.get(
        _GENERATION, {}
    )
    sealed = {
        member.uuid: kept.get(member.uuid)
        or seal_to(
            federation_key,
            base64.b64decode(member.sealing_key),
            f"symfed/federation-key/v1|{uid}|{_GENERATION}|{member.uuid}",
        )
        for member in sorted(active, key=lambda member: member.uuid)
    }
    return KeyGeneration(generation=_GENERATION, sealed_for=sealed)


def _rfc3339(now: datetime) -> str:
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
