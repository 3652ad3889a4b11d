"""The node's HTTP surface: what the gateway forwards, answered in the envelope (wire.md, section 2)."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from symfed_node.middleware import BearerToken, OnlyOnce
from symfed_node.responses import on_crash, on_error, on_http_error
from symfed_node.routes.base import Node
from symfed_node.routes.exploring import ExploreRoutes
from symfed_node.routes.federation import FederationRoutes
from symfed_node.routes.jobs import JobRoutes
from symfed_node.routes.models import ModelRoutes
from symfed_node.routes.projects import ProjectRoutes
from symfed_node.routes.rows import RowRoutes
from symfed_wire.errors import SymfedError


def build_app(node: Node) -> Starlette:
    """The ASGI application of one node."""
    groups = (
        ProjectRoutes(node),
        RowRoutes(node),
        ExploreRoutes(node),
        ModelRoutes(node),
        JobRoutes(node),
        FederationRoutes(node),
    )
    return Starlette(
        routes=[route for group in groups for route in group.routes],
        middleware=[Middleware(BearerToken, token=node.token), Middleware(OnlyOnce)],
        exception_handlers={SymfedError: on_error, HTTPException: on_http_error, Exception: on_crash},
    )
