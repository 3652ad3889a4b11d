"""Routes that tell of the project as a whole."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from symfed_node.answers import sml_info
from symfed_node.errors import NotSupportedError
from symfed_node.responses import answer
from symfed_node.routes.base import PROJECT, Node, flag, use_local


class ProjectRoutes:
    """The project, and whether the node is well."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.routes = [
            Route("/healthz", self.health),
            Route("/readyz", self.health),
            Route(f"{PROJECT}/info", self.info),
            Route(f"{PROJECT}/histogramEnable", self.enable_histograms, methods=["POST"]),
        ]

    async def health(self, request: Request) -> Response:
        """Alive and started: the port opens once the journal is read. A broken journal needs a restart."""
        if self._node.project.is_usable:
            return answer(HTTPStatus.OK)
        return answer(HTTPStatus.SERVICE_UNAVAILABLE, "the journal cannot be written: restart the node")

    async def info(self, request: Request) -> Response:
        """What the project holds."""
        node = self._node
        node.check_project(request)
        values = sml_info(node.config, node.project, node.exchanger, use_local=use_local(request))
        return answer(HTTPStatus.OK, values={"smlInfo": values})

    async def enable_histograms(self, request: Request) -> Response:
        """They are always kept."""
        self._node.check_project(request)
        if not flag(request, "enable", default=True):
            raise NotSupportedError("histograms are always kept: they cannot be switched off")
        return answer(HTTPStatus.OK)
