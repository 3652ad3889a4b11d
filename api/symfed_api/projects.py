"""Routes below `/symetry/rest/{cid}/projects`."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from symfed_api import manifests
from symfed_api.answers import answer
from symfed_api.deleting import delete_project
from symfed_api.errors import project_exists
from symfed_api.forwarding import forward_to_project
from symfed_api.gateway import TheCaller, TheGateway
from symfed_api.objects import find_project, list_peers
from symfed_wire.federation_map import parse_project
from symfed_wire.kube import PEERS
from symfed_wire.kube_errors import ConflictError

router = APIRouter(prefix="/symetry/rest/{cid}/projects")


@router.post("")
async def create(
    gateway: TheGateway,
    caller: TheCaller,
    pid: str | None = None,
    type: str | None = None,
    persist: str | None = None,
) -> Response:
    """A plain project that belongs to no federation."""
    peer = parse_project(pid, type, persist)
    taken = project_exists(peer.project, caller.customer)
    if await find_project(gateway.kube, caller.namespace, peer.project) is not None:
        raise taken
    digest = manifests.request_digest(caller.secret_key, "projects", {}, pid, type, persist)
    try:
        await gateway.kube.create(
            PEERS, caller.namespace, manifests.plain_peer(peer, caller.namespace, digest)
        )
    except ConflictError:
        raise taken from None
    return answer(201, f"Project Created with id:{peer.project}")


@router.get("/list")
async def list_projects(gateway: TheGateway, caller: TheCaller) -> Response:
    """The ids of the customer's projects."""
    peers = await list_peers(gateway.kube, caller.namespace)
    return answer(values={"stringList": {"values": [p.spec.project for p in peers if p.spec.project]}})


@router.delete("/{pid}")
async def delete(gateway: TheGateway, caller: TheCaller, pid: str) -> Response:
    """Delete a project; of a federation's admin only when nobody else is in it."""
    await delete_project(gateway, caller, pid)
    return answer(text=f"deleted Project with id[{pid}] from Customer[{caller.customer}] store")


@router.post("/{pid}/learn")
@router.post("/{pid}/build")
@router.get("/{pid}/info")
@router.get("/{pid}/models/{model}")
@router.delete("/{pid}/models/{model}")
async def of_node(gateway: TheGateway, caller: TheCaller, request: Request, pid: str) -> Response:
    """What the project's node answers."""
    return await forward_to_project(gateway, caller, pid, request)
