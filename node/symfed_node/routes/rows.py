"""Routes that change what the project holds."""

import asyncio
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from symfed_node.responses import answer
from symfed_node.routes.base import PROJECT, Node
from symfed_wire.errors import MalformedError
from symfed_wire.frames import parse_frame

_REQUEST_ID_LENGTH: Final = 64


class RowRoutes:
    """Learning."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.routes = [Route(f"{PROJECT}/learn", self.learn, methods=["POST"])]

    async def learn(self, request: Request) -> Response:
        """Add a DataFrame's rows."""
        self._node.check_project(request)
        request_id = _request_id(request)
        body = await self._node.body(request)
        done = await asyncio.to_thread(
            lambda: self._node.project.learn(lambda: parse_frame(body), request_id)
        )
        return answer(HTTPStatus.OK, values={"learned": done.learned, "skipped": done.skipped})


def _request_id(request: Request) -> str:
    request_id = request.headers.get("sym-request-id", "")
    if len(request_id) > _REQUEST_ID_LENGTH:
        raise MalformedError(f"sym-request-id is longer than {_REQUEST_ID_LENGTH} characters")
    return request_id
