"""`GET projects/info`: what all projects of a customer hold, as a job."""

import asyncio
from datetime import UTC, datetime
from typing import Final

from symfed_api.caller import Caller
from symfed_api.gateway import Gateway
from symfed_api.objects import list_peers
from symfed_api.readiness import not_ready_text
from symfed_wire.kube import JsonObject
from symfed_wire.resources import FederationPeer, find_condition

KIND: Final = "projectsInfo"
_AT_ONCE: Final = 32  # nodes that are asked at the same time


async def start_project_infos(gateway: Gateway, caller: Caller) -> int:
    """Begin the job; its number. Raises NotReadyError while too many jobs are running."""
    return await gateway.jobs.start(caller, KIND, lambda: project_infos(gateway, caller.namespace))


async def project_infos(gateway: Gateway, namespace: str) -> JsonObject:
    """`values.smlInfoList`; of a node that does not answer soon, what its objects say."""
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def read(peer: FederationPeer) -> JsonObject:
        path = f"/projects/{peer.spec.project}/info"
        async with at_once:
            values = await gateway.nodes.brief_values(namespace, peer.metadata.name, path)
        info = values.get("smlInfo")
        return info if isinstance(info, dict) else described(peer, datetime.now(UTC))

    peers = [peer for peer in await list_peers(gateway.kube, namespace) if peer.is_hosted]
    return {"smlInfoList": list(await asyncio.gather(*(read(peer) for peer in peers)))}


def described(peer: FederationPeer, now: datetime) -> JsonObject:
    """A ProjectInfo from the objects alone: not loaded, and `params.not_ready` says why."""
    spec, created = peer.spec, peer.metadata.creation_timestamp
    exchanging = find_condition(peer.status.conditions, "Exchanging")
    moment = int(created.timestamp() * 1000) if created else 0
    return {
        "pid": spec.project,
        "attributeNames": [],
        "attributeIndexes": [],
        "attributeTypes": [],
        "modelsList": [],
        "modelTypeList": [],
        "dsList": [],
        "params": {
            "fed_pulsing": spec.pulse and not peer.is_local,
            "fed_has_error": exchanging is not None and exchanging.status == "False",
            "fed_is_admin": spec.federation_ref is not None,
            "not_ready": not_ready_text(peer, "its node does not answer", now),
        },
        "type": spec.compute.type,
        "loaded": False,
        "persisted": spec.storage.persist,
        "histogramEnabled": True,
        "autoSave": True,
        "creationDate": moment,
        "lastModificationDate": moment,
        "categorySeparator": "$",
    }
