"""The objects that calls turn into, against approved YAML: `APPROVE=1 pytest ...` writes it anew."""

import base64
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from symfed_api import manifests
from symfed_api.settings import Settings
from symfed_wire.federation_map import parse_create_map, parse_join_map
from symfed_wire.join import JoinRequest, NatsUserKeys
from symfed_wire.project_map import parse_project
from symfed_wire.resources import Federation, FederationPeer

APPROVED = Path(__file__).parent / "approved"
DIGEST = "0123456789abcdef" * 4
KEY_16, KEY_32 = (base64.b64encode(bytes(size)).decode() for size in (16, 32))
SEALING_KEY = base64.b64encode(bytes(range(32))).decode()
CREATE: dict[str, Any] = {"fed_name": "Iris_1", "sync_sched": "m30", "nats_hosts": "nats://nats.example.org"}
AWS: dict[str, Any] = {
    "aws_access_key": "AKIA",
    "aws_secret_key": "SECRET",
    "aws_region": "US_EAST_1",
    "s3_bucket": "bucket",
    "aws_id": "123456789012",
}
JOIN: dict[str, Any] = {
    "fed_name": "iris",
    "sync_sched": "m30",
    "fed_secret_key": KEY_16,
    "fed_rest_url": "http://gateway.example.org/symetry/rest/c1/fedml/p1/createPolicies",
    "fed_req_token": "FEDTOKEN0123456789abcdef",
    "fed_document_key": KEY_32,
    "nats_hosts": "nats://nats.example.org:4222",
}


def check_approved(name: str, *objects: object) -> None:
    """Compare with the approved file."""
    text = yaml.safe_dump_all([item for item in objects if item is not None], sort_keys=True)
    path = APPROVED / f"{name}.yaml"
    if os.environ.get("APPROVE"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def founded(values: dict[str, Any], *, is_managed: bool) -> list[object]:
    """The objects of a create call in the order of their creation."""
    parsed = parse_create_map(values, "P.1")
    return [
        manifests.federation_credentials(parsed, "customer-c1", DIGEST, is_managed=is_managed),
        manifests.federation(parsed, "customer-c1", DIGEST, is_managed=is_managed),
        manifests.admin_peer(parsed, "customer-c1", DIGEST),
    ]


def test_a_managed_federation() -> None:
    values = CREATE | {"fed_encrypt": True, "zoo": 1, "fed_enforce_hipaa_compliance": "true"}
    check_approved("create-managed", *founded(values, is_managed=True))


def test_a_federation_on_somebody_elses_nats() -> None:
    values = CREATE | {"nats_sec_user": "u", "nats_sec_passwd": "p", "nats_req_timeout": 45}
    check_approved("create-external", *founded(values, is_managed=False))


def test_a_federation_on_aws() -> None:
    values = {key: value for key, value in CREATE.items() if key != "nats_hosts"} | AWS
    check_approved("create-aws", *founded(values, is_managed=False))


def test_a_peer_that_joins() -> None:
    parsed = parse_join_map(JOIN | {"fed_local_type": "gpu"}, None, "false")
    secrets = manifests.join_secrets(parsed, "customer-c2", DIGEST)
    check_approved("join", *secrets, manifests.joined_peer(parsed, "customer-c2", DIGEST))


def test_a_peer_that_joins_on_aws() -> None:
    values = {key: value for key, value in JOIN.items() if key != "nats_hosts"} | AWS
    topic = {"aws_topic_arn": "arn:aws:sns:us-east-1:1:t", "topic_region": "US_EAST_1"}
    parsed = parse_join_map(values | topic, "p2")
    secrets = manifests.join_secrets(parsed, "customer-c2", DIGEST)
    check_approved("join-aws", *secrets, manifests.joined_peer(parsed, "customer-c2", DIGEST))


def test_a_plain_project() -> None:
    parsed = parse_project({}, "p3", "gpu")
    check_approved("project", manifests.plain_peer(parsed, "customer-c1", DIGEST))


def test_an_invitation_and_the_remote_peer_it_lets_in() -> None:
    request = JoinRequest(
        peer_uuid="00000000-0000-4000-8000-000000000001",
        peer_name="hospital-2",
        identity_key=KEY_32,
        sealing_key=SEALING_KEY,
        nats_user_keys=NatsUserKeys(writer="U" + "A" * 55, reader="U" + "B" * 55),
    )
    expires = datetime(2026, 11, 22, 12, tzinfo=UTC)
    check_approved(
        "invitation",
        manifests.invitation_record("symfed-inv-0", "customer-c1", "iris", expires),
        manifests.remote_peer(request, "iris", "customer-c1", "symfed-inv-0"),
    )


def test_only_secrets_that_the_gateway_made_are_its_own() -> None:
    peer: dict[str, Any] = {"metadata": {"name": "p2"}, "spec": {"project": "p2"}}
    for name, own in [("p2-invitation-01234567", True), ("mine", False), ("p22-invitation-0", False)]:
        spec = peer["spec"] | {"invitationSecretRef": {"name": name}}
        found = manifests.own_secrets(FederationPeer.model_validate(peer | {"spec": spec}))
        assert found == ([name] if own else [])
    nats = {"hosts": ["nats://h"], "credentialsSecretRef": {"name": "f-credentials-01234567"}}
    spec = {"name": "f", "schedule": "m1", "nats": nats}
    federation = Federation.model_validate({"metadata": {"name": "f"}, "spec": spec})
    assert manifests.own_secrets(federation) == ["f-credentials-01234567"]


def test_the_digest_tells_requests_apart_and_hides_what_is_in_them() -> None:
    digest = manifests.request_digest(KEY_16, "create", {"a": 1, "b": 2}, "p1", None)
    assert digest == manifests.request_digest(KEY_16, "create", {"b": 2, "a": 1}, "p1", None)
    others = [
        manifests.request_digest(KEY_16, "createJoin", {"a": 1, "b": 2}, "p1", None),
        manifests.request_digest(KEY_16, "create", {"a": 1, "b": 3}, "p1", None),
        manifests.request_digest(KEY_16, "create", {"a": 1, "b": 2}, "p2", None),
        manifests.request_digest(KEY_32, "create", {"a": 1, "b": 2}, "p1", None),
    ]
    assert digest not in others
    assert len(digest) == 64


@pytest.mark.parametrize(
    ("hosts", "is_own"),
    [
        (("nats://172.30.0.2:30422",), True),
        (("tls://172.30.0.2:30422/", "nats://SYMFED-nats.symfed-system.svc:4222"), True),
        (("nats://symfed-nats.symfed-system.svc",), True),
        (("nats://172.30.0.2:4222",), False),
        (("nats://172.30.0.2:30422", "nats://elsewhere:4222"), False),
    ],
)
def test_the_operators_own_nats_is_known_by_host_and_port(hosts: tuple[str, ...], is_own: bool) -> None:
    own = "nats://symfed-nats.symfed-system.svc:4222, nats://172.30.0.2:30422"
    settings = Settings(nats_hosts=own)
    assert settings.is_own_nats(hosts) is is_own
    assert settings.invitation_hosts == own.replace(" ", "")
