"""Asking and telling the cluster through kubectl, as whoever stands in `.symfed/kubeconfig`."""

import json
from typing import Any

import yaml

from tests.cluster.console import run
from tests.cluster.gobuild import program
from tests.cluster.layout import HANDOVER

KUBECONFIG = HANDOVER / "kubeconfig"


def kubectl(*words: str, stdin: str | None = None) -> str:
    """Runs kubectl and answers its output."""
    return run([program("kubectl"), f"--kubeconfig={KUBECONFIG}", *words], stdin=stdin)


def get(*words: str) -> dict[str, Any] | None:
    """The object or list, None when there is no such object."""
    answer = kubectl("get", *words, "--ignore-not-found", "--output=json")
    found: dict[str, Any] | None = json.loads(answer) if answer.strip() else None
    return found


def items(*words: str) -> list[dict[str, Any]]:
    """The objects of a list."""
    found = get(*words)
    listed: list[dict[str, Any]] = found["items"] if found else []
    return listed


def apply(*objects: dict[str, Any]) -> None:
    """Server-side apply of objects."""
    kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=yaml.safe_dump_all(objects))
