"""Routes below `/symetry/rest/{cid}/fedml`."""

import logging
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from starlette.responses import Response

from symfed_api.admission import InvitationRefusedError, admit
from symfed_api.answers import answer
from symfed_api.federation_info import federation_info
from symfed_api.forwarding import forward_to_project
from symfed_api.founding import create_federation
from symfed_api.gateway import OpenedMap, TheCaller, TheGateway, body_of
from symfed_api.inviting import invite
from symfed_api.joining import join_federation
from symfed_api.leaving import LeaveRefusedError, leave
from symfed_api.manifests import MANAGER
from symfed_api.objects import get_project
from symfed_wire.kube import PEERS, JsonObject
from symfed_wire.names import SYNC_REQUESTED

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
    """A new federation with its admin's project."""
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
    """A project that joins by invitation."""
    await join_federation(gateway, caller, keys, pid, persist)
    return answer(201, "Fed Project created with join")


@router.post("/{pid}/getEncrypted")
@router.post("/{pid}/getInvitation")
async def get_encrypted(gateway: TheGateway, caller: TheCaller, keys: OpenedMap, pid: str) -> Response:
    """An invitation, under the newer and the older name."""
    invitation = await invite(gateway, caller, pid, keys)
    return answer(values={"fedInfoEncrypted": invitation, "encryptedGroupInfo": invitation})


@router.post("/{pid}/createPolicies")
async def create_policies(gateway: TheGateway, request: Request, cid: str, pid: str) -> Response:
    """A peer's operator redeems an invitation; not signed by a customer."""
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
    """A member leaves; signed by its identity key."""
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
    """The project's federation, encrypted."""
    return answer(values={"fedInfoEncrypted": await federation_info(gateway, caller, pid)})


@router.get("/{pid}/fullSyncRequest")
async def full_sync_request(gateway: TheGateway, caller: TheCaller, pid: str) -> Response:
    """The node publishes now and asks the others to."""
    peer = await get_project(gateway.kube, caller.namespace, pid, caller.customer)
    change: JsonObject = {"metadata": {"annotations": {SYNC_REQUESTED: datetime.now(UTC).isoformat()}}}
    await gateway.kube.patch(PEERS, caller.namespace, peer.metadata.name, change, manager=MANAGER)
    return answer()


@router.get("/{pid}/syncStats")
async def sync_stats(gateway: TheGateway, caller: TheCaller, request: Request, pid: str) -> Response:
    """What was exchanged and merged, from the node."""
    return await forward_to_project(gateway, caller, pid, request)
