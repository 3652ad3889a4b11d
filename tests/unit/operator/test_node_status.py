"""`NodeReady` out of what StatefulSets and pods say."""

import pytest

from symfed_operator.node_status import node_ready, volume_not_resized
from symfed_wire.kube import JsonObject
from symfed_wire.kube_errors import ForbiddenError

SET: JsonObject = {"status": {"replicas": 1}}


def _container(**state: JsonObject) -> JsonObject:
    return {"status": {"containerStatuses": [{"name": "node", "ready": False, "restartCount": 3, **state}]}}


PODS: dict[str, tuple[JsonObject, str, str]] = {
    "unschedulable": (
        {
            "status": {
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "no gpu",
                    }
                ]
            }
        },
        "Unschedulable",
        "no gpu",
    ),
    "image": (
        _container(state={"waiting": {"reason": "ImagePullBackOff", "message": "back-off"}}),
        "ImagePullBackOff",
        "back-off",
    ),
    "crash": (
        _container(
            state={"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
            lastState={"terminated": {"exitCode": 1, "reason": "Error", "message": "no seed"}},
        ),
        "CrashLoopBackOff",
        "back-off (restarts: 3; last exit code 1, saying no seed)",
    ),
    "ended": (
        _container(state={"terminated": {"exitCode": 137, "reason": "OOMKilled"}}),
        "OOMKilled",
        "exit code 137",
    ),
    "creating": (
        _container(state={"waiting": {"reason": "ContainerCreating"}}),
        "Starting",
        "the pod is Pending",
    ),
    "running": ({"status": {"phase": "Running"}}, "Starting", "the pod is Running"),
}


@pytest.mark.parametrize("case", PODS)
def test_a_pending_pod_says_why(case: str) -> None:
    pod, reason, message = PODS[case]
    condition = node_ready(SET, pod)
    assert (condition.status, condition.reason, condition.message) == ("False", reason, message)


def test_ready() -> None:
    pod: JsonObject = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert node_ready(SET, pod).status == "True"
    assert node_ready({"status": {"readyReplicas": 1}}, None).status == "True"


def test_without_objects() -> None:
    assert node_ready(SET, None).reason == "Starting"
    assert node_ready(None, None).reason == "NotStarted"


def test_a_claim_that_cannot_grow_hides_no_trouble_of_the_pod() -> None:
    refusal = ForbiddenError("only dynamically provisioned pvc can be resized")
    running = volume_not_resized(node_ready({"status": {"readyReplicas": 1}}, None), "2Gi", refusal)
    assert (running.status, running.reason) == ("False", "VolumeNotResized")
    assert "2Gi" in running.message
    assert str(refusal) in running.message
    assert "allowVolumeExpansion" in running.message
    pending = volume_not_resized(node_ready({}, PODS["unschedulable"][0]), "2Gi", refusal)
    assert pending.message == f"{running.message}; the node: Unschedulable: no gpu"


def test_a_pod_that_the_api_server_refuses_is_told_with_its_reason() -> None:
    failures: list[JsonObject] = [
        {
            "reason": "FailedCreate",
            "message": "no RuntimeClass nvidia",
            "lastTimestamp": "2026-01-02T00:00:00Z",
        },
        {"reason": "FailedCreate", "message": "older", "lastTimestamp": "2026-01-01T00:00:00Z"},
    ]
    condition = node_ready(SET, None, failures)
    assert (condition.reason, condition.message) == ("FailedCreate", "no RuntimeClass nvidia")
