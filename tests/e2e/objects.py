"""What end-to-end tests ask the cluster, and how they wait for it."""

from collections.abc import Callable
from typing import Any

from tests.cluster import kubectl
from tests.cluster.console import eventually

NAMESPACE = "customer-1"  # of the first of the two customers that `make up` makes
SECONDS = 120.0


def peer(name: str, **spec: Any) -> dict[str, Any]:
    """A FederationPeer of the first customer; a plain project unless `spec` names a federation."""
    return {
        "apiVersion": "symfed.dev/v1alpha1",
        "kind": "FederationPeer",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"project": name, "deletionPolicy": "Delete", **spec},
    }


def delete_peers(*names: str) -> None:
    """Remove them with all they made; kubectl waits until they are gone."""
    kubectl.kubectl(
        "delete", "federationpeer", *names, f"--namespace={NAMESPACE}", "--ignore-not-found", "--timeout=120s"
    )


def condition(name: str, type_: str) -> dict[str, str]:
    """One condition of a FederationPeer; empty while there is none."""
    found = kubectl.get("federationpeer", name, f"--namespace={NAMESPACE}") or {}
    conditions: list[dict[str, str]] = found.get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == type_), {})


def pod(name: str) -> dict[str, Any]:
    """The pod of a peer's node; empty while there is none."""
    return kubectl.get("pod", f"{name}-0", f"--namespace={NAMESPACE}") or {}


def wait_condition(name: str, type_: str, status: str, reason: str) -> dict[str, str]:
    """Wait until a peer's condition has this status and reason. Raises ClusterError with what was seen."""

    def look() -> str | None:
        seen = condition(name, type_)
        return None if (seen.get("status"), seen.get("reason")) == (status, reason) else f"{seen}"

    eventually(f"{name}: {type_}={status} {reason}", SECONDS, look)
    return condition(name, type_)


def wait_for(what: str, is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    eventually(what, SECONDS, lambda: None if is_so() else "it is not")
