"""The federation document: versions, members, keys."""

import base64
import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import JsonValue

from symfed_operator.backends.base import FederationSeeds
from symfed_operator.backends.nats.account import address_of
from symfed_operator.documents import ActiveMember, is_still_good, read_document, with_next_document
from symfed_operator.records import FederationRecord, new_federation_record
from symfed_wire.documents import FederationDocument
from symfed_wire.join import JoinAnswer, NatsGrant
from symfed_wire.resources import Federation
from symfed_wire.sealing import unseal_to

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
SEALING = X25519PrivateKey.generate()
IDENTITY_KEY = base64.b64encode(bytes(32)).decode()
UUIDS = [f"00000000-0000-4000-8000-00000000000{number}" for number in range(1, 4)]
RECORD = new_federation_record(FederationSeeds("a", "s", "r"))
UID = "5f0c6a52-6e5e-4b3f-9d1f-1f0b7c3d2a11"


def _federation(**spec: JsonValue) -> Federation:
    body: Mapping[str, JsonValue] = {"name": "f1", "schedule": "m1", "nats": {"managed": {}}, **spec}
    return Federation.model_validate({"metadata": {"name": "f1", "uid": UID}, "spec": body})


def _member(number: int, *, is_hosted: bool = False, sealing: X25519PrivateKey = SEALING) -> ActiveMember:
    public = base64.b64encode(sealing.public_key().public_bytes_raw()).decode()
    made = NOW + timedelta(minutes=number)
    uuid = UUIDS[number]
    return ActiveMember(uuid, f"p{number}", IDENTITY_KEY, public, is_hosted, made, address_of(uuid))


def _next(record: FederationRecord, *members: ActiveMember, **spec: JsonValue) -> FederationRecord:
    return with_next_document(record, _federation(**spec), members, LATER if record.document else NOW)


def _document(record: FederationRecord) -> FederationDocument:
    document = read_document(record)
    assert document is not None
    return document


def test_first_document() -> None:
    assert read_document(RECORD) is None
    document = _document(_next(RECORD, _member(1), _member(0, is_hosted=True)))
    assert (document.version, document.issued, document.federation) == (1, "2026-01-02T03:04:05Z", UID)
    assert [(m.uuid, m.admin, m.state) for m in document.members] == [
        (UUIDS[0], True, "active"),
        (UUIDS[1], False, "active"),
    ]
    address = document.members[0].nats
    assert address is not None
    assert (address.get, address.head) == (f"get.{UUIDS[0]}", f"head.{UUIDS[0]}")
    assert document.settings.stream_max_bytes == 1 << 30


def test_nothing_new_is_the_same_record() -> None:
    first = _next(RECORD, _member(0, is_hosted=True), _member(1))
    assert _next(first, _member(1), _member(0, is_hosted=True)) is first


def test_changes_count_one_version_each() -> None:
    records = [_next(RECORD, _member(0, is_hosted=True))]
    records.append(_next(records[-1], _member(0, is_hosted=True), _member(1)))
    records.append(_next(records[-1], _member(0, is_hosted=True), _member(1), schedule="h3"))
    first, second, third = map(_document, records)
    assert [d.version for d in (first, second, third)] == [1, 2, 3]
    assert second.issued == "2026-01-02T04:04:05Z"
    assert second.keys[0].sealed_for[UUIDS[0]] == first.keys[0].sealed_for[UUIDS[0]]


def test_removed_members_stay_listed() -> None:
    first = _next(RECORD, _member(0, is_hosted=True), _member(1))
    second = _next(first, _member(0, is_hosted=True))
    members = [(m.uuid, m.state) for m in _document(second).members]
    assert members == [(UUIDS[0], "active"), (UUIDS[1], "removed")]
    assert _next(second, _member(0, is_hosted=True)) is second


def test_the_admin_stays_while_it_is_there() -> None:
    first = _next(RECORD, _member(1, is_hosted=True))
    second = _next(first, _member(0, is_hosted=True), _member(1, is_hosted=True))
    assert [m.uuid for m in _document(second).members if m.admin] == [UUIDS[1]]
    third = _next(second, _member(0, is_hosted=True))
    assert [m.uuid for m in _document(third).active_members() if m.admin] == [UUIDS[0]]


# --- the federation key --------------------------------------------------------------------------------


def _opened(record: FederationRecord, uuid: str) -> dict[int, bytes]:
    """The keys that a member gets, by generation."""
    return {
        key.generation: unseal_to(
            key.sealed_for[uuid], SEALING, f"symfed/federation-key/v1|{UID}|{key.generation}|{uuid}"
        )
        for key in _document(record).keys
        if uuid in key.sealed_for
    }


def test_every_member_can_open_the_federation_key_and_no_invitation_holds_it() -> None:
    record = _next(RECORD, _member(0), _member(1))
    key = base64.b64decode(record.federation_keys[1])
    assert (len(key), key == base64.b64decode(record.join_key)) == (32, False)
    assert [_opened(record, uuid) for uuid in UUIDS] == [{1: key}, {1: key}, {}]


def test_who_comes_changes_no_key() -> None:
    first = _next(RECORD, _member(0))
    assert _next(first, _member(0), _member(1)).federation_keys == first.federation_keys


def test_who_goes_gets_no_newer_key() -> None:
    first = _next(RECORD, _member(0), _member(1), _member(2))
    second = _next(first, _member(0), _member(2))
    assert list(second.federation_keys) == [1, 2]
    assert second.federation_keys[1] == first.federation_keys[1] != second.federation_keys[2]
    assert [list(_opened(second, uuid)) for uuid in UUIDS] == [[1, 2], [], [1, 2]]
    third = _next(second, _member(0))
    assert [list(_opened(third, uuid)) for uuid in UUIDS] == [[2, 3], [], []]
    assert _next(third, _member(0)) is third


def test_who_comes_back_under_other_keys_gets_them_sealed_to_these() -> None:
    other = X25519PrivateKey.generate()
    first = _next(RECORD, _member(0), _member(1, sealing=other))
    second = _next(first, _member(0), _member(1))
    assert list(second.federation_keys) == [1, 2]
    assert list(_opened(second, UUIDS[1])) == [1, 2]


def test_a_record_whose_join_key_sealed_snapshots_gets_another_key() -> None:
    text = RECORD.model_dump_json(by_alias=True, exclude={"federation_keys"}, exclude_none=True)
    old = FederationRecord.model_validate_json(text)
    assert '"federation_key"' in text
    record = _next(old, _member(0))
    assert list(record.federation_keys) == [1, 2]
    assert record.federation_keys[1] == old.join_key != record.federation_keys[2]
    assert _next(record, _member(0)) is record


# --- answers -------------------------------------------------------------------------------------------


def test_an_answer_holds_while_its_grant_does_and_its_document_lists_the_member() -> None:
    first = _next(RECORD, _member(0))
    second = _next(first, _member(0), _member(1))
    grant = _grant("w")
    old, new = _answer(first, grant), _answer(second, grant)
    assert is_still_good(old, UUIDS[0], new)
    assert not is_still_good(old, UUIDS[1], new)
    assert not is_still_good(old, UUIDS[0], _answer(second, _grant("other")))


def _grant(jwt: str) -> NatsGrant:
    return NatsGrant(
        hosts=("nats://n",),
        writer_jwt=jwt,
        reader_jwt="r",
        stream="SNAPSHOT",
        data="data",
        head="head",
        get="get.federation",
        heads="head.*",
        ask="ask",
    )


def _answer(record: FederationRecord, grant: NatsGrant) -> JoinAnswer:
    assert record.document is not None
    return JoinAnswer(federation=UID, document_key=record.document_key, document=record.document, nats=grant)


def test_records_do_not_show_their_secrets_in_seeds() -> None:
    assert "secret" not in repr(dataclasses.replace(RECORD.seeds, account="secret"))
