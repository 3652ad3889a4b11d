"""`POST projects`: a project that belongs to no federation."""

from collections.abc import Mapping

from pydantic import JsonValue

from symfed_api import manifests
from symfed_api.caller import Caller
from symfed_api.errors import project_exists
from symfed_api.gateway import Gateway
from symfed_api.objects import find_project
from symfed_wire.kube import PEERS
from symfed_wire.kube_errors import ConflictError
from symfed_wire.project_map import parse_project


async def create_project(
    gateway: Gateway,
    caller: Caller,
    keys: Mapping[str, JsonValue],
    pid: str | None,
    kind: str | None,
    persist: str | None,
    enable_histogram: str | None,
) -> str:
    """Create the FederationPeer. Returns the project id. Raises FederationMapError, TakenError."""
    parsed = parse_project(keys, pid, kind, persist, enable_histogram)
    project, namespace = parsed.peer.project, caller.namespace
    taken = project_exists(project, caller.customer)
    if await find_project(gateway.kube, namespace, project) is not None:
        raise taken
    query = (pid, kind, persist, enable_histogram)
    digest = manifests.request_digest(caller.secret_key, "projects", keys, *query)
    try:
        await gateway.kube.create(PEERS, namespace, manifests.plain_peer(parsed, namespace, digest))
    except ConflictError:
        raise taken from None
    return project
