"""Jobs: which node has them, and those that the gateway does itself."""

from functools import partial
from pathlib import Path

from symfed_wire.jobs import job_id, slot_of
from tests.integration.gateway import NewTenant, Nodes, RunningGateway, Tenant, started_gateway, text_of
from tests.integration.servers import ControlPlane, wait_until


def test_a_job_is_on_the_node_with_its_slot(tenant: Tenant, nodes: Nodes) -> None:
    for slot, pid in enumerate(("p1", "p2"), start=1):
        tenant.make_project(pid, nodes)
        tenant.set_status("federationpeers", pid, slot=slot)
    number = job_id(2, 5)
    assert text_of(tenant.call("GET", f"/jobs/{number}")) == (200, "learnt by p2")
    assert nodes.seen[-1]["call"] == f"GET /jobs/{number}"
    for unknown in (job_id(3, 5), 7, "x", "9" * 30):
        assert text_of(tenant.call("GET", f"/jobs/{unknown}")) == (400, "No such job")
    listed = tenant.call("GET", "/jobs").json()["values"]
    assert listed == {"jobinfoList": [{"jobId": "p1"}, {"jobId": "p2"}]}


def start_infos(tenant: Tenant) -> str:
    """Start the job of `projects/info`; its number."""
    started = tenant.call("GET", "/projects/info")
    assert text_of(started) == (202, "Job Created")
    number = str(started.headers["sym-job-id"])
    assert started.headers["Location"] == f"{tenant.url}/symetry/rest/{tenant.id}/jobs/{number}"
    assert slot_of(int(number)) == 0
    return number


def is_finished(tenant: Tenant, number: str) -> bool:
    """Whether a job is not running any more."""
    return tenant.call("GET", f"/jobs/{number}").status_code != 202


def test_what_all_projects_hold_is_a_job_of_the_gateways_own(tenant: Tenant, nodes: Nodes) -> None:
    tenant.make_project("p1", nodes)
    tenant.call("POST", "/projects", "pid=p2")
    tenant.set_condition("federationpeers", "p2", "NodeReady", "False", "Unschedulable", "0/3 nodes")
    number = start_infos(tenant)
    wait_until(partial(is_finished, tenant, number), "the job runs", 20)
    finished = tenant.call("GET", f"/jobs/{number}")
    assert text_of(finished) == (200, "Job is finished")
    values = finished.json()["values"]
    assert values["smlInfoList"][0] == {"pid": "p1"}
    assert (values["smlInfoList"][1]["pid"], values["smlInfoList"][1]["loaded"]) == ("p2", False)
    assert values["smlInfoList"][1]["params"]["not_ready"] == (
        "Project p2 is not ready: Unschedulable: 0/3 nodes"
    )
    assert len(values["smlInfoList"]) == 2
    assert values["jobinfo"]["isDone"] is True
    assert "smlInfoList" not in str(tenant.object("configmaps", f"symfed-job-{number}")["data"])

    listed = tenant.call("GET", "/jobs").json()["values"]["jobinfoList"]
    assert [job["jobId"] for job in listed] == [int(number), "p1"]
    assert listed[0] == values["jobinfo"]
    assert text_of(tenant.call("DELETE", f"/jobs/{number}")) == (200, "Job killed")
    for verb in ("GET", "DELETE"):
        assert text_of(tenant.call(verb, f"/jobs/{number}")) == (400, "No such job")
    assert tenant.names("configmaps") == []


def test_a_job_of_another_customer_is_none(new_tenant: NewTenant) -> None:
    one, two = new_tenant(), new_tenant()
    number = start_infos(one)
    assert text_of(two.call("GET", f"/jobs/{number}")) == (400, "No such job")


def test_a_job_whose_gateway_was_killed_fails_at_its_deadline(
    new_tenant: NewTenant, gateway: RunningGateway, control_plane: ControlPlane, nodes: Nodes, tmp_path: Path
) -> None:
    tenant = new_tenant()
    tenant.make_project("p1", nodes)
    nodes.may_answer.clear()
    try:
        with started_gateway(control_plane, nodes, tmp_path) as own:
            tenant.url = own.url
            number = start_infos(tenant)
            own.process.kill()
            own.process.wait(20)
    finally:
        nodes.may_answer.set()
    tenant.url = gateway.url
    running = tenant.call("GET", f"/jobs/{number}")
    assert text_of(running) == (202, "Job still running")
    assert running.json()["values"]["jobinfo"]["isDone"] is False
    assert text_of(tenant.call("DELETE", f"/jobs/{number}")) == (202, "Job cannot be killed")
    over = {"data": {"deadline": "2026-01-01T00:00:00+00:00", "started": "2026-01-01T00:00:00+00:00"}}
    tenant.api("PATCH", tenant.path("configmaps", f"symfed-job-{number}"), over).raise_for_status()
    failed = tenant.call("GET", f"/jobs/{number}")
    assert text_of(failed) == (500, "The gateway that did this job has ended; send the request again")
    assert failed.json()["values"]["jobinfo"]["isDone"] is True
    assert text_of(tenant.call("DELETE", f"/jobs/{number}")) == (200, "Job killed")


def test_the_oldest_jobs_make_room_for_new_ones(tenant: Tenant) -> None:
    first = start_infos(tenant)
    for _ in range(20):
        wait_until(partial(is_finished, tenant, first), "the job runs", 20)
        last = start_infos(tenant)
    assert text_of(tenant.call("GET", f"/jobs/{first}")) == (400, "No such job")
    assert len(tenant.names("configmaps")) == 20
    wait_until(partial(is_finished, tenant, last), "the job runs", 20)


def test_what_is_no_record_of_a_job_is_no_job(tenant: Tenant) -> None:
    labels = {"symfed.dev/job": "true"}
    for name in ("symfed-job-7", "mine"):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}}
        tenant.api("POST", tenant.path("configmaps"), body | {"data": {"a": "b"}}).raise_for_status()
    assert text_of(tenant.call("GET", "/jobs/7")) == (400, "No such job")
    assert tenant.call("GET", "/jobs").json()["values"] == {"jobinfoList": []}
    assert start_infos(tenant)
