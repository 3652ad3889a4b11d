"""`createJoin`: a project that joins a federation by invitation."""

from collections.abc import Mapping

from pydantic import JsonValue

from symfed_api import manifests
from symfed_api.caller import Caller
from symfed_api.errors import RefusedError, project_exists
from symfed_api.gateway import Gateway
from symfed_api.objects import create_last, create_secret, delete_with_secrets, find_peer, find_project, poll
from symfed_wire.federation_map import parse_join_map
from symfed_wire.resources import Condition, FederationPeer, find_condition

INVITATION_REFUSED = "InvitationRefused"


async def join_federation(
    gateway: Gateway, caller: Caller, keys: Mapping[str, JsonValue], pid: str | None, persist: str | None
) -> None:
    """Create the Secret with the invitation and the FederationPeer, then wait for the admin's verdict.

    Silence is no refusal: the operator goes on trying. A refusal takes away again what was made.
    Raises FederationMapError, TakenError, RefusedError.
    """
    parsed = parse_join_map(keys, pid, persist)
    project, kube, namespace = parsed.peer.project, gateway.kube, caller.namespace
    if await find_project(kube, namespace, project) is not None:
        raise project_exists(project, caller.customer)
    digest = manifests.request_digest(caller.secret_key, "createJoin", keys, pid, persist)
    made = manifests.join_secrets(parsed, namespace, digest)
    for secret in made:
        await create_secret(kube, namespace, secret)
    manifest = manifests.joined_peer(parsed, namespace, digest)
    body = await create_last(kube, namespace, manifest, made, project_exists(project, caller.customer))
    peer = FederationPeer.model_validate(body)
    refusal = await _verdict(gateway, peer)
    if refusal is not None:
        await delete_with_secrets(kube, peer)
        await _wait_until_gone(gateway, peer)
        raise RefusedError(refusal.message or "The admin of the federation refused the invitation")


async def _verdict(gateway: Gateway, peer: FederationPeer) -> Condition | None:
    """The condition that refuses; None when the admin granted or said nothing in time."""

    async def read() -> Condition | None:
        now = await find_peer(gateway.kube, peer.metadata.namespace, peer.metadata.name)
        joined = find_condition(now.status.conditions, "Joined") if now else None
        is_decided = joined is not None and (joined.status == "True" or joined.reason == INVITATION_REFUSED)
        return joined if is_decided else None

    joined = await poll(read, gateway.settings.verdict_seconds)
    return joined if joined is not None and joined.status != "True" else None


async def _wait_until_gone(gateway: Gateway, peer: FederationPeer) -> None:
    """A caller who is refused may try again at once with another invitation, under the same name."""

    async def is_gone() -> bool | None:
        left = await find_peer(gateway.kube, peer.metadata.namespace, peer.metadata.name)
        return None if left is not None and left.metadata.uid == peer.metadata.uid else True

    await poll(is_gone, gateway.settings.wait_seconds)
