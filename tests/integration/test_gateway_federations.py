"""The calls about a project's federation, on a real API server; the tests play the node."""

import json
from datetime import datetime
from typing import Any

import pytest

from symfed_api.objects import change
from symfed_wire.bodies import RequestLine, open_body, open_body_v2
from symfed_wire.kube import PEERS, JsonObject, Kube
from symfed_wire.kube_errors import InvalidError
from symfed_wire.resources import FederationPeer
from tests.integration.gateway import JOIN, NONCE, OTHER_UUID, UUID, Nodes, Tenant, text_of


@pytest.mark.parametrize("nonce", ["", NONCE])
def test_info_comes_encrypted_in_the_form_that_was_asked_in(tenant: Tenant, nodes: Nodes, nonce: str) -> None:
    tenant.create()
    tenant.set_status("federationpeers", "p1", uuid=UUID)
    tenant.give_node("p1", nodes)
    nodes.stats = {"peers": {UUID: {"name": "p1"}, OTHER_UUID: {"name": "hospital"}}}
    answer = tenant.call("GET", "/fedml/p1/info", nonce=nonce)
    sealed = answer.json()["values"]["fedInfoEncrypted"]
    if nonce:
        date = answer.request.headers["sym-date"]
        line = RequestLine("GET", f"/symetry/rest/{tenant.id}/fedml/p1/info", "", date)
        opened = open_body_v2(sealed, tenant.secret_key, line, "response")
    else:
        opened = open_body(sealed, tenant.secret_key)
    info = json.loads(opened)
    assert info["fed_name"] == "iris"
    assert info["fed_secret_key"] == "****"
    assert info["local_uuid"] == UUID
    assert info["peersInfo"] == {UUID: "p1", OTHER_UUID: "hospital"}
    assert tenant.call("GET", "/fedml/p1/syncStats").json()["values"] == {"fedSyncStats": nodes.stats}


def test_a_joined_peer_tells_the_schedule_that_its_node_follows(tenant: Tenant, nodes: Nodes) -> None:
    tenant.call("POST", "/fedml/createJoin", "pid=p1", sealed=JOIN)
    assert info_of(tenant)["sync_sched"] == "m30"
    tenant.give_node("p1", nodes)
    nodes.stats = {"schedule": "h3"}
    assert info_of(tenant)["sync_sched"] == "h3"


def info_of(tenant: Tenant) -> dict[str, Any]:
    """The FederationInfo of project p1."""
    sealed = tenant.call("GET", "/fedml/p1/info").json()["values"]["fedInfoEncrypted"]
    return dict(json.loads(open_body(sealed, tenant.secret_key)))


@pytest.mark.parametrize(
    ("verb", "call", "annotation"),
    [
        ("GET", "fullSyncRequest", "symfed.dev/sync-requested-at"),
        ("DELETE", "clearErrorLog", "symfed.dev/error-log-cleared-at"),
    ],
)
def test_what_a_node_is_asked_is_an_annotation(tenant: Tenant, verb: str, call: str, annotation: str) -> None:
    tenant.create()
    moments = []
    for _ in range(2):
        assert text_of(tenant.call(verb, f"/fedml/p1/{call}")) == (200, "OK")
        annotations = tenant.object("federationpeers", "p1")["metadata"]["annotations"]
        moments.append(datetime.fromisoformat(annotations[annotation]))
    assert moments[0] < moments[1]


def test_what_a_peer_does_is_in_its_spec(tenant: Tenant) -> None:
    tenant.create()
    for call, query, changed in (
        ("stopPulse", "", {"pulse": False}),
        ("startPulse", "", {"pulse": True}),
        ("setExplorePeers", "allowExplore=TRUE", {"allowPeersExplore": True}),
        ("setExplorePeers", "allowExplore=false", {"allowPeersExplore": False}),
    ):
        assert text_of(tenant.call("GET", f"/fedml/p1/{call}", query)) == (200, "OK")
        assert tenant.object("federationpeers", "p1")["spec"].items() >= changed.items()
    for query, words in (
        ("allowExplore=perhaps", "allowExplore: 'perhaps' is not true or false"),
        ("", "allowExplore: missing"),
    ):
        assert text_of(tenant.call("GET", "/fedml/p1/setExplorePeers", query)) == (400, words)


def test_the_admin_alone_sets_the_schedule(tenant: Tenant) -> None:
    tenant.create()
    assert text_of(tenant.call("GET", "/fedml/p1/newSchedule", "newSchedule=h3")) == (200, "OK")
    assert tenant.object("federations", "iris")["spec"]["schedule"] == "h3"
    for query, words in (
        ("newSchedule=h0", "newSchedule: 'h0' is not m<n>, h<n> or d<n>"),
        ("", "newSchedule: missing"),
    ):
        assert text_of(tenant.call("GET", "/fedml/p1/newSchedule", query)) == (400, words)
    tenant.call("POST", "/fedml/createJoin", "pid=p2", sealed=JOIN)
    assert text_of(tenant.call("GET", "/fedml/p2/newSchedule", "newSchedule=h3")) == (
        403,
        "Project p2 is not the admin of its federation; only the admin sets its schedule",
    )


MEMBER_CALLS = (
    "GET startPulse",
    "GET stopPulse",
    "GET newSchedule?newSchedule=h3",
    "GET setExplorePeers?allowExplore=true",
    "GET fullSyncRequest",
    "GET getErrorLog",
    "GET getSyncLog",
    "GET syncStats",
    "GET info",
    "DELETE clearErrorLog",
)


def test_a_project_without_federation_is_told_so(tenant: Tenant) -> None:
    tenant.call("POST", "/projects", "pid=alone")
    for call in MEMBER_CALLS:
        verb, _, rest = call.partition(" ")
        path, _, query = rest.partition("?")
        assert text_of(tenant.call(verb, f"/fedml/alone/{path}", query)) == (
            400,
            "Project alone belongs to no federation",
        )
        assert text_of(tenant.call(verb, f"/fedml/none/{path}", query)) == (
            400,
            f"Cannot Find SYMETRYML id[none] for Customer id [{tenant.id}]",
        )
    assert "pulse" not in tenant.object("federationpeers", "alone")["spec"]


def test_the_logs_come_from_the_node(tenant: Tenant, nodes: Nodes) -> None:
    tenant.create()
    tenant.give_node("p1", nodes)
    for log in ("getErrorLog", "getSyncLog"):
        assert tenant.call("GET", f"/fedml/p1/{log}").status_code == 200
        assert nodes.seen[-1]["call"] == f"GET /fedml/p1/{log}"


async def test_a_change_touches_the_object_that_was_read_and_no_other(kube: Kube, namespace: str) -> None:
    peer: JsonObject = {"metadata": {"name": "p1"}, "spec": {"project": "p1"}}
    old = FederationPeer.model_validate(await kube.create(PEERS, namespace, peer))
    await kube.patch(PEERS, namespace, "p1", {"metadata": {"labels": {"changed": "meanwhile"}}}, manager="t")
    assert await change(kube, old, {"spec": {"pulse": False}})
    with pytest.raises(InvalidError, match="pulse"):
        await change(kube, old, {"spec": {"pulse": "maybe"}})
    await kube.delete(PEERS, namespace, "p1")
    assert not await change(kube, old, {"spec": {"pulse": False}})
    assert await kube.list_all(PEERS, namespace) == []
    anew = await kube.create(PEERS, namespace, peer)
    assert not await change(kube, old, {"spec": {"pulse": False}})
    assert await kube.get(PEERS, namespace, "p1") == anew
