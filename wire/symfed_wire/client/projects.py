"""Calls about projects."""

from __future__ import annotations

from typing import Literal

from symfed_wire.client.calls import escaped, flag, job_of
from symfed_wire.client.http import ApiError
from symfed_wire.client.jobs import JobCalls
from symfed_wire.client.results import ProjectInfo
from symfed_wire.client.results.base import part, parts
from symfed_wire.frames import parse_strings


class ProjectCalls(JobCalls):
    """List, describe, create and delete projects."""

    def projects(self) -> list[str]:
        """The ids of the customer's projects."""
        call = "/projects/list"
        return list(parse_strings(self._send("GET", call).values.get("stringList")).values)

    def project(self, pid: str) -> ProjectInfo:
        """A project's attributes and models."""
        call = f"/projects/{escaped(pid)}/info"
        return part(self._send("GET", call).values, "smlInfo", ProjectInfo, call)

    def describe_projects(self, deadline: float = 60.0) -> list[ProjectInfo]:
        """All projects with their attributes and models. Raises DeadlineError."""
        call = "/projects/info"
        return parts(
            self.wait(job_of(self._send("GET", call), call), deadline), "smlInfoList", ProjectInfo, call
        )

    def create_project(self, pid: str, kind: Literal["cpu", "gpu"] = "cpu", *, persist: bool = True) -> None:
        """Create a plain project that belongs to no federation."""
        self._send("POST", "/projects", {"pid": pid, "type": kind, "persist": flag(persist)}, {})

    def delete(self, pid: str) -> None:
        """Delete a project with its statistics; as a peer it leaves its federation."""
        try:
            self._send("DELETE", f"/projects/{escaped(pid)}")
        except ApiError as error:
            # A deletion that takes longer than the gateway waits may end before the call is repeated.
            if not (error.is_repeat and error.is_about_no_project):
                raise
