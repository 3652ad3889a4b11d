"""Routes that read the statistics."""

import asyncio
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from symfed_node.answers import Values, densities, figures, sml_info
from symfed_node.exploration import Exploration
from symfed_node.responses import answer, job_created
from symfed_node.routes.base import PROJECT, Node, flag, use_local
from symfed_wire.frames import parse_explore


class ExploreRoutes:
    """Figures about attributes, and their histograms."""

    def __init__(self, node: Node) -> None:
        self._node = node
        rounds = node.exchanger.rounds if node.exchanger else None
        self._exploration = Exploration(node.project, node.config.uuid, rounds)
        self.routes = [
            Route(f"{PROJECT}/explore", self.explore, methods=["POST"]),
            Route(f"{PROJECT}/densityEstimate", self.density, methods=["POST"]),
        ]

    async def explore(self, request: Request) -> Response:
        """Figures about one attribute or two; with `async=true` as a job."""
        node = self._node
        node.check_project(request)
        metric, is_local = request.query_params.get("metric", ""), use_local(request)
        with_info, is_job = flag(request, "returnProjectInfo", default=True), flag(request, "async")
        context = parse_explore(await node.body(request))

        def work() -> Values:
            values: Values = {
                "KSVDMap": figures(self._exploration.explore(metric, context, use_local=is_local))
            }
            if with_info:
                values["smlInfo"] = sml_info(node.config, node.project, node.exchanger, use_local=is_local)
            return values

        if is_job:
            return job_created(node.jobs.start("explore", metric, work))
        return answer(HTTPStatus.OK, values=await asyncio.to_thread(work))

    async def density(self, request: Request) -> Response:
        """How the values of attributes are distributed."""
        self._node.check_project(request)
        is_local = use_local(request)
        context = parse_explore(await self._node.body(request))

        def work() -> Values:
            return {"densityList": densities(self._exploration.densities(context, use_local=is_local))}

        return answer(HTTPStatus.OK, values=await asyncio.to_thread(work))
