"""Routes of the project's part in its federation."""

from collections.abc import Iterable
from datetime import UTC, datetime
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from symfed_node.answers import sync_stats
from symfed_node.responses import answer
from symfed_node.routes.base import Node
from symfed_wire.frames import StringList


class FederationRoutes:
    """What was exchanged, and the wish to exchange now."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.routes = [
            Route("/fedml/{pid}/syncStats", self.sync_stats),
            Route("/fedml/{pid}/fullSyncRequest", self.full_sync),
            Route("/fedml/{pid}/getErrorLog", self.error_log),
            Route("/fedml/{pid}/getSyncLog", self.sync_log),
        ]

    async def sync_stats(self, request: Request) -> Response:
        """What was exchanged, and what is in the sum."""
        exchanger = self._node.exchanger_for(request)
        stats = sync_stats(self._node.project, exchanger.rounds, datetime.now(UTC))
        return answer(HTTPStatus.OK, values={"fedSyncStats": stats})

    async def full_sync(self, request: Request) -> Response:
        """Publish now and ask the others to."""
        self._node.exchanger_for(request).request_sync()
        return answer(HTTPStatus.OK)

    async def error_log(self, request: Request) -> Response:
        """The last errors of the exchange."""
        return _lines(self._node.exchanger_for(request).rounds.log.errors)

    async def sync_log(self, request: Request) -> Response:
        """What the exchange did last."""
        return _lines(self._node.exchanger_for(request).rounds.log.events)


def _lines(lines: Iterable[str]) -> Response:
    return answer(HTTPStatus.OK, values={"stringList": StringList(tuple(lines)).to_json()})
