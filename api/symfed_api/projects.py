"""Routes below `/symetry/rest/{cid}/projects`."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from symfed_api.answers import answer, job_created
from symfed_api.creating import create_project
from symfed_api.deleting import delete_project
from symfed_api.forwarding import base_of, forward_to_project
from symfed_api.gateway import PlainMap, TheCaller, TheGateway
from symfed_api.objects import list_peers
from symfed_api.project_infos import start_project_infos

router = APIRouter(prefix="/symetry/rest/{cid}/projects")


@router.post("")
async def create(
    gateway: TheGateway,
    caller: TheCaller,
    keys: PlainMap,
    pid: str | None = None,
    kind: Annotated[str | None, Query(alias="type")] = None,
    persist: str | None = None,
    histogram: Annotated[str | None, Query(alias="enableHistogram")] = None,
) -> Response:
    """Create a plain project, which belongs to no federation."""
    project = await create_project(gateway, caller, keys, pid, kind, persist, histogram)
    return answer(201, f"Project Created with id:{project}")


@router.get("/list")
async def list_projects(gateway: TheGateway, caller: TheCaller) -> Response:
    """List the ids of the customer's projects."""
    peers = await list_peers(gateway.kube, caller.namespace)
    return answer(values={"stringList": {"values": [p.spec.project for p in peers if p.spec.project]}})


@router.get("/info")
async def info_of_all(gateway: TheGateway, caller: TheCaller, request: Request) -> Response:
    """Start a job that tells what all projects hold, those whose node does not answer included."""
    number = await start_project_infos(gateway, caller)
    return job_created(number, base_of(gateway, caller, request))


@router.delete("/{pid}")
async def delete(gateway: TheGateway, caller: TheCaller, pid: str) -> Response:
    """Delete a project; of a federation's admin only when nobody else is in it."""
    await delete_project(gateway, caller, pid)
    return answer(text=f"deleted Project with id[{pid}] from Customer[{caller.customer}] store")


@router.post("/{pid}/learn")
@router.post("/{pid}/forget")
@router.post("/{pid}/histogramEnable")
@router.post("/{pid}/explore")
@router.post("/{pid}/densityEstimate")
@router.post("/{pid}/build")
@router.post("/{pid}/predict/{model}")
@router.get("/{pid}/info")
@router.get("/{pid}/models/{model}")
@router.delete("/{pid}/models/{model}")
async def of_node(gateway: TheGateway, caller: TheCaller, request: Request, pid: str) -> Response:
    """Pass on what the project's node answers."""
    return await forward_to_project(gateway, caller, pid, request)
