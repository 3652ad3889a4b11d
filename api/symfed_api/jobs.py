"""Routes below `/symetry/rest/{cid}/jobs`: a job's number says on which node it is."""

import asyncio
import json

from fastapi import APIRouter, Request
from pydantic import JsonValue
from starlette.responses import Response

from symfed_api.answers import answer
from symfed_api.errors import BadRequestError, NodeBrokeOffError
from symfed_api.forwarding import forward
from symfed_api.gateway import Gateway, TheCaller, TheGateway
from symfed_api.nodes import BRIEF_SECONDS, NodeCall, NodeUnavailableError
from symfed_api.objects import list_peers
from symfed_wire.jobs import slot_of
from symfed_wire.kube import JsonObject
from symfed_wire.resources import FederationPeer

router = APIRouter(prefix="/symetry/rest/{cid}/jobs")


@router.get("")
async def list_jobs(gateway: TheGateway, caller: TheCaller) -> Response:
    """The jobs of all nodes that answer."""
    peers = [peer for peer in await list_peers(gateway.kube, caller.namespace) if peer.is_hosted]
    found = await asyncio.gather(*(jobs_of(gateway, peer) for peer in peers))
    return answer(values=merge_values(found))


@router.get("/{number}")
@router.delete("/{number}")
async def job(gateway: TheGateway, caller: TheCaller, request: Request, number: str) -> Response:
    """One job, from its node."""
    slot = slot_of(int(number)) if number.isascii() and number.isdecimal() and len(number) <= 16 else 0
    for peer in await list_peers(gateway.kube, caller.namespace) if slot else []:
        if peer.is_hosted and peer.status.slot == slot:
            return await forward(gateway, caller, peer, request)
    raise BadRequestError("No such job")


def merge_values(found: list[JsonObject]) -> JsonObject:
    """The answers of several nodes as one: lists under the same name are put together."""
    merged: dict[str, list[JsonValue]] = {}
    for values in found:
        for name, value in values.items():
            if isinstance(value, list):
                merged.setdefault(name, []).extend(value)
    return {name: list(entries) for name, entries in merged.items()}


async def jobs_of(gateway: Gateway, peer: FederationPeer) -> JsonObject:
    """The values of one node's answer; nothing when it cannot be asked right now."""
    call = NodeCall("GET", "/jobs", answer_seconds=BRIEF_SECONDS)
    try:
        found = await gateway.nodes.call(peer.metadata.namespace, peer.metadata.name, call, seconds=0)
        body = json.loads(found.body)
    except (NodeUnavailableError, NodeBrokeOffError, ValueError):
        return {}
    values = body.get("values") if isinstance(body, dict) else None
    return values if isinstance(values, dict) else {}
