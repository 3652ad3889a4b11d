"""Invitations, and who redeems them, on a real API server; the tests play both operators."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from symfed_wire.documents import LEAVE_CONTEXT, Leave, Signed, sign_document
from symfed_wire.invitation import open_invitation
from symfed_wire.join import JoinAnswer, JoinRequest, NatsGrant, NatsUserKeys, open_join, seal_join
from tests.integration.gateway import (
    DOCUMENT_KEY,
    FEDERATION_KEY,
    NONCE,
    OTHER_UUID,
    UUID,
    Tenant,
    text_of,
)

IDENTITY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def test_an_invitation_waits_for_the_federation(tenant: Tenant) -> None:
    body = {"passwd": "passwd", "fed_rest_host": "charm:8080"}
    missing = tenant.call("POST", "/fedml/p1/getEncrypted", sealed=body)
    assert text_of(missing) == (400, f"Cannot Find SYMETRYML id[p1] for Customer id [{tenant.id}]")
    tenant.create()
    tenant.set_condition("federations", "iris", "Ready", "False", "Unreachable", "no NATS server answers")
    early = tenant.call("POST", "/fedml/p1/getEncrypted", sealed=body)
    assert text_of(early) == (503, "Federation iris is not ready: Unreachable: no NATS server answers")
    assert early.headers["Retry-After"] == "5"
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(tenant.call, "POST", "/fedml/p1/getInvitation", sealed=body)
        tenant.make_federation_ready()
        values = waiting.result().json()["values"]
    assert values["fedInfoEncrypted"] == values["encryptedGroupInfo"]
    opened = open_invitation(values["fedInfoEncrypted"], "passwd")
    token = opened.pop("fed_req_token")
    assert opened == {
        "sync_sched": "m30",
        "fed_name": "iris",
        "fed_secret_key": FEDERATION_KEY,
        "fed_document_key": DOCUMENT_KEY,
        "fed_rest_url": f"http://charm:8080/symetry/rest/{tenant.id}/fedml/p1/createPolicies",
        "nats_hosts": "nats://172.30.0.2:30422",
        "nats_req_timeout": "30",
        "nats_stream_max_memory": "1073741824",
    }
    [record] = [name for name in tenant.names("configmaps") if name.startswith("symfed-inv-")]
    claim = tenant.object("configmaps", record)
    assert claim["data"]["federation"] == "iris"
    assert claim["metadata"]["labels"]["symfed.dev/invitation"] == "true"
    assert str(token) not in json.dumps(claim)


def test_an_invitation_in_the_second_form(tenant: Tenant) -> None:
    tenant.create()
    tenant.make_federation_ready()
    body = {"passwd": "a password of some length", "fed_rest_host": "http://h", "fed_info_format": "v2"}
    answer = tenant.call("POST", "/fedml/p1/getEncrypted", sealed=body, nonce=NONCE)
    invitation = answer.json()["values"]["fedInfoEncrypted"]
    assert invitation.startswith("v2.")
    assert open_invitation(invitation, body["passwd"])["fed_name"] == "iris"


def public(key: Ed25519PrivateKey) -> str:
    """The public half in base64."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def join_request(uuid: str = UUID, *, name: str = "hospital", writer: str = "U" + "A" * 55) -> JoinRequest:
    """What a peer's operator says of it."""
    keys = NatsUserKeys(writer=writer, reader="U" + "B" * 55)
    return JoinRequest(
        peer_uuid=uuid,
        peer_name=name,
        identity_key=public(IDENTITY),
        sealing_key=base64.b64encode(bytes(range(32))).decode(),
        nats_user_keys=keys,
    )


def redeem(invitation: dict[str, Any], request: JoinRequest, **changes: str) -> httpx.Response:
    """`createPolicies` as a peer's operator calls it."""
    token = str(invitation["fed_req_token"])
    body = {"fed_req_token": token, "peer": seal_join(request, FEDERATION_KEY, token)} | changes
    return httpx.post(str(invitation["fed_rest_url"]), json=body, trust_env=False)


def grant() -> JoinAnswer:
    """What the operator writes into the grant's Secret."""
    nats = NatsGrant(
        hosts=("nats://172.30.0.2:30422",),
        writer_jwt="W",
        reader_jwt="R",
        stream="SNAPSHOT",
        data="data",
        head="head",
        get="get.federation",
        heads="head.*",
        ask="ask",
    )
    document = Signed(payload="", key="", sig="")
    return JoinAnswer(
        federation="5f0c6a52-6e5e-4b3f-9d1f-1f0b7c3d2a11",
        document_key=DOCUMENT_KEY,
        document=document,
        nats=nats,
    )


def test_a_token_lets_one_peer_in_and_out_again(tenant: Tenant) -> None:
    tenant.create()
    tenant.make_federation_ready()
    invitation = tenant.invitation()
    refused = (403, "Invitation refused")
    assert text_of(redeem(invitation, join_request(), peer="AAAA")) == refused
    early = redeem(invitation, join_request())
    assert text_of(early) == (503, "The operator has not granted the membership yet")
    assert early.headers["Retry-After"] == "2"
    remote = tenant.object("federationpeers", f"remote-{UUID}")
    assert remote["spec"]["remote"]["identityKey"] == public(IDENTITY)
    [record] = [name for name in tenant.names("configmaps") if name.startswith("symfed-inv-")]
    assert tenant.object("configmaps", record)["data"]["peerUid"] == remote["metadata"]["uid"]
    tenant.put_secret(f"remote-{UUID}-grant", {"join.json": grant().model_dump_json()})
    granted = redeem(invitation, join_request())
    assert granted.status_code == 200
    token = str(invitation["fed_req_token"])
    assert open_join(granted.json()["values"]["join"], FEDERATION_KEY, token, JoinAnswer) == grant()
    assert text_of(redeem(invitation, join_request(OTHER_UUID))) == refused
    assert text_of(redeem(tenant.invitation(), join_request())) == refused  # a member by another token

    delete = tenant.call("DELETE", "/projects/p1")
    assert text_of(delete) == (409, "Project p1 administers a federation with other members: hospital")

    uid = tenant.object("federations", "iris")["metadata"]["uid"]
    wish = Leave(federation=uid, uuid=UUID, at=datetime.now(UTC).isoformat())
    leave_url = str(invitation["fed_rest_url"]).removesuffix("createPolicies") + "leave"
    forged = sign_document(wish, LEAVE_CONTEXT, Ed25519PrivateKey.generate())
    assert text_of(httpx.post(leave_url, content=forged.model_dump_json())) == (403, "Leave refused")
    signed = sign_document(wish, LEAVE_CONTEXT, IDENTITY).model_dump_json()
    assert text_of(httpx.post(leave_url, content=signed)) == (200, "OK")
    assert tenant.object("federationpeers", f"remote-{UUID}") == {}
    assert text_of(httpx.post(leave_url, content=signed)) == (200, "OK")
    assert text_of(redeem(invitation, join_request())) == refused  # a removed peer needs a new token

    text = f"deleted Project with id[p1] from Customer[{tenant.id}] store"
    assert text_of(tenant.call("DELETE", "/projects/p1")) == (200, text)
    assert (tenant.names("federations"), tenant.names("federationpeers")) == ([], [])


@pytest.mark.parametrize("bad", [{"name": "n" * 254}, {"name": ""}, {"writer": "U"}])
def test_a_peer_that_breaks_the_schema_is_refused_and_claims_nothing(
    tenant: Tenant, bad: dict[str, str]
) -> None:
    tenant.create()
    tenant.make_federation_ready()
    invitation = tenant.invitation()
    assert text_of(redeem(invitation, join_request(**bad))) == (403, "Invitation refused")
    [record] = [name for name in tenant.names("configmaps") if name.startswith("symfed-inv-")]
    assert tenant.object("configmaps", record)["data"]["uuid"] == ""
    assert redeem(invitation, join_request(OTHER_UUID)).status_code == 503  # claimed, not granted yet
    assert tenant.object("configmaps", record)["data"]["uuid"] == OTHER_UUID


def test_every_peer_in_the_federations_namespace_is_its_admins(tenant: Tenant) -> None:
    tenant.create()
    tenant.make_federation_ready()
    member = {"project": "genomics", "federationRef": {"name": "iris"}}
    body = {"apiVersion": "symfed.dev/v1alpha1", "kind": "FederationPeer", "spec": member}
    tenant.api("POST", tenant.path("federationpeers"), body | {"metadata": {"name": "genomics"}})

    asked = tenant.call("POST", "/fedml/genomics/getEncrypted", sealed={"passwd": "p", "fed_rest_host": "h"})
    assert asked.status_code == 200
    assert tenant.call("DELETE", "/projects/p1").status_code == 200
    assert (tenant.names("federations"), tenant.names("federationpeers")) == (["iris"], ["genomics"])
    assert tenant.call("DELETE", "/projects/genomics").status_code == 200
    assert (tenant.names("federations"), tenant.names("federationpeers")) == ([], [])


def test_two_peers_with_one_token_at_once(tenant: Tenant) -> None:
    tenant.create()
    tenant.make_federation_ready()
    invitation = tenant.invitation()
    with ThreadPoolExecutor() as pool:
        answers = pool.map(partial(redeem, invitation), [join_request(), join_request(OTHER_UUID)])
        assert sorted(answer.status_code for answer in answers) == [403, 503]
    assert len([name for name in tenant.names("federationpeers") if name.startswith("remote-")]) == 1
