"""Routes that change what the project holds."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from symfed_node.answers import Values
from symfed_node.learnt import Answer, Op
from symfed_node.responses import answer, job_created
from symfed_node.routes.base import PROJECT, Node, flag
from symfed_wire.errors import MalformedError
from symfed_wire.frames import DataFrame, parse_frame

Change: TypeAlias = Callable[[Callable[[], DataFrame], str], Answer]

_REQUEST_ID_LENGTH: Final = 64
_COUNTED: Final[dict[Op, str]] = {"learn": "learned", "forget": "forgotten"}


class RowRoutes:
    """Learning and forgetting."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.routes = [
            Route(f"{PROJECT}/learn", self.learn, methods=["POST"]),
            Route(f"{PROJECT}/forget", self.forget, methods=["POST"]),
        ]

    async def learn(self, request: Request) -> Response:
        """Add a DataFrame's rows."""
        return await self._change(request, "learn", self._node.project.learn)

    async def forget(self, request: Request) -> Response:
        """Take a DataFrame's rows out again."""
        return await self._change(request, "forget", self._node.project.forget)

    async def _change(self, request: Request, op: Op, change: Change) -> Response:
        """At once, or with `async=true` as a job, which then tells what is wrong with the rows."""
        self._node.check_project(request)
        request_id, is_job = _request_id(request), flag(request, "async")
        body = await self._node.body(request)

        def work() -> Values:
            done = change(lambda: parse_frame(body), request_id)
            return {_COUNTED[op]: done.rows, "skipped": done.skipped}

        if is_job:
            return job_created(self._node.jobs.start(op, f"{len(body)} bytes", work))
        return answer(HTTPStatus.OK, values=await asyncio.to_thread(work))


def _request_id(request: Request) -> str:
    request_id = request.headers.get("sym-request-id", "")
    if len(request_id) > _REQUEST_ID_LENGTH:
        raise MalformedError(f"sym-request-id is longer than {_REQUEST_ID_LENGTH} characters")
    return request_id
