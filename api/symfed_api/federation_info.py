"""`fedml/{pid}/info`: a project's federation in the vendor's words, secrets masked (wire.md, section 5)."""

import json

from symfed_api import manifests
from symfed_api.caller import Caller
from symfed_api.gateway import Gateway
from symfed_api.objects import find_federation, get_member
from symfed_wire.kube import JsonObject
from symfed_wire.resources import Federation, FederationPeer

_MASK = "****"


async def federation_info(gateway: Gateway, caller: Caller, project: str) -> str:
    """The FederationInfo of a project, encrypted. Raises BadRequestError."""
    peer = await get_member(gateway.kube, caller.namespace, project, caller.customer)
    reference = peer.spec.federation_ref
    federation = await find_federation(gateway.kube, caller.namespace, reference.name) if reference else None
    stats = await sync_stats_of(gateway, peer)
    return caller.seal(json.dumps(describe(peer, federation, stats)))


def describe(peer: FederationPeer, federation: Federation | None, stats: JsonObject) -> JsonObject:
    """FederationInfo from the objects and the node's own syncStats, which may be empty.

    Only the admin's side has the Federation; of a joined peer it is known here what its invitation said, and
    from its node which schedule it follows now. `conditions` are ours: why the peer is not Ready.
    """
    told = peer.metadata.annotations
    spec = federation.spec if federation else None
    aws = spec.aws if spec and spec.aws else peer.spec.aws
    actions = peer.spec.contract_actions
    return {
        "fed_local_id": peer.spec.project,
        "fed_name": spec.name if spec else told.get(manifests.FEDERATION_NAME, ""),
        "fed_secret_key": _MASK,
        "sync_sched": spec.schedule
        if spec
        else _schedule(stats) or told.get(manifests.FEDERATION_SCHEDULE, ""),
        "fed_type": "AWS" if aws else "NATS",
        "local_uuid": peer.status.uuid or "",
        "is_pulsing": peer.spec.pulse,
        "allow_peers_explore": peer.spec.allow_peers_explore,
        "peersInfo": _peer_names(stats),
        "contract": list(spec.contract) if spec else [],
        "rcv_error_action": f"fed_psr_contract_rcv_fail_action_{actions.receive.lower()}",
        "snd_error_action": f"fed_psr_contract_snd_fail_action_{actions.send.lower()}",
        "fed_use_smpc": spec.secure_sum if spec else told.get(manifests.FEDERATION_SECURE_SUM) == "true",
        "aws_id": (aws.account_id or "") if aws else "",
        "aws_access_key": _MASK if aws else "",
        "aws_secret_key": _MASK if aws else "",
        "aws_queue_url": peer.status.queue_url or "",
        "aws_topic_arn": (federation.status.topic_arn or "")
        if federation
        else told.get(manifests.FEDERATION_TOPIC, ""),
        "s3_bucket": aws.bucket if aws else "",
        "conditions": [condition.to_json() for condition in peer.status.conditions],
    }


def _schedule(stats: JsonObject) -> str:
    schedule = stats.get("schedule")
    return schedule if isinstance(schedule, str) else ""


def _peer_names(stats: JsonObject) -> JsonObject:
    peers = stats.get("peers")
    if not isinstance(peers, dict):
        return {}
    return {uuid: str(peer.get("name", "")) for uuid, peer in peers.items() if isinstance(peer, dict)}


async def sync_stats_of(gateway: Gateway, peer: FederationPeer) -> JsonObject:
    """The node's syncStats, or nothing when it cannot be asked right now."""
    path = f"/fedml/{peer.spec.project}/syncStats"
    values = await gateway.nodes.brief_values(peer.metadata.namespace, peer.metadata.name, path)
    stats = values.get("fedSyncStats")
    return stats if isinstance(stats, dict) else {}
