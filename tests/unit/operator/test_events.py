"""Which keys an event concerns, slots, and settings."""

from pathlib import Path

import pytest
from pydantic import JsonValue, ValidationError

from symfed_operator.errors import SlotsExhaustedError
from symfed_operator.events import child_keys, federation_keys, namespace_keys, peer_keys
from symfed_operator.manifests import NodeSettings
from symfed_operator.peer import node_settings
from symfed_operator.queue import Key
from symfed_operator.settings import Settings
from symfed_operator.slots import choose_slot, project_holder
from symfed_wire.resources import FederationPeer

CUSTOMER = Key("customer", "n", "n")
PEER = Key("peer", "n", "p")
FEDERATION = Key("federation", "n", "f")


def _body(name: str, **fields: JsonValue) -> dict[str, JsonValue]:
    return {"metadata": {"name": name, "namespace": "n"}, **fields}


def test_a_federation_that_comes_or_goes_concerns_its_customer() -> None:
    assert federation_keys("MODIFIED", _body("f")) == [FEDERATION]
    for kind in (None, "ADDED", "DELETED"):
        assert federation_keys(kind, _body("f")) == [FEDERATION, CUSTOMER]


def test_a_peer_that_comes_or_goes_concerns_its_federation() -> None:
    body = _body("p", spec={"project": "p", "federationRef": {"name": "f"}})
    assert peer_keys("MODIFIED", body) == [PEER]
    assert peer_keys("DELETED", body) == [PEER, CUSTOMER, FEDERATION]
    assert peer_keys(None, _body("p", spec={"project": "p"})) == [PEER, CUSTOMER]


def test_a_pod_concerns_its_peer() -> None:
    metadata: JsonValue = {"name": "p-0", "namespace": "n", "labels": {"app.kubernetes.io/instance": "p"}}
    assert child_keys("MODIFIED", {"metadata": metadata}) == [PEER]
    assert child_keys("MODIFIED", _body("p-0")) == []
    assert namespace_keys(None, {"metadata": {"name": "n"}}) == [CUSTOMER]


def _peer(uid: str, slot: int | None) -> FederationPeer:
    return FederationPeer.model_validate({"metadata": {"uid": uid}, "spec": {}, "status": {"slot": slot}})


def test_the_smallest_free_slot() -> None:
    new = _peer("new", None)
    assert choose_slot(new, [new]) == 1
    assert choose_slot(new, [_peer("a", 1), _peer("b", 3), new]) == 2


def test_a_slot_is_kept_unless_an_older_peer_has_it() -> None:
    mine = _peer("mine", 3)
    assert choose_slot(mine, [_peer("a", 1), mine]) == 3
    assert choose_slot(mine, [_peer("a", 3), mine]) == 1
    assert choose_slot(mine, [_peer("a", 1), mine, _peer("b", 3)]) == 3


def test_a_project_stays_with_the_peer_that_is_served() -> None:
    older, served, younger = _peer("a", None), _peer("b", 3), _peer("c", 4)
    assert project_holder([older, served, younger]) is served
    assert project_holder([older, _peer("b", None)]) is older


def test_no_slot_is_left() -> None:
    new = _peer("new", None)
    with pytest.raises(SlotsExhaustedError, match="another namespace"):
        choose_slot(new, [_peer(str(slot), slot) for slot in range(1, 8192)])


def test_settings_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMFED_NATS_INTERNAL_HOSTS", "nats://a:4222, nats://b:4222")
    monkeypatch.setenv("SYMFED_NATS_ADVERTISED_HOSTS", "nats://c:4222")
    monkeypatch.setenv("SYMFED_NODE_IMAGE", "symfed-node:1")
    monkeypatch.setenv("SYMFED_GATEWAY_SERVICE_ACCOUNT", "system/gateway")
    settings = Settings()
    assert settings.nats_internal_hosts == ("nats://a:4222", "nats://b:4222")
    assert settings.nats_operator_file == Path("/etc/symfed/nats-operator/signing-seed")
    assert (settings.gateway_namespace, settings.gateway_account_name) == ("system", "gateway")
    assert node_settings(settings).gpu_image == "symfed-node:1"
    monkeypatch.setenv("SYMFED_NODE_GPU_IMAGE", "symfed-node-gpu:1")
    assert node_settings(Settings()) == NodeSettings(
        image="symfed-node:1",
        gpu_image="symfed-node-gpu:1",
        pull_policy="IfNotPresent",
        gateway_namespace="system",
    )
    monkeypatch.delenv("SYMFED_NODE_IMAGE")
    with pytest.raises(ValidationError, match="node_image"):
        Settings()
