"""Routes below `/symetry/rest/{cid}/jobs`: a job's number says which node has it, or that the gateway has."""

import asyncio
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from pydantic import JsonValue
from starlette.responses import Response

from symfed_api.answers import answer
from symfed_api.aws_info import sealed_for
from symfed_api.caller import Caller
from symfed_api.errors import JobFailedError, NoSuchJobError
from symfed_api.forwarding import forward
from symfed_api.gateway import Gateway, TheCaller, TheGateway
from symfed_api.job_records import JobState
from symfed_api.objects import list_peers
from symfed_wire.jobs import slot_of
from symfed_wire.kube import JsonObject
from symfed_wire.resources import FederationPeer

router = APIRouter(prefix="/symetry/rest/{cid}/jobs")


@router.get("")
async def list_jobs(gateway: TheGateway, caller: TheCaller) -> Response:
    """List the gateway's own jobs and those of all nodes that answer."""
    peers = [peer for peer in await list_peers(gateway.kube, caller.namespace) if peer.is_hosted]
    found = await asyncio.gather(*(jobs_of(gateway, peer) for peer in peers))
    return answer(values=merge_values([await own_jobs(gateway, caller), *found]))


@router.get("/{number}")
async def get_job(gateway: TheGateway, caller: TheCaller, request: Request, number: str) -> Response:
    """Tell where a job stands, and what it holds when it is finished."""
    job = parse_number(number)
    if slot_of(job) == 0:
        return await own_job(gateway, caller, job)
    return await forward(gateway, caller, await _peer_of(gateway, caller, job), request)


@router.delete("/{number}")
async def delete_job(gateway: TheGateway, caller: TheCaller, request: Request, number: str) -> Response:
    """Forget a job; one that runs cannot be killed."""
    job = parse_number(number)
    if slot_of(job) != 0:
        return await forward(gateway, caller, await _peer_of(gateway, caller, job), request)
    if await gateway.jobs.delete(caller, job):
        return answer(text="Job killed")
    return answer(202, "Job cannot be killed")


def parse_number(text: str) -> int:
    """A job's number. Raises NoSuchJobError for what is none."""
    if not text.isascii() or not text.isdecimal() or len(text) > len(str(1 << 53)):
        raise NoSuchJobError
    return int(text)


async def own_jobs(gateway: Gateway, caller: Caller) -> JsonObject:
    """The gateway's own jobs in the form of a node's answer."""
    now = datetime.now(UTC)
    jobs = await gateway.jobs.all(caller.namespace)
    return {"jobinfoList": [job.record.info(job.number, caller.customer, now) for job in jobs]}


async def own_job(gateway: Gateway, caller: Caller, number: int) -> Response:
    """Where a job of the gateway's own stands. Raises NoSuchJobError."""
    now = datetime.now(UTC)
    record = (await gateway.jobs.get(caller, number)).record
    info: JsonObject = {"jobinfo": record.info(number, caller.customer, now)}
    if record.state(now) is JobState.RUNNING:
        return answer(202, "Job still running", info)
    try:
        return answer(
            200, "Job is finished", info | sealed_for(caller, record.values(number, caller.secret_key))
        )
    except JobFailedError as error:
        return answer(error.status, error.text, info)


async def _peer_of(gateway: Gateway, caller: Caller, job: int) -> FederationPeer:
    for peer in await list_peers(gateway.kube, caller.namespace):
        if peer.is_hosted and peer.status.slot == slot_of(job):
            return peer
    raise NoSuchJobError


def merge_values(found: list[JsonObject]) -> JsonObject:
    """The answers of several nodes as one: lists under the same name are put together."""
    merged: dict[str, list[JsonValue]] = {}
    for values in found:
        for name, value in values.items():
            if isinstance(value, list):
                merged.setdefault(name, []).extend(value)
    return {name: list(entries) for name, entries in merged.items()}


async def jobs_of(gateway: Gateway, peer: FederationPeer) -> JsonObject:
    """One node's jobs; nothing when it cannot be asked right now."""
    return await gateway.nodes.brief_values(peer.metadata.namespace, peer.metadata.name, "/jobs")
