"""Routes of models."""

import asyncio
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from symfed_node.answers import Values, predictions
from symfed_node.project import check_build, scope
from symfed_node.responses import answer, job_created
from symfed_node.routes.base import PROJECT, Node, flag, use_local
from symfed_wire.errors import MalformedError
from symfed_wire.frames import parse_context, parse_frame


class ModelRoutes:
    """Building, reading, deleting models and predicting with them."""

    def __init__(self, node: Node) -> None:
        self._node = node
        model = f"{PROJECT}/models/{{id}}"
        self.routes = [
            Route(f"{PROJECT}/build", self.build, methods=["POST"]),
            Route(model, self.model),
            Route(model, self.delete_model, methods=["DELETE"]),
            Route(f"{PROJECT}/predict/{{id}}", self.predict, methods=["POST"]),
        ]

    async def build(self, request: Request) -> Response:
        """Start building a model."""
        self._node.check_project(request)
        algorithm, model_id = request.query_params.get("algo", ""), request.query_params.get("modelid", "")
        _check_model_id(model_id)
        is_local = use_local(request)
        context = parse_context(await self._node.body(request))
        project = self._node.project
        check_build(project.view(use_local=is_local), algorithm, context)  # a bad request fails here and now

        def work() -> Values:
            return {"modelInfo": project.build(algorithm, model_id, context, use_local=is_local)}

        return job_created(self._node.jobs.start("build", f"{algorithm} {model_id}", work))

    async def model(self, request: Request) -> Response:
        """A built model."""
        self._node.check_project(request)
        model = self._node.project.models.get(scope(use_local(request)), request.path_params["id"])
        return answer(HTTPStatus.OK, values={"modelInfo": model.info})

    async def delete_model(self, request: Request) -> Response:
        """Forget a model."""
        self._node.check_project(request)
        where, model_id = scope(use_local(request)), request.path_params["id"]
        await asyncio.to_thread(self._node.project.models.delete, where, model_id)
        return answer(HTTPStatus.OK)

    async def predict(self, request: Request) -> Response:
        """A built model's answer for each of a DataFrame's rows."""
        self._node.check_project(request)
        model_id, project = request.path_params["id"], self._node.project
        impute, is_local = flag(request, "impute"), use_local(request)
        body = await self._node.body(request)

        def work() -> Response:
            found = project.predict(model_id, lambda: parse_frame(body), impute=impute, use_local=is_local)
            return answer(HTTPStatus.OK, values={"KSVSMap": predictions(found)})

        return await asyncio.to_thread(work)


def _check_model_id(model_id: str) -> None:
    """Raises MalformedError for an id that no path can name, so that the model were never read or deleted."""
    if not model_id:
        raise MalformedError("modelid is missing in the query")
    if "/" in model_id or model_id in (".", ".."):
        raise MalformedError(f"modelid: {model_id!r} cannot be a part of a path")
