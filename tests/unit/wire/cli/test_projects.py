"""info, projects, delete, log, errors, jobs."""

import json

import pytest
from tests.unit.wire.cli.stub import KEY, Gateway, Values, error_of, printed, run

from symfed_wire.bodies import seal_body


def test_info_prints_project_and_federation(gateway: Gateway) -> None:
    sealed = seal_body(json.dumps({"fed_name": "study", "peersInfo": {"u": "b"}}), KEY)
    gateway.on("GET /projects/p/info", values={"smlInfo": {"pid": "p", "modelsList": ["m"]}})
    gateway.on("GET /fedml/p/info", values={"fedInfoEncrypted": sealed})
    assert "study" in run("info", "p").stdout
    gateway.on("GET /fedml/p/info", 400, "no federation")
    assert json.loads(run("info", "p", "-o", "json").stdout)["federation"] is None


def test_info_says_what_the_node_computes_on(gateway: Gateway) -> None:
    info: Values = {"pid": "p", "params": {"fed_computes_on": "numpy 2.4.6: this is a cpu node"}}
    gateway.on("GET /projects/p/info", values={"smlInfo": info})
    gateway.on("GET /fedml/p/info", 400, "no federation")
    assert "numpy 2.4.6: this is a cpu node" in printed(run("info", "p"))


def test_projects_prints_one_a_line(gateway: Gateway) -> None:
    gateway.on("GET /projects/list", values={"stringList": {"values": ["a", "b"]}})
    assert run("projects").stdout == "a\nb\n"
    assert json.loads(run("projects", "-o", "json").stdout) == ["a", "b"]


def test_delete_asks_for_yes_where_nobody_can_answer(gateway: Gateway) -> None:
    assert "needs --yes" in error_of(run("delete", "p"), status=2)
    gateway.on("DELETE /projects/p")
    assert run("delete", "p", "--yes").stdout == "deleted project p and all it has learnt\n"
    gateway.on("DELETE /projects/p/models/m")
    assert run("delete", "p", "--model", "m", "--yes").stdout == "deleted model m of p\n"


def test_info_says_at_once_why_a_project_is_not_ready(gateway: Gateway) -> None:
    sealed = seal_body(json.dumps({"fed_name": "study", "sync_sched": "h1", "is_pulsing": True}), KEY)
    why = "Unschedulable: 0/1 nodes are available"
    gateway.on("GET /projects/p/info", 503, f"Project p is not ready: {why}")
    gateway.on("GET /fedml/p/info", values={"fedInfoEncrypted": sealed})
    text = printed(run("--patience", "100", "info", "p"))
    assert f"not ready: {why}" in text
    assert "study" in text
    found = json.loads(printed(run("info", "p", "-o", "json")))
    assert (found["pid"], found["ready"], found["why"], found["project"]) == ("p", False, why, None)
    assert gateway.calls.count("GET /projects/p/info") == 2


def test_info_of_a_cluster_that_cannot_answer_is_an_error(gateway: Gateway) -> None:
    gateway.on("GET /projects/p/info", 503, "The cluster cannot serve this at the moment")
    assert "try again in a moment" in error_of(run("info", "p"))


def test_info_of_no_project_is_an_error(gateway: Gateway) -> None:
    gateway.on("GET /projects/p/info", 400, "Cannot Find SYMETRYML id[p] for Customer id [c1]")
    assert "Cannot Find SYMETRYML id[p]" in error_of(run("info", "p"))


def test_projects_long_is_a_table_from_the_job(gateway: Gateway) -> None:
    described: Values = {"pid": "a", "type": "cpu", "attributeNames": ["x", "y"], "params": {"rows": 12}}
    gateway.on("GET /projects/info", 202, "Job Created")
    gateway.on("GET /jobs/7", text="Job is finished", values={"smlInfoList": {"values": [described]}})
    assert [line.split() for line in printed(run("projects", "--long")).splitlines()[-1:]] == [
        ["a", "cpu", "12", "2"]
    ]
    assert json.loads(printed(run("projects", "-l", "-o", "json")))[0]["attribute_names"] == ["x", "y"]


def test_projects_long_says_which_project_is_not_ready(gateway: Gateway) -> None:
    why = "Project b is not ready: Unschedulable: 0/1 nodes are available"
    waiting: Values = {"pid": "b", "type": "cpu", "params": {"not_ready": why}}
    gateway.on("GET /projects/info", 202, "Job Created")
    gateway.on("GET /jobs/7", text="Job is finished", values={"smlInfoList": [waiting]})
    result = run("projects", "--long")
    assert printed(result).splitlines()[-1].split() == ["b", "cpu"]
    assert result.stderr == f"{why}\n"


def test_delete_of_a_local_project_needs_a_model(gateway: Gateway) -> None:
    assert "needs --model" in error_of(run("delete", "p", "--local", "--yes"), status=2)
    assert gateway.calls == []


@pytest.mark.parametrize(("command", "path"), [("log", "getSyncLog"), ("errors", "getErrorLog")])
def test_a_log_is_printed_line_by_line(gateway: Gateway, command: str, path: str) -> None:
    gateway.on(f"GET /fedml/p/{path}", values={"stringList": {"values": ["[1] first", "second"]}})
    assert printed(run(command, "p")) == "[1] first\nsecond\n"
    assert json.loads(printed(run(command, "p", "-o", "json"))) == ["[1] first", "second"]
    gateway.on(f"GET /fedml/p/{path}", values={"stringList": {"values": []}})
    assert run(command, "p").stderr.startswith("p has ")


def test_errors_are_cleared(gateway: Gateway) -> None:
    gateway.on("DELETE /fedml/p/clearErrorLog")
    assert printed(run("errors", "p", "--clear")) == "the errors of p are cleared\n"


def test_log_of_a_plain_project_is_refused_in_the_nodes_words(gateway: Gateway) -> None:
    gateway.on("GET /fedml/p/getSyncLog", 400, "project [p] belongs to no federation")
    assert error_of(run("log", "p")).endswith("project [p] belongs to no federation")


def test_jobs_are_listed(gateway: Gateway) -> None:
    job: Values = {
        "jobId": 1099511627776,
        "jobType": "build",
        "details": "mlr m",
        "startingDate": 1_700_000_000_000,
        "current": 0,
        "maximum": 1,
        "isDone": False,
    }
    gateway.on("GET /jobs", values={"jobinfoList": [job]})
    row = printed(run("jobs")).splitlines()[-1].split()
    assert row == ["1099511627776", "build", "mlr", "m", "2023-11-14", "22:13:20Z", "0/1", "running"]
    assert json.loads(printed(run("jobs", "-o", "json")))[0]["job_id"] == 1099511627776
    gateway.on("GET /jobs")
    assert run("jobs").stderr == "there are no jobs\n"


def test_a_job_is_deleted_or_said_to_run(gateway: Gateway) -> None:
    gateway.on("DELETE /jobs/7")
    assert printed(run("jobs", "--delete", "7")) == "deleted job 7\n"
    gateway.on("DELETE /jobs/7", 202, "Job cannot be killed")
    assert "job 7 runs and cannot be stopped" in error_of(run("jobs", "--delete", "7"))
    gateway.on("DELETE /jobs/7", 400, "No such job")
    assert error_of(run("jobs", "--delete", "7")) == "DELETE /jobs/7: 400 No such job"


def test_a_job_is_waited_for(gateway: Gateway) -> None:
    gateway.on("GET /jobs/7", 202, "Job still running")
    assert "job 7 still runs after 0 s" in error_of(run("jobs", "--wait", "7", "--deadline", "0"))
    gateway.on("GET /jobs/7", text="Job is finished")
    assert printed(run("jobs", "--wait", "7")) == "job 7 is finished\n"
    assert "not possible at once" in error_of(run("jobs", "--wait", "7", "--delete", "7"), status=2)
