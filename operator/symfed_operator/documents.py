"""The federation document: what the admin's operator says about who belongs. Pure but for the sealing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from symfed_operator.backends.base import Address
from symfed_operator.federation_keys import next_keys, sealed_generations
from symfed_operator.records import FederationRecord
from symfed_wire.documents import (
    FEDERATION_CONTEXT,
    AwsAddress,
    FederationDocument,
    FederationSettings,
    Member,
    NatsAddress,
    parse_signed,
    sign_document,
    verify_document,
)
from symfed_wire.errors import MalformedError
from symfed_wire.join import JoinAnswer
from symfed_wire.quantities import parse_quantity
from symfed_wire.resources import Federation, FederationSpec, Nats


@dataclass(frozen=True)
class ActiveMember:
    """A member as its FederationPeer has it; keys are raw 32 bytes in base64."""

    uuid: str
    name: str
    identity_key: str
    sealing_key: str
    is_hosted: bool
    created: datetime
    address: Address


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


def with_next_document(
    record: FederationRecord, federation: Federation, active: Sequence[ActiveMember], now: datetime
) -> FederationRecord:
    """The record with the document as it must be now: itself when nothing differs, else one version more."""
    previous = read_document(record)
    uid = federation.metadata.uid
    members = _active_members(previous, active)
    keys = next_keys(record, previous, members)
    document = FederationDocument(
        federation=uid,
        name=federation.spec.name,
        version=previous.version if previous else 1,
        issued=previous.issued if previous else _rfc3339(now),
        settings=settings_of(federation.spec),
        keys=sealed_generations(keys, previous, uid, members),
        members=_with_removed(previous, members),
    )
    if document == previous:
        return record
    if previous is not None:
        document = document.model_copy(update={"version": previous.version + 1, "issued": _rfc3339(now)})
    signed = sign_document(document, FEDERATION_CONTEXT, record.document_key_pair)
    return record.model_copy(update={"document": signed, "federation_keys": keys})


def is_still_good(old: JoinAnswer, uuid: str, new: JoinAnswer) -> bool:
    """Whether a member's stored answer holds: its document may be old, but must list the member."""
    if old.model_copy(update={"document": new.document}) != new:
        return False
    member = first_document(old).member(uuid)
    return member is not None and member.state == "active"


def newest_document(answer: JoinAnswer, stored: bytes | str) -> FederationDocument:
    """The stored document, or that of the answer where it is newer.

    Raises SignatureError or MalformedError when the stored one is not of the federation.
    """
    found = verify_document(parse_signed(stored), FEDERATION_CONTEXT, answer.document_key, FederationDocument)
    if found.federation != answer.federation:
        raise MalformedError(f"the federation document is of the federation {found.federation}")
    return max(found, first_document(answer), key=lambda document: document.version)


def first_document(answer: JoinAnswer) -> FederationDocument:
    """The document inside an answer. Raises SignatureError when the answer's own key did not sign it."""
    return verify_document(answer.document, FEDERATION_CONTEXT, answer.document_key, FederationDocument)


def _active_members(
    previous: FederationDocument | None, active: Sequence[ActiveMember]
) -> tuple[Member, ...]:
    admin = _admin(previous, active)
    return tuple(
        Member(
            uuid=member.uuid,
            name=member.name,
            admin=member.uuid == admin,
            identity_key=member.identity_key,
            sealing_key=member.sealing_key,
            nats=member.address if isinstance(member.address, NatsAddress) else None,
            aws=member.address if isinstance(member.address, AwsAddress) else None,
        )
        for member in active
    )


def _with_removed(previous: FederationDocument | None, active: Sequence[Member]) -> tuple[Member, ...]:
    """Everybody who is or was a member, in the order of the uuids."""
    present = {member.uuid for member in active}
    gone = [member for member in (previous.members if previous else ()) if member.uuid not in present]
    removed = [member.model_copy(update={"state": "removed"}) for member in gone]
    return tuple(sorted([*active, *removed], key=lambda member: member.uuid.encode()))


def _admin(previous: FederationDocument | None, active: Sequence[ActiveMember]) -> str | None:
    """The admin's own peer stays it while it is there; else the oldest one hosted here."""
    hosted = sorted((m for m in active if m.is_hosted), key=lambda m: (m.created, m.uuid))
    known = {m.uuid for m in (previous.members if previous else ()) if m.admin and m.state == "active"}
    return next((m.uuid for m in hosted if m.uuid in known), hosted[0].uuid if hosted else None)


def _rfc3339(now: datetime) -> str:
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
