"""The gateway as a process on a real API server; the tests play the operator and the nodes."""

import base64
import json
import secrets
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from symfed_wire.bodies import RequestLine, open_body, open_body_v2
from symfed_wire.documents import LEAVE_CONTEXT, Leave, Signed, sign_document
from symfed_wire.invitation import open_invitation
from symfed_wire.jobs import job_id
from symfed_wire.join import JoinAnswer, JoinRequest, NatsGrant, NatsUserKeys, open_join, seal_join
from tests.integration.gateway import (
    CREATE,
    DOCUMENT_KEY,
    FEDERATION_KEY,
    Nodes,
    RunningGateway,
    Tenant,
    started_gateway,
    text_of,
)
from tests.integration.servers import ControlPlane, wait_until

UUID = "00000000-0000-4000-8000-000000000001"
OTHER_UUID = "00000000-0000-4000-8000-000000000002"
NONCE = "0123456789abcdef"
IDENTITY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """The peers' nodes."""
    running = Nodes()
    yield running
    running.close()


@pytest.fixture(scope="module")
def gateway(
    control_plane: ControlPlane, nodes: Nodes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """One gateway for all tests."""
    with started_gateway(control_plane, nodes, tmp_path_factory.mktemp("gateway")) as running:
        yield running


NewTenant = Callable[..., Tenant]


@pytest.fixture
def new_tenant(control_plane: ControlPlane, gateway: RunningGateway) -> NewTenant:
    """Makes customers, each in a namespace of its own, and waits until the gateway serves them."""

    def make(customer: str = "", *, wait: bool = True) -> Tenant:
        customer = customer or f"c{secrets.token_hex(4)}"
        tenant = Tenant(control_plane, gateway.url, customer, f"customer-{secrets.token_hex(4)}")
        metadata = {"name": tenant.namespace, "labels": {"symfed.dev/customer": customer}}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        # The Secret first in time: the gateway remembers for ten seconds that a customer has none.
        bare = namespace | {"metadata": {"name": tenant.namespace}}
        tenant.api("POST", "/api/v1/namespaces", bare).raise_for_status()
        tenant.put_secret("symfed-customer", {"secretKey": tenant.secret_key})
        tenant.api("PATCH", f"/api/v1/namespaces/{tenant.namespace}", namespace).raise_for_status()
        if wait:
            wait_until(
                lambda: tenant.call("GET", "/projects/list").is_success, "the customer is not served", 10
            )
        return tenant

    return make


@pytest.fixture
def tenant(new_tenant: NewTenant) -> Tenant:
    """A customer of this test's own."""
    return new_tenant()


# --- what every call has ---------------------------------------------------------------------------------


def test_every_answer_is_an_envelope(tenant: Tenant, gateway: RunningGateway) -> None:
    assert httpx.get(f"{gateway.url}/healthz").json() == {
        "statusCode": "OK",
        "statusString": "OK",
        "values": {},
    }
    here = f"/symetry/rest/{tenant.id}"
    assert text_of(tenant.call("GET", "/nowhere")) == (404, f"No such path: {here}/nowhere")
    assert text_of(tenant.call("POST", "/projects/list")) == (
        405,
        f"POST is not possible on {here}/projects/list",
    )
    unsigned = httpx.get(f"{gateway.url}{here}/projects/list")
    assert text_of(unsigned) == (400, "Authentication header is null")


def test_a_strangers_signature_is_refused(tenant: Tenant) -> None:
    stranger = Tenant(tenant.control_plane, tenant.url, tenant.id, tenant.namespace)
    assert text_of(stranger.call("GET", "/projects/list")) == (401, "Invalid Signature")
    nobody = Tenant(tenant.control_plane, tenant.url, "nobody", tenant.namespace)
    assert text_of(nobody.call("GET", "/projects/list")) == (401, "Invalid Signature")


def test_of_two_namespaces_with_one_customer_neither_is_served(new_tenant: NewTenant) -> None:
    first = new_tenant()
    second = new_tenant(first.id, wait=False)
    for claimant in (first, second):
        wait_until(partial(is_refused, claimant), "still served", 10)


def is_refused(tenant: Tenant) -> bool:
    """Whether the customer's signature is not accepted."""
    return text_of(tenant.call("GET", "/projects/list")) == (401, "Invalid Signature")


# --- create ----------------------------------------------------------------------------------------------


def test_create_makes_the_objects_once(tenant: Tenant) -> None:
    assert text_of(tenant.create()) == (201, "Project Created with id:p1")
    federation = tenant.object("federations", "iris")
    assert federation["spec"]["nats"]["managed"] == {}
    assert federation["spec"]["deletionPolicy"] == "Delete"
    peer = tenant.object("federationpeers", "p1")
    assert peer["spec"]["federationRef"] == {"name": "iris"}
    digests = {item["metadata"]["annotations"]["symfed.dev/request-digest"] for item in (federation, peer)}
    assert len(digests) == 1
    exists = f"Customer [{tenant.id}] already have SYMETRYML with id[p1], "
    assert text_of(tenant.create()) == (409, exists)
    assert text_of(tenant.create(sync_sched="h3")) == (409, exists)
    assert text_of(tenant.create("p2")) == (
        409,
        f"Customer [{tenant.id}] already have a federation with fed_name[iris]",
    )
    assert tenant.call("GET", "/projects/list").json()["values"] == {"stringList": {"values": ["p1"]}}


def test_a_repeat_after_a_crash_takes_over_what_is_there(tenant: Tenant) -> None:
    assert tenant.create().status_code == 201
    tenant.api("DELETE", tenant.path("federationpeers", "p1")).raise_for_status()
    assert tenant.create(sync_sched="h3").status_code == 409  # another request
    uid = tenant.object("federations", "iris")["metadata"]["uid"]
    assert text_of(tenant.create()) == (201, "Project Created with id:p1")
    assert tenant.object("federations", "iris")["metadata"]["uid"] == uid


def test_a_peer_whose_object_name_is_taken_leaves_nothing(tenant: Tenant) -> None:
    manifest = {"apiVersion": "symfed.dev/v1alpha1", "kind": "FederationPeer", "spec": {"project": "another"}}
    tenant.api("POST", tenant.path("federationpeers"), manifest | {"metadata": {"name": "p1"}})
    exists = f"Customer [{tenant.id}] already have SYMETRYML with id[p1], "
    assert text_of(tenant.create(nats_hosts="nats://nats.example.org", nats_sec_token="t")) == (409, exists)
    assert text_of(tenant.call("POST", "/fedml/createJoin", "pid=p1", sealed=JOIN)) == (409, exists)
    assert tenant.names("federations") == []
    assert tenant.names("secrets") == ["symfed-customer"]
    assert tenant.create("p2").status_code == 201


def test_create_names_every_fault(tenant: Tenant) -> None:
    answer = tenant.call("POST", "/fedml/create", sealed=CREATE | {"sync_sched": "x5", "fed_name": ""})
    assert text_of(answer) == (
        400,
        "pid: missing; fed_name: missing; sync_sched: 'x5' is not m<n>, h<n> or d<n>",
    )
    assert tenant.names("federations") == []
    answer = tenant.call("POST", "/fedml/create", "pid=p1", plain="nonsense")
    assert text_of(answer) == (400, "The body is not an encrypted JSON map under this customer's secret key")


def test_create_on_somebody_elses_nats_keeps_the_credentials_in_a_secret(tenant: Tenant) -> None:
    values = {"nats_hosts": "nats://nats.example.org", "nats_sec_user": "u", "nats_sec_passwd": "hidden"}
    assert tenant.create(**values).status_code == 201
    nats = tenant.object("federations", "iris")["spec"]["nats"]
    assert nats["hosts"] == ["nats://nats.example.org"]
    secret = tenant.object("secrets", nats["credentialsSecretRef"]["name"])
    assert base64.b64decode(secret["data"]["password"]) == b"hidden"


# --- invitations -----------------------------------------------------------------------------------------


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


# --- joining ---------------------------------------------------------------------------------------------

JOIN = {
    "fed_name": "iris",
    "sync_sched": "m30",
    "fed_secret_key": FEDERATION_KEY,
    "fed_rest_url": "http://gateway.example.org/symetry/rest/c1/fedml/p1/createPolicies",
    "fed_req_token": "FEDTOKEN0123456789abcdef",
    "nats_hosts": "nats://172.30.0.2:30422",
}


def test_silence_is_no_refusal(tenant: Tenant) -> None:
    assert text_of(tenant.call("POST", "/fedml/createJoin", sealed=JOIN)) == (
        201,
        "Fed Project created with join",
    )
    reference = tenant.object("federationpeers", "iris")["spec"]["invitationSecretRef"]["name"]
    data = tenant.object("secrets", reference)["data"]
    assert {key: base64.b64decode(value).decode() for key, value in data.items()} == JOIN
    again = tenant.call("POST", "/fedml/createJoin", sealed=JOIN)
    assert text_of(again) == (409, f"Customer [{tenant.id}] already have SYMETRYML with id[iris], ")


def test_a_grant_is_told_at_once_and_a_refusal_leaves_nothing(tenant: Tenant) -> None:
    with ThreadPoolExecutor() as pool:
        for pid, verdict in (("good", "True"), ("bad", "False")):
            waiting = pool.submit(tenant.call, "POST", "/fedml/createJoin", f"pid={pid}", sealed=JOIN)
            wait_until(partial(_has_peer, tenant, pid), "no peer")
            reason = "Granted" if verdict == "True" else "InvitationRefused"
            tenant.set_condition("federationpeers", pid, "Joined", verdict, reason, "the admin refused: no")
            answer = waiting.result()
            wanted = (
                (201, "Fed Project created with join")
                if verdict == "True"
                else (403, "the admin refused: no")
            )
            assert text_of(answer) == wanted
    assert tenant.names("federationpeers") == ["good"]
    assert [name[:16] for name in tenant.names("secrets")] == ["good-invitation-", "symfed-customer"]


def test_an_incomplete_invitation_is_refused_with_what_to_do(tenant: Tenant) -> None:
    incomplete = {key: value for key, value in JOIN.items() if key != "fed_rest_url"}
    answer = tenant.call("POST", "/fedml/createJoin", "pid=p2", sealed=incomplete)
    assert text_of(answer) == (400, "fed_rest_url: missing; pass the opened invitation on unchanged")


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
    return JoinAnswer(federation="fed-uid", document_key=DOCUMENT_KEY, document=document, nats=nats)


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


# --- projects, nodes and jobs ----------------------------------------------------------------------------


def test_data_calls_go_to_the_projects_node(tenant: Tenant, nodes: Nodes) -> None:
    created = tenant.call("POST", "/projects", "pid=p1&type=cpu&persist=true", plain="{}")
    assert text_of(created) == (201, "Project Created with id:p1")
    exists = tenant.call("POST", "/projects", "pid=p1", plain="{}")
    assert text_of(exists) == (409, f"Customer [{tenant.id}] already have SYMETRYML with id[p1], ")
    tenant.set_condition("federationpeers", "p1", "NodeReady", "False", "Unschedulable", "0/3 nodes")
    early = tenant.call("POST", "/projects/p1/learn", plain="{}")
    assert text_of(early) == (503, "Project p1 is not ready: Unschedulable: 0/3 nodes")
    assert early.headers["Retry-After"] == "5"

    tenant.put_secret("p1-token", {"token": "t1"})
    nodes.tokens[tenant.namespace, "p1"] = "t1"
    nodes.starting = 2
    learnt = tenant.call("POST", "/projects/p1/learn", "async=false", plain='{"data": []}', request_id="r1")
    assert text_of(learnt) == (200, "learnt by p1")
    assert nodes.seen[-1] == {
        "call": "POST /projects/p1/learn?async=false",
        "name": "p1",
        "body": '{"data": []}',
        "request_id": "r1",
        "nonce": None,
    }
    tenant.put_secret("p1-token", {"token": "t2"})  # the node was made anew
    nodes.tokens[tenant.namespace, "p1"] = "t2"
    assert tenant.call("GET", "/projects/p1/info").status_code == 200

    for request_id, wanted in (("r" * 64, 200), ("r" * 65, 400), ("Z\xfcrich", 200)):
        learnt = tenant.call("POST", "/projects/p1/learn", plain="{}", request_id=request_id)
        assert learnt.status_code == wanted
    assert text_of(tenant.call("POST", "/projects/p1/learn", plain="{}", request_id="r" * 65)) == (
        400,
        "sym-request-id is longer than 64 characters",
    )
    assert nodes.seen[-1]["request_id"] == "Z\xfcrich"

    tenant.call("POST", "/projects/p1/learn", plain="{}", nonce=NONCE)
    assert nodes.seen[-1]["nonce"] == NONCE

    built = tenant.call("POST", "/projects/p1/build", "algo=mlr&modelid=m1", plain="{}")
    assert text_of(built) == (202, "Job Created")
    assert built.headers["Location"] == f"{tenant.url}/symetry/rest/{tenant.id}/jobs/77"
    assert built.headers["sym-job-id"] == "77"
    unknown = tenant.call("GET", "/projects/p9/info")
    assert text_of(unknown) == (400, f"Cannot Find SYMETRYML id[p9] for Customer id [{tenant.id}]")


def test_a_job_is_on_the_node_with_its_slot(tenant: Tenant, nodes: Nodes) -> None:
    for slot, pid in enumerate(("p1", "p2"), start=1):
        tenant.call("POST", "/projects", f"pid={pid}", plain="{}")
        tenant.set_status("federationpeers", pid, slot=slot)
        tenant.put_secret(f"{pid}-token", {"token": pid})
        nodes.tokens[tenant.namespace, pid] = pid
    number = job_id(2, 5)
    assert text_of(tenant.call("GET", f"/jobs/{number}")) == (200, "learnt by p2")
    assert nodes.seen[-1]["call"] == f"GET /jobs/{number}"
    for unknown in (job_id(3, 5), 7, "x", "9" * 30):
        assert text_of(tenant.call("GET", f"/jobs/{unknown}")) == (400, "No such job")
    listed = tenant.call("GET", "/jobs").json()["values"]
    assert listed == {"jobs": [{"jobId": "p1"}, {"jobId": "p2"}]}


@pytest.mark.parametrize("nonce", ["", NONCE])
def test_info_comes_encrypted_in_the_form_that_was_asked_in(tenant: Tenant, nodes: Nodes, nonce: str) -> None:
    tenant.create()
    tenant.set_status("federationpeers", "p1", uuid=UUID)
    tenant.put_secret("p1-token", {"token": "t"})
    nodes.tokens[tenant.namespace, "p1"] = "t"
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


# --- the process -----------------------------------------------------------------------------------------


def test_the_log_has_a_line_a_request_and_no_secrets(tenant: Tenant, gateway: RunningGateway) -> None:
    tenant.create("logged", nats_sec_user="u", nats_sec_passwd="hidden-password")
    wait_until(
        lambda: f"POST /symetry/rest/{tenant.id}/fedml/create 201" in gateway.log.read_text(), "no line", 5
    )
    log = gateway.log.read_text()
    assert not any(
        secret in log for secret in ("hidden-password", tenant.secret_key, FEDERATION_KEY, "FEDTOKEN")
    )
    assert "Traceback" not in log


def test_an_address_with_many_refusals_waits(
    control_plane: ControlPlane, nodes: Nodes, tmp_path: Path
) -> None:
    with started_gateway(control_plane, nodes, tmp_path) as own:
        url = f"{own.url}/symetry/rest/c1/fedml/p1/createPolicies"
        codes = [httpx.post(url, json={}).status_code for _ in range(11)]
        assert codes == [403] * 10 + [429]
        assert text_of(httpx.post(url)) == (429, "Too many refused requests from this address")


def test_the_gateway_finishes_what_is_under_way(
    new_tenant: NewTenant, control_plane: ControlPlane, nodes: Nodes, tmp_path: Path
) -> None:
    tenant = new_tenant()
    with started_gateway(control_plane, nodes, tmp_path) as own:
        tenant.url = own.url
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(tenant.call, "POST", "/fedml/createJoin", "pid=last", sealed=JOIN)
            wait_until(lambda: bool(tenant.object("federationpeers", "last")), "no peer")
            own.process.send_signal(signal.SIGTERM)
            assert text_of(waiting.result()) == (201, "Fed Project created with join")
        assert own.process.wait(20) in (0, -signal.SIGTERM)


def test_a_deletion_is_answered_when_the_project_is_gone(tenant: Tenant) -> None:
    assert tenant.create("p1").status_code == 201
    path = tenant.path("federations", "iris")
    tenant.api("PATCH", path, {"metadata": {"finalizers": ["symfed.dev/finalizer"]}}).raise_for_status()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(tenant.call, "DELETE", "/projects/p1")
        wait_until(partial(_is_terminating, tenant), "the Federation is not under deletion")
        assert not waiting.done()
        tenant.api("PATCH", path, {"metadata": {"finalizers": None}}).raise_for_status()
        assert waiting.result().status_code == 200
    assert tenant.create("p1").status_code == 201


def _is_terminating(tenant: Tenant) -> bool:
    found = tenant.object("federations", "iris")
    return bool(found and found["metadata"].get("deletionTimestamp"))


def _has_peer(tenant: Tenant, pid: str) -> bool:
    return bool(tenant.object("federationpeers", pid))
