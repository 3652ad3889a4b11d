"""The command line as a user calls it, against all parts; and what it says of a node that cannot start."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.gateway import Tenant
from tests.integration.line import Line
from tests.integration.servers import wait_until

SCRIPT = str(Path(sys.executable).parent / "symfed")
ROOT = Path(__file__).parents[2]
Symfed = Callable[..., str]


def symfed(
    url: str,
    customer: str,
    secret_key: str,
    home: Path,
    status: int = 0,
    more: Mapping[str, str] | None = None,
) -> Symfed:
    """The command, called by one customer; it must end with `status`, or anyhow if that is None."""
    variables = {"SYMFED_URL": url, "SYMFED_CUSTOMER": customer, "SYMFED_SECRET_KEY": secret_key}
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], **variables, **(more or {})}

    def call(*arguments: str, stdin: str = "", status: int | None = status) -> str:
        done = subprocess.run(
            [SCRIPT, *arguments],
            env=environment,
            cwd=ROOT,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert status in (None, done.returncode), f"symfed {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    return call


def parsed(text: str) -> Any:
    """The JSON that a command printed."""
    return json.loads(text)


def test_two_customers_go_through_the_readme(line: Line, tmp_path: Path) -> None:
    first, second = line.new_customer("cli-1"), line.new_customer("cli-2")
    here = symfed(line.url, first.name, first.secret_key, tmp_path)
    there = symfed(line.url, second.name, second.secret_key, tmp_path)

    here("create", "hospital-a", "--name", "study", "--schedule", "m1", "--nats", line.nats)
    invitation = here("invite", "hospital-a", "--password", "s3cret-for-b")
    there("join", "-", "--password", "s3cret-for-b", "--project", "hospital-b", stdin=invitation)
    assert "is not in the sum" in here("status", status=1)
    assert here("learn", "hospital-a", "examples/visits-a.csv", "--ignore", "name") == "40 rows learnt\n"
    assert there("learn", "hospital-b", "examples/visits-b.csv", "--ignore", "name") == "60 rows learnt\n"
    sums = parsed(here("sync", "hospital-a", "--wait", "--peers", "2", "--rows", "100", "-o", "json"))
    assert sums["merged"]["rows"] == 100
    there("sync", "hospital-b", "--wait", "--peers", "2", "--rows", "100")
    assert "all is well" in here("status", "hospital-a")

    [described] = parsed(here("projects", "--long", "-o", "json"))
    assert described["attribute_names"] == ["weight", "height", "age"]

    [age] = parsed(here("explore", "hospital-a", "age", "-o", "json"))
    assert age["count"] == 100
    histogram = parsed(here("density", "hospital-a", "age", "--bins", "5", "-o", "json"))["histogram"]
    assert (len(histogram), sum(histogram)) == (5, pytest.approx(100))

    here("build", "hospital-a", "--model", "risk", "--target", "age", "--inputs", "weight,height")
    assert parsed(here("model", "hospital-a", "risk", "-o", "json"))["rows"] == 100
    rows = here("predict", "hospital-a", "risk", "examples/visits-b.csv").splitlines()
    assert rows[0] == "name,weight,height,age,prediction"
    assert len(rows) == 61
    assert "mlr risk" in [job["details"] for job in parsed(here("jobs", "-o", "json"))]

    here("schedule", "hospital-a", "h3")
    assert parsed(here("info", "hospital-a", "-o", "json"))["federation"]["sync_sched"] == "h3"
    assert "only the admin" in there("schedule", "hospital-b", "h3", status=1)
    there("pulse", "hospital-b", "stop")
    wait_until(
        lambda: "Exchanging is False: Paused" in there("status", status=None),
        "status says nothing of the pause",
    )
    there("allow-explore", "hospital-b", "on")
    federation = parsed(there("info", "hospital-b", "-o", "json"))["federation"]
    assert (federation["is_pulsing"], federation["allow_peers_explore"]) == (False, True)
    assert "published epoch 1: 40 rows" in here("log", "hospital-a")
    here("errors", "hospital-a", "--clear")
    assert here("forget", "hospital-a", "examples/visits-a.csv", "--ignore", "name") == "40 rows forgotten\n"

    there("delete", "hospital-b", "--yes")
    assert there("projects") == ""


@pytest.mark.parametrize("command", [("info", "p1"), ("status", "p1")])
def test_a_node_that_cannot_start_is_a_state_and_told_at_once(
    tenant: Tenant, tmp_path: Path, command: tuple[str, ...]
) -> None:
    assert tenant.create().status_code == 201
    why = "0/1 nodes are available: 1 Insufficient memory"
    tenant.set_condition("federationpeers", "p1", "NodeReady", "False", "Unschedulable", why)
    call = symfed(tenant.url, tenant.id, tenant.secret_key, tmp_path)
    text = call(*command, status=0 if command[0] == "info" else 1)
    assert f"not ready: Unschedulable: {why}" in text
