"""Projects and the calls to their nodes, on a real API server; the tests play the nodes."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from symfed_api.unsupported import CALLS
from tests.integration.gateway import NONCE, NewTenant, Nodes, Tenant, started_gateway, text_of
from tests.integration.servers import ControlPlane, wait_until


def test_a_project_is_made_from_its_map(tenant: Tenant) -> None:
    values = '{"sml_project_autosave": "true", "sml_project_rolling_window_size": "0", "color": "red"}'
    made = tenant.call("POST", "/projects", "pid=p1&type=dynamic&enableHistogram=true", plain=values)
    assert text_of(made) == (201, "Project Created with id:p1")
    peer = tenant.object("federationpeers", "p1")
    assert peer["metadata"]["annotations"]["symfed.dev/ignored-keys"] == "color"
    window = "sml_project_rolling_window_size"
    for body, words in (
        (f'{{"{window}": 9}}', f"{window}: not supported by this version"),
        ("[1]", "The body is not a JSON map"),
        ("{", "The body is not a JSON map"),
    ):
        assert text_of(tenant.call("POST", "/projects", "pid=p2", plain=body)) == (400, words)
    assert tenant.call("POST", "/projects", "pid=p3").status_code == 201
    assert tenant.names("federationpeers") == ["p1", "p3"]


def test_every_data_call_is_passed_on_with_its_query(tenant: Tenant, nodes: Nodes) -> None:
    tenant.make_project("p1", nodes)
    for call in (
        "POST /projects/p1/learn?async=true",
        "POST /projects/p1/forget?async=true",
        "POST /projects/p1/histogramEnable?enable=true",
        "POST /projects/p1/explore?metric=uni&useLocal=true",
        "POST /projects/p1/densityEstimate",
        "POST /projects/p1/predict/m%201?impute=true",
        "GET /projects/p1/models/m1",
        "DELETE /projects/p1/models/m1",
    ):
        verb, _, path = call.partition(" ")
        assert tenant.call(verb, *path.split("?"), plain='{"a": 1}').status_code == 200
        assert (nodes.seen[-1]["call"], nodes.seen[-1]["body"]) == (call, '{"a": 1}')


@pytest.mark.parametrize(("verb", "path"), CALLS)
def test_what_this_version_does_not_do_it_says(tenant: Tenant, verb: str, path: str) -> None:
    path = path.format(pid="p1", model="m1")
    assert text_of(tenant.call(verb, path)) == (501, f"{verb} {path[1:]} is not supported by this version")


def test_a_call_does_not_wait_for_a_node_that_cannot_start(
    new_tenant: NewTenant, control_plane: ControlPlane, nodes: Nodes, tmp_path: Path
) -> None:
    tenant = new_tenant()
    with started_gateway(control_plane, nodes, tmp_path, SYMFED_WAIT_SECONDS="3600") as own:
        tenant.url = own.url  # a call that waits there fails by the client's time-out
        tenant.call("POST", "/projects", "pid=p1")
        tenant.set_condition("federationpeers", "p1", "NodeReady", "False", "Unschedulable", "0/3 nodes")
        for verb, path in (("POST", "/projects/p1/learn"), ("GET", "/projects/p1/info")):
            stuck = tenant.call(verb, path)
            assert text_of(stuck) == (503, "Project p1 is not ready: Unschedulable: 0/3 nodes")
            assert stuck.headers["Retry-After"] == "5"
        with ThreadPoolExecutor() as pool:
            tenant.set_condition(
                "federationpeers", "p1", "NodeReady", "False", "Starting", "the pod is Pending"
            )
            waiting = pool.submit(tenant.call, "GET", "/projects/p1/info")
            tenant.give_node("p1", nodes)
            assert waiting.result().status_code == 200


def test_data_calls_go_to_the_projects_node(tenant: Tenant, nodes: Nodes) -> None:
    created = tenant.call("POST", "/projects", "pid=p1&type=cpu&persist=true", plain="{}")
    assert text_of(created) == (201, "Project Created with id:p1")
    exists = tenant.call("POST", "/projects", "pid=p1", plain="{}")
    assert text_of(exists) == (409, f"Customer [{tenant.id}] already have SYMETRYML with id[p1], ")
    tenant.set_condition("federationpeers", "p1", "NodeReady", "False", "Starting", "the pod is Pending")
    early = tenant.call("POST", "/projects/p1/learn", plain="{}")
    assert text_of(early) == (503, "Project p1 is not ready: Starting: the pod is Pending")
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
