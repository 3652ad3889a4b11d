"""What every call works with; one for the whole process."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from pydantic import JsonValue
from starlette.requests import HTTPConnection

from symfed_api.caller import Caller
from symfed_api.connections import Connections
from symfed_api.customers import Customers
from symfed_api.errors import UnauthorizedError
from symfed_api.limit import FailureLimit
from symfed_api.nodes import Nodes
from symfed_api.own_jobs import OwnJobs
from symfed_api.settings import Settings
from symfed_wire.kube import Kube


@dataclass(frozen=True)
class Gateway:
    """Settings and the ways out."""

    settings: Settings
    kube: Kube
    customers: Customers
    nodes: Nodes
    jobs: OwnJobs
    refusals: FailureLimit
    connections: Connections


def _gateway(connection: HTTPConnection) -> Gateway:
    gateway = connection.app.state.gateway
    if not isinstance(gateway, Gateway):
        raise TypeError("app.state.gateway is not set")
    return gateway


def _caller(request: Request) -> Caller:
    """Who signed the request; a route that asks for it is closed to everybody else."""
    caller = getattr(request.state, "caller", None)
    if not isinstance(caller, Caller):
        raise UnauthorizedError("Invalid Signature")
    return caller


def body_of(request: Request) -> bytes:
    """The request's body, which the authentication has read; `request.body()` would copy it."""
    body = request.state.body
    if not isinstance(body, bytes):
        raise TypeError("request.state.body is not set")
    return body


async def _opened_map(request: Request) -> dict[str, JsonValue]:
    return _caller(request).open_map(body_of(request))


async def _plain_map(request: Request) -> dict[str, JsonValue]:
    return _caller(request).plain_map(body_of(request))


TheGateway = Annotated[Gateway, Depends(_gateway)]
TheCaller = Annotated[Caller, Depends(_caller)]
OpenedMap = Annotated[dict[str, JsonValue], Depends(_opened_map)]
PlainMap = Annotated[dict[str, JsonValue], Depends(_plain_map)]
