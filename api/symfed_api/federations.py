"""Routes below `/symetry/rest/{cid}/fedml`."""

import logging
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from symfed_api.admission import InvitationRefusedError, admit
from symfed_api.answers import answer, job_created
from symfed_api.aws_info import start_aws_info
from symfed_api.control import clear_error_log, request_sync, set_explore, set_pulse, set_schedule
from symfed_api.federation_info import federation_info
from symfed_api.forwarding import base_of, forward
from symfed_api.founding import create_federation
from symfed_api.gateway import OpenedMap, TheCaller, TheGateway, body_of
from symfed_api.inviting import invite
from symfed_api.joining import join_federation
from symfed_api.leaving import LeaveRefusedError, leave
from symfed_api.objects import get_member

_logger = logging.getLogger(__name__)
router = APIRouter(prefix="/symetry/rest/{cid}/fedml")


@router.post("/create")
async def create(
    gateway: TheGateway,
    caller: TheCaller,
    keys: OpenedMap,
    pid: str | None = None,
    persist: str | None = None,
) -> Response:
    """Create a federation with its admin's project."""
    project = await create_federation(gateway, caller, keys, pid, persist)
    return answer(201, f"Project Created with id:{project}")


@router.post("/createJoin")
async def create_join(
    gateway: TheGateway,
    caller: TheCaller,
    keys: OpenedMap,
    pid: str | None = None,
    persist: str | None = None,
) -> Response:
    """Create a project that joins a federation by invitation."""
    await join_federation(gateway, caller, keys, pid, persist)
    return answer(201, "Fed Project created with join")


@router.post("/{pid}/getEncrypted")
@router.post("/{pid}/getInvitation")
async def get_encrypted(gateway: TheGateway, caller: TheCaller, keys: OpenedMap, pid: str) -> Response:
    """Make an invitation for one peer; it goes out under the newer and the older name."""
    invitation = await invite(gateway, caller, pid, keys)
    return answer(values={"fedInfoEncrypted": invitation, "encryptedGroupInfo": invitation})


@router.post("/{pid}/createPolicies")
async def create_policies(gateway: TheGateway, request: Request, cid: str, pid: str) -> Response:
    """Redeem an invitation; called by a peer's operator, not signed by a customer."""
    address = request.client.host if request.client else ""
    gateway.refusals.check(address)
    try:
        join = await admit(gateway, cid, pid, body_of(request))
    except InvitationRefusedError as error:
        gateway.refusals.count(address)
        _logger.info("createPolicies of %s from %s refused: %s", pid, address, error.why)
        raise
    return answer(values={"join": join})


@router.post("/{pid}/leave")
async def leave_federation(gateway: TheGateway, request: Request, cid: str, pid: str) -> Response:
    """Let a member go; signed by its identity key."""
    address = request.client.host if request.client else ""
    gateway.refusals.check(address)
    try:
        await leave(gateway, cid, pid, body_of(request))
    except LeaveRefusedError:
        gateway.refusals.count(address)
        raise
    return answer()


@router.get("/{pid}/info")
async def info(gateway: TheGateway, caller: TheCaller, pid: str) -> Response:
    """Tell what the project's federation is, encrypted."""
    return answer(values={"fedInfoEncrypted": await federation_info(gateway, caller, pid)})


@router.get("/{pid}/startPulse")
async def start_pulse(gateway: TheGateway, caller: TheCaller, pid: str) -> Response:
    """Let the project take part in the schedule."""
    await set_pulse(gateway, caller, pid, pulse=True)
    return answer()


@router.get("/{pid}/stopPulse")
async def stop_pulse(gateway: TheGateway, caller: TheCaller, pid: str) -> Response:
    """Let the project publish and merge nothing until it is started again."""
    await set_pulse(gateway, caller, pid, pulse=False)
    return answer()


@router.get("/{pid}/newSchedule")
async def new_schedule(
    gateway: TheGateway,
    caller: TheCaller,
    pid: str,
    schedule: Annotated[str | None, Query(alias="newSchedule")] = None,
) -> Response:
    """Change the federation's schedule; the admin's project alone may."""
    await set_schedule(gateway, caller, pid, schedule)
    return answer()


@router.get("/{pid}/setExplorePeers")
async def set_explore_peers(
    gateway: TheGateway,
    caller: TheCaller,
    pid: str,
    allow: Annotated[str | None, Query(alias="allowExplore")] = None,
) -> Response:
    """Let the other peers explore this project alone, or not."""
    await set_explore(gateway, caller, pid, allow)
    return answer()


@router.get("/{pid}/fullSyncRequest")
async def full_sync_request(gateway: TheGateway, caller: TheCaller, pid: str) -> Response:
    """Let the node publish now and ask the others to."""
    await request_sync(gateway, caller, pid)
    return answer()


@router.delete("/{pid}/clearErrorLog")
async def clear_errors(gateway: TheGateway, caller: TheCaller, pid: str) -> Response:
    """Clear the error log of the project's node."""
    await clear_error_log(gateway, caller, pid)
    return answer()


@router.post("/awsinfo")
async def aws_info(gateway: TheGateway, caller: TheCaller, keys: OpenedMap, request: Request) -> Response:
    """List topics and queues of an AWS account, as a job."""
    number = await start_aws_info(gateway, caller, keys)
    return job_created(number, base_of(gateway, caller, request))


@router.post("/{pid}/awsinfo")
async def aws_info_of_project(
    gateway: TheGateway, caller: TheCaller, keys: OpenedMap, request: Request, pid: str
) -> Response:
    """Do the same for a caller who thinks of a project; the keys are the caller's there too."""
    await get_member(gateway.kube, caller.namespace, pid, caller.customer)
    return await aws_info(gateway, caller, keys, request)


@router.get("/{pid}/syncStats")
@router.get("/{pid}/getErrorLog")
@router.get("/{pid}/getSyncLog")
async def of_node(gateway: TheGateway, caller: TheCaller, request: Request, pid: str) -> Response:
    """Pass on what the node says of its exchange."""
    peer = await get_member(gateway.kube, caller.namespace, pid, caller.customer)
    return await forward(gateway, caller, peer, request)
