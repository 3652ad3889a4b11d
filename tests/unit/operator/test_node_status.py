"""`NodeReady` out of what StatefulSets and pods say."""

import pytest

from symfed_operator.node_status import node_ready
from symfed_wire.kube import JsonObject

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
