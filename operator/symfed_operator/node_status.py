"""`NodeReady`: what a peer's StatefulSet and pod say. Pure."""

from collections.abc import Mapping, Sequence

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from symfed_operator.conditions import false, true
from symfed_wire.documents import WireModel
from symfed_wire.errors import SymfedError
from symfed_wire.kube import JsonObject
from symfed_wire.resources import Condition


class _Kubernetes(WireModel):
    """camelCase on the wire, unknown fields ignored."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class _State(_Kubernetes):
    reason: str = ""
    message: str = ""
    exit_code: int = 0


class _ContainerStatus(_Kubernetes):
    ready: bool = False
    restart_count: int = 0
    state: Mapping[str, _State] = {}
    last_state: Mapping[str, _State] = {}


class _PodCondition(_Kubernetes):
    type: str
    status: str
    reason: str = ""
    message: str = ""


class _PodStatus(_Kubernetes):
    phase: str = "Pending"
    conditions: tuple[_PodCondition, ...] = ()
    container_statuses: tuple[_ContainerStatus, ...] = ()

    def condition(self, name: str) -> _PodCondition | None:
        return next((condition for condition in self.conditions if condition.type == name), None)


class _Pod(_Kubernetes):
    status: _PodStatus = _PodStatus()


class _StatefulSetStatus(_Kubernetes):
    ready_replicas: int = 0


class _StatefulSet(_Kubernetes):
    status: _StatefulSetStatus = _StatefulSetStatus()


class _Event(_Kubernetes):
    reason: str = ""
    message: str = ""
    last_timestamp: str | None = None
    event_time: str | None = None

    @property
    def time(self) -> str:
        return self.last_timestamp or self.event_time or ""


def node_ready(
    stateful_set: JsonObject | None, pod: JsonObject | None, failures: Sequence[JsonObject] = ()
) -> Condition:
    """The condition `NodeReady`, with the pod's own reason while it does not run.

    `failures` are the Events `FailedCreate` of the StatefulSet: why the API server takes no pod of it.
    """
    if stateful_set is None:
        return false("NodeReady", "NotStarted", "the node starts when the peer has been granted its place")
    if pod is None:
        is_ready = _StatefulSet.model_validate(stateful_set).status.ready_replicas > 0
        if is_ready:
            return true("NodeReady", "Ready")
        events = [_Event.model_validate(failure) for failure in failures]
        last = max(
            events, key=lambda event: event.time, default=_Event(reason="Starting", message="no pod yet")
        )
        return false("NodeReady", last.reason, last.message)
    status = _Pod.model_validate(pod).status
    ready = status.condition("Ready")
    if ready is not None and ready.status == "True":
        return true("NodeReady", "Ready")
    reason, message = _pending_reason(status)
    return false("NodeReady", reason, message)


def volume_not_resized(node: Condition, size: int | str, refusal: SymfedError) -> Condition:
    """`NodeReady` when the volume claim cannot become as large as `spec.storage.size` says."""
    text = (
        f"spec.storage.size is {size}, but the volume claim stays as it is: {refusal}; "
        "set allowVolumeExpansion on its StorageClass"
    )
    if node.status != "True":
        text = f"{text}; the node: {node.reason}: {node.message}"
    return false("NodeReady", "VolumeNotResized", text)


def _pending_reason(status: _PodStatus) -> tuple[str, str]:
    scheduled = status.condition("PodScheduled")
    if scheduled is not None and scheduled.status == "False":
        return scheduled.reason or "Unschedulable", scheduled.message
    for container in status.container_statuses:
        waiting = container.state.get("waiting")
        if waiting is not None and waiting.reason not in ("", "ContainerCreating", "PodInitializing"):
            return waiting.reason, waiting.message + _last_end(container)
        ended = container.state.get("terminated")
        if ended is not None:
            return ended.reason or "Terminated", f"exit code {ended.exit_code} {ended.message}".strip()
    return "Starting", f"the pod is {status.phase}"


def _last_end(container: _ContainerStatus) -> str:
    ended = container.last_state.get("terminated")
    if ended is None:
        return ""
    said = f", saying {ended.message}" if ended.message else ""
    return f" (restarts: {container.restart_count}; last exit code {ended.exit_code}{said})"
