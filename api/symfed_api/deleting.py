"""`DELETE projects/{pid}`: a project and, of an admin, its federation; answered when they are gone."""

from symfed_api import manifests
from symfed_api.caller import Caller
from symfed_api.errors import NotReadyError, TakenError
from symfed_api.gateway import Gateway
from symfed_api.objects import (
    delete_with_secrets,
    find_federation,
    find_peer,
    get_project,
    list_peers,
    poll,
)
from symfed_wire.resources import Federation, FederationPeer


async def delete_project(gateway: Gateway, caller: Caller, pid: str) -> None:
    """Delete a project and wait until it is gone, so that its name is free when this returns.

    The Federation goes before its admin's peer: a repeat after a crash finds the project and goes on. A
    Federation that somebody wrote himself stays his.
    Raises BadRequestError for no project, TakenError for an admin's whose federation has other members,
    NotReadyError while the deletion takes its time; a repeat goes on waiting.
    """
    peer = await get_project(gateway.kube, caller.namespace, pid, caller.customer)
    federation = await _own_federation(gateway, peer)
    if federation is not None:
        await delete_with_secrets(gateway.kube, federation)
    await delete_with_secrets(gateway.kube, peer)

    async def is_gone() -> bool | None:
        left = await find_peer(gateway.kube, caller.namespace, peer.metadata.name)
        if left is not None and left.metadata.uid == peer.metadata.uid:
            return None
        kept = federation and await find_federation(gateway.kube, caller.namespace, federation.metadata.name)
        return None if kept and federation and kept.metadata.uid == federation.metadata.uid else True

    if not await poll(is_gone, gateway.settings.wait_seconds):
        raise NotReadyError(f"Project {pid} is being deleted, and is not gone yet")


async def _own_federation(gateway: Gateway, peer: FederationPeer) -> Federation | None:
    """The Federation that REST made, when this is its admin's last peer; before, a peer goes alone.

    Every peer in the Federation's namespace is its admin's. Raises TakenError that names remote members.
    """
    reference = peer.spec.federation_ref
    if reference is None:
        return None
    others = [
        other
        for other in await list_peers(gateway.kube, peer.metadata.namespace, reference.name)
        if other.metadata.uid != peer.metadata.uid and other.metadata.deletion_timestamp is None
    ]
    if any(other.is_hosted for other in others):
        return None
    names = [other.spec.remote.display_name for other in others if other.spec.remote]
    if names:
        raise TakenError(
            f"Project {peer.spec.project} administers a federation with other members: {', '.join(names)}"
        )
    federation = await find_federation(gateway.kube, peer.metadata.namespace, reference.name)
    is_rests = federation and federation.metadata.labels.get(manifests.MANAGED_BY) == manifests.MANAGER
    return federation if is_rests else None
