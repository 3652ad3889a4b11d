"""Calls that a project's node answers: found, forwarded, and passed back."""

from urllib.parse import quote

from fastapi import Request
from starlette.responses import Response

from symfed_api.caller import Caller
from symfed_api.errors import BadRequestError, NotReadyError
from symfed_api.gateway import Gateway, body_of
from symfed_api.nodes import NodeAnswer, NodeCall, NodeUnavailableError
from symfed_api.objects import find_peer, get_project
from symfed_wire.resources import FederationPeer, find_condition

REQUEST_ID_LENGTH = 64


async def forward_to_project(gateway: Gateway, caller: Caller, project: str, request: Request) -> Response:
    """Forward to a project's node. Raises BadRequestError, NotReadyError, NodeBrokeOffError."""
    peer = await get_project(gateway.kube, caller.namespace, project, caller.customer)
    return await forward(gateway, caller, peer, request)


async def forward(gateway: Gateway, caller: Caller, peer: FederationPeer, request: Request) -> Response:
    """Forward a request to a peer's node; waits for one that is starting, up to the deadline."""
    call = NodeCall(
        verb=caller.line.verb,
        path="/" + "/".join(caller.line.path.split("/")[4:]),  # as sent, after /symetry/rest/{cid}
        query=caller.line.query,
        body=caller.open_plain(body_of(request)),
        content_type=request.headers.get("content-type", ""),
        request_id=_request_id(request),
        nonce=request.headers.get("sym-nonce", ""),
    )
    namespace, name = peer.metadata.namespace, peer.metadata.name
    try:
        found = await gateway.nodes.call(namespace, name, call, seconds=gateway.settings.wait_seconds)
    except NodeUnavailableError as error:
        now = await find_peer(gateway.kube, namespace, name)
        raise NotReadyError(not_ready_text(now or peer, str(error))) from error
    base = gateway.settings.external_url or f"{request.url.scheme}://{request.url.netloc}"
    return passed_back(found, base + _prefix(caller))


def passed_back(found: NodeAnswer, base: str) -> Response:
    """A node's answer with the address of its job below the caller's own."""
    headers = dict(found.headers)
    if headers.get("location", "").startswith("/"):
        headers["location"] = base + headers["location"]
    return Response(found.body, found.status, headers, "application/json")


def not_ready_text(peer: FederationPeer, seen: str) -> str:
    """Why a peer's node does not answer: what the operator says, else what was seen."""
    for name in ("Joined", "NodeReady"):
        condition = find_condition(peer.status.conditions, name)
        if condition is not None and condition.status != "True":
            seen = f"{condition.reason}: {condition.message}" if condition.message else condition.reason
            break
    return f"Project {peer.spec.project} is not ready: {seen}"


def _request_id(request: Request) -> str:
    """The request's id, whole: two ids that begin alike must stay two, or rows would not be learnt."""
    request_id = request.headers.get("sym-request-id", "")
    if len(request_id) > REQUEST_ID_LENGTH:
        raise BadRequestError(f"sym-request-id is longer than {REQUEST_ID_LENGTH} characters")
    return request_id


def _prefix(caller: Caller) -> str:
    return f"/symetry/rest/{quote(caller.customer, safe='')}"
