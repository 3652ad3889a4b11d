"""The calls about a project's federation, on a real API server; the tests play the node."""

import json
from datetime import datetime

import pytest

from symfed_wire.bodies import RequestLine, open_body, open_body_v2
from tests.integration.gateway import NONCE, OTHER_UUID, UUID, Nodes, Tenant, text_of


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


def test_a_full_sync_is_an_annotation(tenant: Tenant) -> None:
    tenant.create()
    assert text_of(tenant.call("GET", "/fedml/p1/fullSyncRequest")) == (200, "OK")
    annotations = tenant.object("federationpeers", "p1")["metadata"]["annotations"]
    assert datetime.fromisoformat(annotations["symfed.dev/sync-requested-at"]).tzinfo
