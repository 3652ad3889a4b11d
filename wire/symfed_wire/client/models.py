"""Calls about models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from symfed_wire.client.calls import context, escaped, job_of, local
from symfed_wire.client.projects import ProjectCalls
from symfed_wire.client.results import Job, ModelInfo
from symfed_wire.client.results.base import part


class ModelCalls(ProjectCalls):
    """Build, read and delete models."""

    def build(
        self,
        pid: str,
        algo: str,
        model_id: str,
        target: str,
        inputs: Sequence[str] | None = None,
        *,
        use_local: bool = False,
        parameters: Mapping[str, JsonValue] | None = None,
    ) -> Job:
        """Start to build a model; without `inputs` from all attributes but the target."""
        if inputs is None:
            inputs = [name for name in self.project(pid).attribute_names if name != target]
        query = {"algo": algo, "modelid": model_id} | local(use_local)
        call = f"/projects/{escaped(pid)}/build"
        return job_of(self._send("POST", call, query, context(inputs, [target], parameters)), call)

    def model(self, pid: str, model_id: str, *, use_local: bool = False) -> ModelInfo:
        """A built model."""
        call = f"/projects/{escaped(pid)}/models/{escaped(model_id)}"
        return part(self._send("GET", call, local(use_local)).values, "modelInfo", ModelInfo, call)

    def delete_model(self, pid: str, model_id: str, *, use_local: bool = False) -> None:
        """Delete a model."""
        self._send("DELETE", f"/projects/{escaped(pid)}/models/{escaped(model_id)}", local(use_local))
