"""The federation document: versions, members, keys."""

import base64
import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import JsonValue

from symfed_operator.backends.base import FederationSeeds
from symfed_operator.documents import (
    ActiveMember,
    is_still_good,
    next_document,
    read_document,
    sign_federation_document,
)
from symfed_operator.records import new_federation_record
from symfed_wire.documents import FederationDocument
from symfed_wire.join import JoinAnswer, NatsGrant
from symfed_wire.resources import Federation
from symfed_wire.sealing import unseal_to

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
KEY = bytes(range(16))
SEALING = X25519PrivateKey.generate()
IDENTITY_KEY = base64.b64encode(bytes(32)).decode()
UUIDS = [f"00000000-0000-4000-8000-00000000000{number}" for number in range(1, 4)]
RECORD = new_federation_record(FederationSeeds("a", "s", "r"))


def _federation(**spec: JsonValue) -> Federation:
    body: Mapping[str, JsonValue] = {"name": "f1", "schedule": "m1", "nats": {"managed": {}}, **spec}
    return Federation.model_validate({"metadata": {"name": "f1", "uid": "u1"}, "spec": body})


def _member(number: int, *, is_hosted: bool = False) -> ActiveMember:
    public = base64.b64encode(SEALING.public_key().public_bytes_raw()).decode()
    made = NOW + timedelta(minutes=number)
    return ActiveMember(UUIDS[number], f"p{number}", IDENTITY_KEY, public, is_hosted, made)


def _next(
    previous: FederationDocument | None, *members: ActiveMember, **spec: JsonValue
) -> FederationDocument:
    return next_document(previous, _federation(**spec), members, KEY, LATER if previous else NOW)


def test_first_document() -> None:
    document = _next(None, _member(1), _member(0, is_hosted=True))
    assert (document.version, document.issued, document.federation) == (1, "2026-01-02T03:04:05Z", "u1")
    assert [(m.uuid, m.admin, m.state) for m in document.members] == [
        (UUIDS[0], True, "active"),
        (UUIDS[1], False, "active"),
    ]
    address = document.members[0].nats
    assert address is not None
    assert (address.get, address.head) == (f"get.{UUIDS[0]}", f"head.{UUIDS[0]}")
    assert document.settings.stream_max_bytes == 1 << 30


def test_every_member_can_open_the_federation_key() -> None:
    document = _next(None, _member(0), _member(1))
    for uuid, sealed in document.keys[0].sealed_for.items():
        assert unseal_to(sealed, SEALING, f"symfed/federation-key/v1|u1|1|{uuid}") == KEY


def test_nothing_new_is_the_same_document() -> None:
    first = _next(None, _member(0, is_hosted=True), _member(1))
    assert _next(first, _member(1), _member(0, is_hosted=True)) == first


def test_changes_count_one_version_each() -> None:
    first = _next(None, _member(0, is_hosted=True))
    second = _next(first, _member(0, is_hosted=True), _member(1))
    third = _next(second, _member(0, is_hosted=True), _member(1), schedule="h3")
    assert [d.version for d in (first, second, third)] == [1, 2, 3]
    assert second.issued == "2026-01-02T04:04:05Z"
    assert second.keys[0].sealed_for[UUIDS[0]] == first.keys[0].sealed_for[UUIDS[0]]


def test_removed_members_stay_listed() -> None:
    first = _next(None, _member(0, is_hosted=True), _member(1))
    second = _next(first, _member(0, is_hosted=True))
    assert [(m.uuid, m.state) for m in second.members] == [(UUIDS[0], "active"), (UUIDS[1], "removed")]
    assert _next(second, _member(0, is_hosted=True)) == second


def test_the_admin_stays_while_it_is_there() -> None:
    first = _next(None, _member(1, is_hosted=True))
    second = _next(first, _member(0, is_hosted=True), _member(1, is_hosted=True))
    assert [m.uuid for m in second.members if m.admin] == [UUIDS[1]]
    third = _next(second, _member(0, is_hosted=True))
    assert [m.uuid for m in third.active_members() if m.admin] == [UUIDS[0]]


def test_a_stored_document_is_read_back() -> None:
    document = _next(None, _member(0))
    signed = sign_federation_document(document, RECORD)
    assert read_document(RECORD.model_copy(update={"document": signed})) == document
    assert read_document(RECORD) is None


def test_an_answer_holds_while_its_grant_does_and_its_document_lists_the_member() -> None:
    first = _next(None, _member(0))
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


def _answer(document: FederationDocument, grant: NatsGrant) -> JoinAnswer:
    return JoinAnswer(
        federation="u1",
        document_key=RECORD.document_key,
        document=sign_federation_document(document, RECORD),
        nats=grant,
    )


def test_records_do_not_show_their_secrets_in_seeds() -> None:
    assert "secret" not in repr(dataclasses.replace(RECORD.seeds, account="secret"))
