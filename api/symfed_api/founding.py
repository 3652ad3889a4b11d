"""`fedml/create`: a new federation with its admin's project."""

from collections.abc import Mapping

from pydantic import JsonValue

from symfed_api import manifests
from symfed_api.caller import Caller
from symfed_api.errors import TakenError, project_exists
from symfed_api.gateway import Gateway
from symfed_api.objects import (
    create_last,
    create_or_take_over,
    create_secret,
    find_project,
    list_federations,
    take_away,
)
from symfed_wire.federation_map import parse_create_map
from symfed_wire.kube import FEDERATIONS, JsonObject
from symfed_wire.kube_errors import ForbiddenError, InvalidError


async def create_federation(
    gateway: Gateway, caller: Caller, keys: Mapping[str, JsonValue], pid: str | None, persist: str | None
) -> str:
    """Create Secret, Federation and FederationPeer in this order; the last one is the commit.

    A repeat after a crash takes over what an identical request has made; a refusal takes it away again.
    Returns the project id. Raises FederationMapError, TakenError.
    """
    parsed = parse_create_map(keys, pid, persist)
    project, kube, namespace = parsed.peer.project, gateway.kube, caller.namespace
    digest = manifests.request_digest(caller.secret_key, "create", keys, pid, persist)
    if await find_project(kube, namespace, project) is not None:
        raise project_exists(project, caller.customer)
    name_taken = TakenError(
        f"Customer [{caller.customer}] already have a federation with fed_name[{parsed.name}]"
    )
    for other in await list_federations(kube, namespace):
        is_this_request = other.metadata.annotations.get(manifests.REQUEST_DIGEST) == digest
        if other.spec.name == parsed.name and not is_this_request:
            raise name_taken

    is_managed = parsed.nats is not None and gateway.settings.is_own_nats(parsed.nats.hosts)
    made: list[JsonObject] = []
    secret = manifests.federation_credentials(parsed, namespace, digest, is_managed=is_managed)
    if secret is not None:
        await create_secret(kube, namespace, secret)
        made.append(secret)
    federation = manifests.federation(parsed, namespace, digest, is_managed=is_managed)
    try:
        made.append(await create_or_take_over(kube, FEDERATIONS, namespace, federation, name_taken))
    except (TakenError, InvalidError, ForbiddenError):
        await take_away(kube, namespace, made)
        raise
    peer = manifests.admin_peer(parsed, namespace, digest)
    await create_last(kube, namespace, peer, made, project_exists(project, caller.customer))
    return project
