"""The gateway's Role in a customer's namespace, and which invitations are swept."""

from datetime import UTC, datetime

import pytest

from symfed_operator.customer import GatewaySecrets, gateway_role, gateway_secrets, is_expired, is_old_job
from symfed_wire.resources import Federation, FederationPeer

NOW = datetime(2026, 1, 2, tzinfo=UTC)
UUID = "00000000-0000-4000-8000-000000000001"


def _peer(name: str, **spec: object) -> FederationPeer:
    return FederationPeer.model_validate({"metadata": {"name": name}, "spec": spec})


def _federation(name: str, **nats: object) -> Federation:
    spec = {"name": name, "schedule": "m1", "nats": nats}
    return Federation.model_validate({"metadata": {"name": name}, "spec": spec})


def test_names_of_the_gateways_secrets() -> None:
    remote = {"uuid": UUID, "displayName": "r", "identityKey": "i", "sealingKey": "s"}
    peers = [
        _peer("admin", project="admin", federationRef={"name": "f1"}),
        _peer("joined", project="joined", invitationSecretRef={"name": "joined-invitation-0a1b2c3d"}),
        _peer("mine", project="mine", invitationSecretRef={"name": "my-own-secret"}),
        _peer(f"remote-{UUID}", federationRef={"name": "f1"}, remote=remote),
    ]
    federations = [_federation("f1", hosts=["nats://x"], credentialsSecretRef={"name": "f1-credentials-0a"})]
    secrets = gateway_secrets(federations, peers)
    assert secrets.readable == (
        "admin-token",
        "f1-federation",
        "joined-token",
        "mine-token",
        f"remote-{UUID}-grant",
        "symfed-customer",
    )
    assert secrets.removable == ("f1-credentials-0a", "joined-invitation-0a1b2c3d")


def test_a_spec_opens_no_other_secret_to_the_gateway() -> None:
    peer = _peer("p", project="p", invitationSecretRef={"name": "other-node"})
    assert gateway_secrets([], [peer]).removable == ()


def test_rules_without_names_only_create() -> None:
    role = gateway_role("n", GatewaySecrets(("symfed-customer",), ()))
    rules = role["rules"]
    assert isinstance(rules, list)
    assert [rule["verbs"] for rule in rules if isinstance(rule, dict) and "resourceNames" not in rule] == [
        ["create"],
        ["create", "delete", "get", "list", "update"],
    ]


@pytest.mark.parametrize(
    ("data", "expired"),
    [
        ({"expires": "2026-01-01T00:00:00+00:00"}, True),
        ({"expires": "2026-01-01T00:00:00+00:00", "uuid": ""}, True),
        ({"expires": "2026-01-01T00:00:00Z", "uuid": UUID}, False),
        ({"expires": "2026-01-03T00:00:00Z"}, False),
        ({"expires": "soon"}, False),
        ({}, False),
    ],
)
def test_only_expired_and_unclaimed_invitations_are_swept(data: dict[str, str], *, expired: bool) -> None:
    assert is_expired(data, NOW) is expired


@pytest.mark.parametrize(
    ("data", "old"),
    [
        ({"started": "2026-01-01T22:59:59+00:00", "result": "sealed"}, True),
        ({"started": "2026-01-01T22:59:59Z"}, True),
        ({"started": "2026-01-01T23:00:01Z", "failure": "why"}, False),
        ({"started": "long ago"}, False),
        ({"started": "2020-01-01T00:00:00"}, False),
        ({}, False),
    ],
)
def test_jobs_are_swept_after_an_hour(data: dict[str, str], *, old: bool) -> None:
    assert is_old_job(data, NOW) is old
