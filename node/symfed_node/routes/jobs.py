"""Routes of jobs."""

from http import HTTPStatus

from pydantic import JsonValue
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from symfed_node.answers import Values
from symfed_node.errors import NoSuchJobError
from symfed_node.jobs import State
from symfed_node.responses import answer, job_failed
from symfed_node.routes.base import Node


class JobRoutes:
    """Asking for jobs and forgetting them."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.routes = [
            Route("/jobs", self.list_jobs),
            Route("/jobs/{number}", self.job),
            Route("/jobs/{number}", self.delete_job, methods=["DELETE"]),
        ]

    async def list_jobs(self, request: Request) -> Response:
        """Every job of this node."""
        infos: list[JsonValue] = [job.info(self._owner) for job in self._node.jobs.all()]
        return answer(HTTPStatus.OK, values={"jobinfoList": infos})

    async def job(self, request: Request) -> Response:
        """Where a job stands; a failed one answers as its request would have."""
        job = self._node.jobs.get(_job_number(request))
        info: Values = {"jobinfo": job.info(self._owner)}
        if job.state is State.RUNNING:
            return answer(HTTPStatus.ACCEPTED, "Job still running", info)
        if job.state is State.FAILED:
            return job_failed(job, info)
        return answer(HTTPStatus.OK, "Job is finished", {**info, **job.values})

    async def delete_job(self, request: Request) -> Response:
        """Forget a job that is finished."""
        is_gone = self._node.jobs.delete(_job_number(request))
        if is_gone:
            return answer(HTTPStatus.OK, "Job killed")
        return answer(HTTPStatus.ACCEPTED, "Job cannot be killed")

    @property
    def _owner(self) -> str:
        return self._node.config.customer


def _job_number(request: Request) -> int:
    text = request.path_params["number"]
    if not (text.isascii() and text.isdigit()):
        raise NoSuchJobError
    return int(text[:20])
