"""What a federation becomes in NATS: who may do what, read off the claims."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from symfed_operator.backends.base import WantedFederation, WantedMember
from symfed_operator.backends.nats import account
from symfed_operator.backends.nats.jwt import decode, says_the_same
from symfed_operator.backends.nats.keys import (
    OPERATOR,
    new_federation_seeds,
    new_member_seeds,
    new_seed,
    new_user_seed,
    public_key,
)
from symfed_wire.join import NatsUserKeys

ISSUED = datetime(2026, 1, 2, tzinfo=UTC)
NOW = ISSUED + timedelta(hours=3)
OPERATOR_SEED = new_seed(OPERATOR)
ONE, TWO = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


def member(uuid: str) -> WantedMember:
    users = NatsUserKeys(writer=public_key(new_user_seed()), reader=public_key(new_user_seed()))
    return WantedMember(uuid, new_member_seeds(), ISSUED, users)


@pytest.fixture
def federation() -> WantedFederation:
    return WantedFederation("uid", "iris", new_federation_seeds(), 1 << 24, (member(TWO), member(ONE)))


def claims(token: str) -> dict[str, Any]:
    return decode(token)


def rights(key: dict[str, Any]) -> tuple[list[str], list[str]]:
    return key["template"]["pub"]["allow"], key["template"]["sub"]["allow"]


def test_a_member_stores_so_much_and_its_writer_may_only_publish(federation: WantedFederation) -> None:
    one = federation.members[1]
    said = claims(account.member_account(federation, one, OPERATOR_SEED, NOW))
    assert said["iss"] == public_key(OPERATOR_SEED)
    assert said["sub"] == public_key(one.seeds.account)
    limits = said["nats"]["limits"]
    assert limits["disk_storage"] == 1 << 24
    assert limits["streams"] == 1
    assert "mem_storage" not in limits
    assert "leaf" not in limits
    own, writer = said["nats"]["signing_keys"]
    assert own == public_key(one.seeds.signing)
    assert writer["key"] == public_key(one.seeds.writer_role)
    assert rights(writer) == (["data.0", "data.1", "head"], ["_INBOX.>"])
    assert "imports" not in said["nats"]


def test_what_is_exported_needs_a_token(federation: WantedFederation) -> None:
    for token in (
        account.member_account(federation, federation.members[0], OPERATOR_SEED, NOW),
        account.federation_account(federation, OPERATOR_SEED, NOW),
    ):
        exports = claims(token)["nats"]["exports"]
        assert [(e["subject"], e["type"], e["token_req"]) for e in exports] == [
            ("$JS.API.DIRECT.GET.SNAPSHOT", "service", True),
            ("head", "stream", True),
        ]


def test_the_federations_own_account_is_small_and_has_no_roles(federation: WantedFederation) -> None:
    said = claims(account.federation_account(federation, OPERATOR_SEED, NOW))["nats"]
    assert said["limits"]["disk_storage"] == 16 << 20
    assert said["signing_keys"] == [public_key(federation.seeds.signing)]


def test_the_readers_account_stores_nothing_and_imports_by_signed_tokens(
    federation: WantedFederation,
) -> None:
    said = claims(account.readers_account(federation, OPERATOR_SEED, NOW))
    assert "disk_storage" not in said["nats"]["limits"]
    assert "exports" not in said["nats"]
    imports = said["nats"]["imports"]
    assert [i["local_subject"] for i in imports] == [
        f"{kind}.{name}" for name in ("federation", ONE, TWO) for kind in ("get", "head")
    ]
    one = federation.members[1].seeds
    token = claims(imports[2]["token"])
    assert token["iss"] == public_key(one.signing)
    assert token["sub"] == said["sub"]
    assert token["nats"] == {
        "subject": "$JS.API.DIRECT.GET.SNAPSHOT",
        "kind": "service",
        "issuer_account": public_key(one.account),
        "type": "activation",
        "version": 2,
    }
    assert imports[2]["account"] == public_key(one.account)
    assert "exp" not in token


def test_a_reader_asks_under_its_own_name_only(federation: WantedFederation) -> None:
    roles = claims(account.readers_account(federation, OPERATOR_SEED, NOW))["nats"]["signing_keys"]
    assert [role["key"] for role in roles] == [
        public_key(federation.members[1].seeds.reader_role),
        public_key(federation.members[0].seeds.reader_role),
    ]
    for role in roles:
        assert rights(role) == (
            ["get.*", "ask.{{name()}}"],
            ["_INBOX.{{name()}}.>", "head.*", "ask.*"],
        )


def test_nobody_may_open_connections_without_end(federation: WantedFederation) -> None:
    seeds = federation.members[0].seeds
    tokens = (
        account.member_account(federation, federation.members[0], OPERATOR_SEED, NOW),
        account.federation_account(federation, OPERATOR_SEED, NOW),
        account.readers_account(federation, OPERATOR_SEED, NOW),
        account.account_without_storage("x", seeds.account, seeds.signing, OPERATOR_SEED, NOW),
    )
    assert [claims(token)["nats"]["limits"]["conn"] for token in tokens] == [8, 8, 24, 8]


def test_users_carry_no_rights_of_their_own(federation: WantedFederation) -> None:
    one = federation.members[1]
    granted = account.grant(federation, one, ("nats://outside:4222",))
    assert one.users is not None
    for token, user, role, owner in (
        (granted.writer_jwt, one.users.writer, one.seeds.writer_role, one.seeds.account),
        (granted.reader_jwt, one.users.reader, one.seeds.reader_role, federation.seeds.readers_account),
    ):
        said = claims(token or "")
        assert (said["sub"], said["iss"], said["name"]) == (user, public_key(role), ONE)
        assert said["nats"] == {"issuer_account": public_key(owner), "type": "user", "version": 2}
        assert "exp" not in said
    assert granted.get == "get.federation"
    assert granted.hosts == ("nats://outside:4222",)


def test_a_grant_is_the_same_every_time(federation: WantedFederation) -> None:
    one = federation.members[1]
    assert account.grant(federation, one, ()) == account.grant(federation, one, ())


def test_claims_say_the_same_every_time_and_in_any_order_of_members(federation: WantedFederation) -> None:
    turned = dataclasses.replace(federation, members=federation.members[::-1])
    assert says_the_same(
        account.readers_account(federation, OPERATOR_SEED, NOW),
        account.readers_account(turned, OPERATOR_SEED, NOW + timedelta(days=1)),
    )


def test_the_operators_own_user_lives_for_minutes(federation: WantedFederation) -> None:
    seeds = federation.seeds
    said = claims(account.operator_user(public_key(new_user_seed()), seeds.account, seeds.signing, NOW))
    assert said["exp"] == int((NOW + timedelta(minutes=5)).timestamp())
    assert said["iss"] == public_key(seeds.signing)


def test_a_going_account_has_neither_storage_nor_roles(federation: WantedFederation) -> None:
    seeds = federation.members[0].seeds
    token = account.account_without_storage("x", seeds.account, seeds.signing, OPERATOR_SEED, NOW)
    said = claims(token)["nats"]
    assert "disk_storage" not in said["limits"]
    assert said["signing_keys"] == [public_key(seeds.signing)]
    assert "exports" not in said


def test_seeds_never_show_in_a_representation(federation: WantedFederation) -> None:
    one = federation.members[0].seeds
    for text, seeds in ((repr(federation), federation.seeds.__dict__), (repr(one), one.__dict__)):
        assert not any(seed in text for seed in seeds.values())
