"""The demo's flow on pods, and what a user then sees in the cluster."""

import json
import subprocess
import sys
from typing import Any

import pytest
from examples.demo.flow import Surroundings

from tests.cluster.gobuild import program


@pytest.fixture(scope="module")
def demo(cluster: Surroundings) -> str:
    """The demo's output; the projects it made are still there."""
    done = subprocess.run(
        [sys.executable, "-m", "examples.demo"], capture_output=True, text=True, check=False
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


def test_the_demo_proves_that_every_peer_has_the_pooled_model(demo: str) -> None:
    assert demo.count("equal as bytes") == 2, "once of three peers, once of the two that stay"
    assert "NOT equal" not in demo
    assert "statsmodels" in demo


def test_the_peers_that_stay_are_ready_pods_of_their_customers(demo: str) -> None:
    peers = {
        (peer["metadata"]["namespace"], peer["spec"].get("project")): _conditions(peer)
        for peer in _items("federationpeers")
        if "project" in peer["spec"]
    }
    for project in ("north", "south"):
        (conditions,) = [found for (_, name), found in peers.items() if name == project]
        assert conditions["Ready"] == "True", f"{project}: {conditions}"
        assert conditions["Exchanging"] == "True", f"{project}: {conditions}"


def test_the_removed_peer_runs_and_is_told(demo: str) -> None:
    (west,) = [peer for peer in _items("federationpeers") if peer["spec"].get("project") == "west"]
    assert _conditions(west)["Joined"] == "False"
    assert _conditions(west)["NodeReady"] == "True"
    assert "west is told (Joined=False Removed) and keeps its own 45 rows" in demo


def test_the_federation_counts_the_members_that_stay(demo: str) -> None:
    (federation,) = [f for f in _items("federations") if f["spec"]["name"] == "iris"]
    assert federation["status"]["members"] == 2
    assert _conditions(federation)["Ready"] == "True"


def test_a_node_runs_without_rights_it_does_not_need(demo: str) -> None:
    nodes = [
        pod
        for pod in _items("pods")
        if pod["metadata"]["labels"].get("app.kubernetes.io/managed-by") == "symfed-operator"
    ]
    assert len(nodes) >= 3
    for pod in nodes:
        (container,) = pod["spec"]["containers"]
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"]
        assert not security["allowPrivilegeEscalation"]
        assert security["capabilities"]["drop"] == ["ALL"]
        assert pod["spec"]["securityContext"]["runAsNonRoot"]


def test_a_node_may_read_only_its_own_peer(demo: str) -> None:
    (south,) = [p for p in _items("federationpeers") if p["spec"].get("project") == "south"]
    namespace = south["metadata"]["namespace"]
    account = f"system:serviceaccount:{namespace}:south-node"

    def may(*words: str) -> bool:
        answer = _kubectl("auth", "can-i", *words, f"--as={account}", f"--namespace={namespace}", check=False)
        return answer.strip() == "yes"

    assert may("get", "federationpeers.symfed.dev/south")
    assert not may("get", "federationpeers.symfed.dev/west")
    assert not may("list", "federationpeers.symfed.dev")
    assert not may("get", "secrets/symfed-customer")


def _items(kind: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(_kubectl("get", kind, "--all-namespaces", "--output=json"))[
        "items"
    ]
    return items


def _conditions(item: dict[str, Any]) -> dict[str, str]:
    return {c["type"]: c["status"] for c in item.get("status", {}).get("conditions", [])}


def _kubectl(*arguments: str, check: bool = True) -> str:
    done = subprocess.run([program("kubectl"), *arguments], capture_output=True, text=True, check=check)
    return done.stdout
