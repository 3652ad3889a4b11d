"""gpu peers on a node that offers one GPU: the real scheduler places them, and the peer says why one waits.

The scheduler believes a node's status, so an extended resource written there needs no GPU.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from examples.demo.flow import Surroundings

from tests.cluster import kubectl
from tests.cluster.console import eventually
from tests.e2e import objects

RESOURCE = "nvidia.com/gpu"
_CAPACITY = f"/status/capacity/{RESOURCE.replace('/', '~1')}"
LABEL = "symfed.dev/accelerator"
TAINT = f"{RESOURCE}=present:NoSchedule"
RUNTIME_CLASS = {
    "apiVersion": "node.k8s.io/v1",
    "kind": "RuntimeClass",
    "metadata": {"name": "symfed-gpu"},
    "handler": "runc",  # every containerd has it under this name
}
POD_TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"team": "genomics"}, "annotations": {"example.org/cost-centre": "42"}},
    "spec": {
        "runtimeClassName": "symfed-gpu",
        "tolerations": [{"key": RESOURCE, "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": LABEL, "operator": "In", "values": ["h100"]}]}
                    ]
                }
            }
        },
    },
}
GPU: dict[str, Any] = {"compute": {"type": "gpu"}, "podTemplate": POD_TEMPLATE}


@pytest.fixture(scope="module")
def node(cluster: Surroundings) -> Iterator[str]:
    """The cluster's node with one GPU, and a taint that keeps everybody else's new pods away."""
    (item, *_) = kubectl.items("nodes")
    name: str = item["metadata"]["name"]
    kubectl.apply(RUNTIME_CLASS)
    kubectl.kubectl("label", "node", name, f"{LABEL}=h100", "--overwrite")
    kubectl.kubectl("taint", "node", name, TAINT, "--overwrite")
    _offer(name)
    yield name
    objects.delete_peers("gpu-1", "gpu-2", "no-toleration")
    _patch_status(name, {"op": "remove", "path": _CAPACITY})
    kubectl.kubectl("taint", "node", name, f"{TAINT}-")
    kubectl.kubectl("label", "node", name, f"{LABEL}-")
    kubectl.kubectl("delete", "runtimeclass", "symfed-gpu")


@pytest.fixture(scope="module")
def running(node: str) -> dict[str, Any]:
    """The pod of the peer that got the GPU."""
    kubectl.apply(objects.peer("gpu-1", **GPU))
    objects.wait_condition("gpu-1", "NodeReady", "True", "Ready")
    return objects.pod("gpu-1")


@pytest.fixture(scope="module")
def waiting(running: dict[str, Any]) -> dict[str, str]:
    """`NodeReady` of the peer for which no GPU is left."""
    kubectl.apply(objects.peer("gpu-2", **GPU))
    return objects.wait_condition("gpu-2", "NodeReady", "False", "Unschedulable")


def test_a_gpu_peer_is_placed_where_the_gpu_is(node: str, running: dict[str, Any]) -> None:
    assert running["spec"]["nodeName"] == node
    (container,) = running["spec"]["containers"]
    assert container["resources"]["limits"][RESOURCE] == "1"


def test_the_pod_template_reaches_the_pod(running: dict[str, Any]) -> None:
    spec, wanted = running["spec"], POD_TEMPLATE["spec"]
    assert spec["runtimeClassName"] == "symfed-gpu"
    assert wanted["tolerations"][0] in spec["tolerations"]
    assert spec["affinity"] == wanted["affinity"]
    assert running["metadata"]["labels"]["team"] == "genomics"
    assert running["metadata"]["annotations"]["example.org/cost-centre"] == "42"


def test_a_second_gpu_peer_waits_and_says_for_what(waiting: dict[str, str]) -> None:
    assert f"Insufficient {RESOURCE}" in waiting["message"]


def test_info_tells_at_once_why_a_peer_waits(cluster: Surroundings, waiting: dict[str, str]) -> None:
    told = _symfed(cluster, "info", "gpu-2")
    assert "Unschedulable" in told
    assert f"Insufficient {RESOURCE}" in " ".join(told.split())


def test_the_node_says_what_it_computes_on(running: dict[str, Any]) -> None:
    log = kubectl.kubectl("logs", "gpu-1-0", f"--namespace={objects.NAMESPACE}")
    assert "computing with numpy" in log
    assert "cupy" in log, "a gpu node without cupy says so"


def test_without_its_toleration_a_peer_is_kept_away(running: dict[str, Any]) -> None:
    kubectl.apply(objects.peer("no-toleration"))
    told = objects.wait_condition("no-toleration", "NodeReady", "False", "Unschedulable")
    assert "untolerated taint" in told["message"]


def test_the_one_that_waits_gets_the_gpu_that_is_freed(waiting: dict[str, str]) -> None:
    objects.delete_peers("gpu-1")
    objects.wait_condition("gpu-2", "NodeReady", "True", "Ready")


def _symfed(cluster: Surroundings, *words: str) -> str:
    """The output of the CLI for the first customer; a peer that waits must not make it wait."""
    customer = cluster.customers[0]
    environment = {
        "SYMFED_URL": cluster.url,
        "SYMFED_CUSTOMER": customer.name,
        "SYMFED_SECRET_KEY": customer.secret_key,
        "PATH": "/usr/bin:/bin",
    }
    program = Path(sys.executable).parent / "symfed"
    done = subprocess.run(
        [program, *words], env=environment, capture_output=True, text=True, check=False, timeout=20
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _offer(node: str) -> None:
    """Write the extended resource into the node's status, and wait until it can be asked for."""
    _patch_status(node, {"op": "add", "path": _CAPACITY, "value": "1"})

    def look() -> str | None:
        found = kubectl.get("node", node) or {}
        allocatable = found["status"]["allocatable"]
        return None if allocatable.get(RESOURCE) == "1" else f"allocatable: {allocatable}"

    eventually(f"node {node} offers {RESOURCE}", objects.SECONDS, look)


def _patch_status(node: str, change: dict[str, str]) -> None:
    patch = f"--patch={json.dumps([change])}"
    kubectl.kubectl("patch", "node", node, "--subresource=status", "--type=json", patch)
