"""What the operator makes against approved files in `approvals`; case.input.yaml gives case.output.yaml.

After a wanted change run this file with `SYMFED_APPROVE=1` and read the difference.
"""

import base64
import dataclasses
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from symfed_operator.backends.base import FederationSeeds
from symfed_operator.backends.nats.account import address_of
from symfed_operator.customer import GatewaySecrets, gateway_role, gateway_role_binding
from symfed_operator.documents import ActiveMember, read_document, with_next_document
from symfed_operator.manifests import (
    NodeSettings,
    claim_name,
    federation_secret_manifest,
    grant_secret_manifest,
    node_children,
    node_secret_manifest,
    token_secret_manifest,
)
from symfed_operator.records import new_federation_record
from symfed_operator.statefulset import DIGEST_ANNOTATION, config_digest, stateful_set
from symfed_wire.documents import Signed
from symfed_wire.join import NatsGrant
from symfed_wire.kube import JsonObject
from symfed_wire.names import DOCUMENT_KEY, GRANT_FILE, JOIN_KEY
from symfed_wire.node_config import Membership, NodeConfig, PeerSecrets
from symfed_wire.resources import Federation, FederationPeer, FederationPeerSpec

APPROVALS = Path(__file__).parent / "approvals"
CASES = sorted(path.name.removesuffix(".input.yaml") for path in APPROVALS.glob("*.input.yaml"))
SETTINGS = NodeSettings("symfed-node:1", "symfed-node-gpu:1", "IfNotPresent", "symfed-system")
UUID = "00000000-0000-4000-8000-000000000001"
KEY = base64.b64encode(bytes(range(32))).decode()
FEDERATION = Federation.model_validate(
    {
        "metadata": {"name": "f1", "namespace": "customer-c1", "uid": "u1"},
        "spec": {"name": "f1", "schedule": "m30", "encryptMessages": True, "nats": {"managed": {}}},
    }
)
GRANT = NatsGrant(
    hosts=("nats://n:4222",),
    writer_jwt="w",
    reader_jwt="r",
    stream="SNAPSHOT",
    data="data",
    head="head",
    get="get.federation",
    heads="head.*",
    ask="ask",
)


def _peer(case: str) -> FederationPeer:
    return FederationPeer.model_validate(yaml.safe_load((APPROVALS / f"{case}.input.yaml").read_text()))


def _config(peer: FederationPeer, membership: Membership | None = None) -> NodeConfig:
    return NodeConfig(
        customer="c1",
        project=peer.spec.project or "",
        namespace=peer.metadata.namespace,
        name=peer.metadata.name,
        object_uid=peer.metadata.uid,
        slot=1,
        compute=peer.spec.compute.type,
        uuid=UUID,
        secrets=PeerSecrets(identity_seed="i", sealing_seed="s", nats_writer_seed="w", nats_reader_seed="r"),
        membership=membership,
    )


def _membership(document: str, jwt: str) -> Membership:
    return Membership(
        federation="f",
        admin=False,
        document_key="k",
        document=Signed(payload=document, key="k", sig="s"),
        nats=GRANT.model_copy(update={"writer_jwt": jwt}),
    )


def _manifests(case: str) -> dict[str, object]:
    peer = _peer(case)
    made = vars(node_children(peer, SETTINGS, peer.spec.aws))
    children: dict[str, object] = {name: body for name, body in made.items() if body is not None}
    children["stateful_set"] = stateful_set(peer, _config(peer), SETTINGS, peer.spec.aws)
    return children


def _check_approved(name: str, made: object) -> None:
    approved = APPROVALS / f"{name}.output.yaml"
    text = yaml.safe_dump(made, sort_keys=True, width=120)
    if os.environ.get("SYMFED_APPROVE"):
        approved.write_text(text)
    assert text == approved.read_text()


@pytest.mark.parametrize("case", CASES)
def test_children_are_as_approved(case: str) -> None:
    _check_approved(case, _manifests(case))


def _readable(secret: JsonObject) -> JsonObject:
    data = secret["data"]
    assert isinstance(data, dict)
    return {**secret, "data": {key: base64.b64decode(str(value)).decode() for key, value in data.items()}}


def test_secrets_are_as_approved() -> None:
    peer, remote = _peer("cpu"), _peer("cpu").model_copy(update={"spec": FederationPeerSpec()})
    manifests = {
        "federation": federation_secret_manifest(FEDERATION, {JOIN_KEY: "join key", DOCUMENT_KEY: "public"}),
        "grant": grant_secret_manifest(remote, UUID, {GRANT_FILE: "{}"}),
        "token": token_secret_manifest(peer, "the token"),
        "node": node_secret_manifest(peer, _config(peer, _membership("v1", "jwt"))),
    }
    _check_approved("secrets", {name: _readable(body) for name, body in manifests.items()})


def test_the_gateways_rights_are_as_approved() -> None:
    secrets = GatewaySecrets(("f1-federation", "symfed-customer"), ("p-invitation-01234567",))
    _check_approved(
        "gateway",
        {
            "role": gateway_role("customer-c1", secrets),
            "role_binding": gateway_role_binding("customer-c1", "symfed-system", "symfed-gateway"),
        },
    )


def test_the_federation_document_is_as_approved() -> None:
    record = new_federation_record(FederationSeeds("a", "s", "r"))
    made = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    members = [
        ActiveMember(uuid, name, KEY, KEY, is_hosted, made, address_of(uuid))
        for uuid, name, is_hosted in (
            ("00000000-0000-4000-8000-000000000000", "elsewhere", False),
            ("00000000-0000-4000-8000-000000000001", "here", True),
            ("00000000-0000-4000-8000-000000000002", "gone", False),
        )
    ]
    for active in (members, members[:2]):
        record = with_next_document(record, FEDERATION, active, made)
    document = read_document(record)
    assert document is not None
    text = document.model_dump(mode="json", by_alias=True, exclude_none=True)
    for key in text["keys"]:
        key["for"] = dict.fromkeys(key["for"], "sealed")  # another text each time
    _check_approved("document", text)


def test_restart_is_for_the_grant_and_not_for_the_document() -> None:
    peer = _peer("cpu")
    digests = [
        config_digest(_config(peer, _membership(*texts)))
        for texts in (("v1", "jwt"), ("v2", "jwt"), ("v2", "new"))
    ]
    assert digests[0] == digests[1] != digests[2]
    assert config_digest(_config(peer)) not in digests


def test_operators_labels_win_over_the_users() -> None:
    peer = _peer("gpu")
    template = yaml.safe_load(yaml.safe_dump(stateful_set(peer, _config(peer), SETTINGS)))["spec"]["template"]
    assert template["metadata"]["labels"]["app.kubernetes.io/component"] == "node"
    assert template["metadata"]["labels"]["team"] == "red"
    assert DIGEST_ANNOTATION in template["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("case", "name"), [("cpu", "p1-5136f59b"), ("not-persistent", None), ("existing-claim", "p4-old")]
)
def test_claim_is_of_this_object_alone(case: str, name: str | None) -> None:
    assert claim_name(_peer(case)) == name


def test_only_the_retained_claim_has_no_owner() -> None:
    children = dataclasses.asdict(node_children(_peer("cpu"), SETTINGS))
    ownerless = [name for name, body in children.items() if "ownerReferences" not in body["metadata"]]
    assert ownerless == ["volume_claim"]


def test_node_secret_carries_the_configuration_as_base64() -> None:
    peer = _peer("cpu")
    body = node_secret_manifest(peer, _config(peer))
    assert "stringData" not in body
    assert list(body["data"]) == ["node.json"]  # type: ignore[arg-type]  # a mapping by construction
