"""The child objects of a peer against approved files in `approvals`: case.input.yaml gives case.output.yaml.

After a wanted change run this file with `SYMFED_APPROVE=1` and read the difference.
"""

import dataclasses
import os
from pathlib import Path

import pytest
import yaml

from symfed_operator.manifests import NodeSettings, claim_name, node_children, node_secret_manifest
from symfed_operator.statefulset import DIGEST_ANNOTATION, config_digest, stateful_set
from symfed_wire.documents import Signed
from symfed_wire.join import NatsGrant
from symfed_wire.node_config import Membership, NodeConfig, PeerSecrets
from symfed_wire.resources import FederationPeer

APPROVALS = Path(__file__).parent / "approvals"
CASES = sorted(path.name.removesuffix(".input.yaml") for path in APPROVALS.glob("*.input.yaml"))
SETTINGS = NodeSettings("symfed-node:1", "symfed-node-gpu:1", "IfNotPresent", "symfed-system")
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
        uuid="00000000-0000-4000-8000-000000000001",
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


def _manifests(case: str) -> str:
    peer = _peer(case)
    children = {name: body for name, body in vars(node_children(peer, SETTINGS)).items() if body is not None}
    children["stateful_set"] = stateful_set(peer, _config(peer), SETTINGS)
    return yaml.safe_dump(children, sort_keys=True, width=120)


@pytest.mark.parametrize("case", CASES)
def test_children_are_as_approved(case: str) -> None:
    approved = APPROVALS / f"{case}.output.yaml"
    made = _manifests(case)
    if os.environ.get("SYMFED_APPROVE"):
        approved.write_text(made)
    assert made == approved.read_text()


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
