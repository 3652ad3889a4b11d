"""`fedml/create`: a new federation with its admin's project."""

from collections.abc import Mapping

from pydantic import JsonValue

from symfed_api import manifests
from symfed_api.caller import Caller
from symfed_api.errors import TakenError, project_exists
from symfed_api.gateway import Gateway
from symfed_api.objects import create_or_take_over, create_secret, find_project, list_federations
from symfed_wire.federation_map import parse_create_map
from symfed_wire.kube import FEDERATIONS, PEERS, ConflictError


async def create_federation(
    gateway: Gateway, caller: Caller, keys: Mapping[str, JsonValue], pid: str | None, persist: str | None
) -> str:
    """Create Secret, Federation and FederationPeer in this order; the last one is the commit.

    A repeat after a crash takes over what an identical request has made. Returns the project id.
    Raises FederationMapError, TakenError.
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
    secret = manifests.federation_credentials(parsed, namespace, digest, is_managed=is_managed)
    if secret is not None:
        await create_secret(kube, namespace, secret)
    federation = manifests.federation(parsed, namespace, digest, is_managed=is_managed)
    await create_or_take_over(kube, FEDERATIONS, namespace, federation, name_taken)
    try:
        await kube.create(PEERS, namespace, manifests.admin_peer(parsed, namespace, digest))
    except ConflictError:
        raise project_exists(project, caller.customer) from None
    return project
