"""`fedml/create` on a real API server."""

import base64

from tests.integration.gateway import CREATE, JOIN, Tenant, text_of


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
