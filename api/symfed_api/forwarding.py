"""Calls that a project's node answers: found, forwarded, and passed back."""

from datetime import UTC, datetime
from urllib.parse import quote

from fastapi import Request
from starlette.responses import Response

from symfed_api.caller import Caller
from symfed_api.errors import BadRequestError, NotReadyError
from symfed_api.gateway import Gateway, body_of
from symfed_api.nodes import NodeAnswer, NodeCall, NodeUnavailableError
from symfed_api.objects import find_federation, find_peer, get_project
from symfed_api.readiness import has_no_node, is_blocked, not_ready_text, standstill
from symfed_wire.resources import FederationPeer, find_condition

REQUEST_ID_LENGTH = 64


async def forward_to_project(gateway: Gateway, caller: Caller, project: str, request: Request) -> Response:
    """Forward to a project's node. Raises BadRequestError, NotReadyError, NodeBrokeOffError."""
    peer = await get_project(gateway.kube, caller.namespace, project, caller.customer)
    return await forward(gateway, caller, peer, request)


async def forward(gateway: Gateway, caller: Caller, peer: FederationPeer, request: Request) -> Response:
    """Forward a request to a peer's node. Raises NotReadyError, NodeBrokeOffError."""
    call = NodeCall(
        verb=caller.line.verb,
        path="/" + "/".join(caller.line.path.split("/")[4:]),  # as sent, after /symetry/rest/{cid}
        query=caller.line.query,
        body=caller.open_plain(body_of(request)),
        content_type=request.headers.get("content-type", ""),
        request_id=_request_id(request),
        nonce=request.headers.get("sym-nonce", ""),
    )
    found = await ask_node(gateway, peer, call)
    return passed_back(found, base_of(gateway, caller, request))


async def ask_node(gateway: Gateway, peer: FederationPeer, call: NodeCall) -> NodeAnswer:
    """Call a peer's node; waits for one that is starting, and not for one that will not come by itself.

    Raises NotReadyError in the operator's words, NodeBrokeOffError.
    """
    namespace, name = peer.metadata.namespace, peer.metadata.name
    now, blocked = peer, ""

    async def is_hopeless() -> bool:
        nonlocal now, blocked
        found = await find_peer(gateway.kube, namespace, name)
        now = found or now
        if found is None or standstill(found, datetime.now(UTC)) is not None:
            return True
        blocked = await _blocked_federation(gateway, found)
        return bool(blocked)

    try:
        return await gateway.nodes.call(
            namespace, name, call, seconds=gateway.settings.wait_seconds, is_hopeless=is_hopeless
        )
    except NodeUnavailableError as error:
        text = blocked or not_ready_text(now, str(error), datetime.now(UTC))
        raise NotReadyError(text) from error


async def _blocked_federation(gateway: Gateway, peer: FederationPeer) -> str:
    """Why the Federation beside a peer without a node will not give it its place; empty when it may."""
    reference = peer.spec.federation_ref
    if reference is None or not has_no_node(peer):
        return ""
    federation = await find_federation(gateway.kube, peer.metadata.namespace, reference.name)
    ready = find_condition(federation.status.conditions, "Ready") if federation else None
    if federation is None or ready is None or ready.status == "True" or not is_blocked(federation, ready):
        return ""
    why = f"{ready.reason}: {ready.message}"
    return f"Project {peer.spec.project} is not ready: Federation {reference.name}: {why}"


def passed_back(found: NodeAnswer, base: str) -> Response:
    """A node's answer with the address of its job below the caller's own."""
    headers = dict(found.headers)
    if headers.get("location", "").startswith("/"):
        headers["location"] = base + headers["location"]
    return Response(found.body, found.status, headers, "application/json")


def _request_id(request: Request) -> str:
    """The request's id, whole: two ids that begin alike must stay two, or rows would not be learnt."""
    request_id = request.headers.get("sym-request-id", "")
    if len(request_id) > REQUEST_ID_LENGTH:
        raise BadRequestError(f"sym-request-id is longer than {REQUEST_ID_LENGTH} characters")
    return request_id


def base_of(gateway: Gateway, caller: Caller, request: Request) -> str:
    """The address below which the caller's own calls are."""
    base = gateway.settings.external_url or f"{request.url.scheme}://{request.url.netloc}"
    return f"{base}/symetry/rest/{quote(caller.customer, safe='')}"
