"""The way out to Kubernetes: reading and conditionally creating the objects that calls turn into."""

import asyncio
import base64
import binascii
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from symfed_api.errors import BadRequestError, TakenError, no_such_project
from symfed_api.manifests import MANAGER, REQUEST_DIGEST, own_secrets
from symfed_wire.federation_map import PROJECT
from symfed_wire.kube import FEDERATIONS, PEERS, SECRETS, JsonObject, Kube, Resource
from symfed_wire.kube_errors import ConflictError, ForbiddenError, InvalidError, KubeError, NotFoundError
from symfed_wire.resources import Federation, FederationPeer

_logger = logging.getLogger(__name__)

POLL_SECONDS = 0.25

Found = TypeVar("Found")


async def find_project(kube: Kube, namespace: str, project: str) -> FederationPeer | None:
    """The hosted peer with this project id; of two the older one, which the operator serves."""
    if not PROJECT.fullmatch(project):
        return None  # a field selector is text: what is no project id must not get into it
    found = await kube.list_all(PEERS, namespace, fields=f"spec.project={project}")
    peers = sorted((FederationPeer.model_validate(item) for item in found), key=_age)
    return peers[0] if peers else None


async def get_project(kube: Kube, namespace: str, project: str, customer: str) -> FederationPeer:
    """The hosted peer with this project id. Raises BadRequestError in the contract's words."""
    peer = await find_project(kube, namespace, project)
    if peer is None:
        raise no_such_project(project, customer)
    return peer


async def get_member(kube: Kube, namespace: str, project: str, customer: str) -> FederationPeer:
    """The hosted peer with this project id, in a federation. Raises BadRequestError for any other."""
    peer = await get_project(kube, namespace, project, customer)
    if peer.is_local:
        raise BadRequestError(f"Project {project} belongs to no federation")
    return peer


async def find_federation(kube: Kube, namespace: str, name: str) -> Federation | None:
    """The Federation object with this name, or None."""
    found = await kube.find(FEDERATIONS, namespace, name)
    return None if found is None else Federation.model_validate(found)


async def find_peer(kube: Kube, namespace: str, name: str) -> FederationPeer | None:
    """The FederationPeer object with this name, or None."""
    found = await kube.find(PEERS, namespace, name)
    return None if found is None else FederationPeer.model_validate(found)


async def list_peers(kube: Kube, namespace: str, federation: str = "") -> list[FederationPeer]:
    """All peers of a namespace, or those of one Federation object, remote ones included."""
    fields = f"spec.federationRef.name={federation}" if federation else ""
    found = await kube.list_all(PEERS, namespace, fields=fields)
    return sorted((FederationPeer.model_validate(item) for item in found), key=_age)


async def list_federations(kube: Kube, namespace: str) -> list[Federation]:
    """All Federations of a namespace."""
    return [Federation.model_validate(item) for item in await kube.list_all(FEDERATIONS, namespace)]


async def create_secret(kube: Kube, namespace: str, manifest: JsonObject) -> None:
    """Create a Secret whose name ends in the request's digest: one that is there is the same request's."""
    try:
        await kube.create(SECRETS, namespace, manifest)
    except ConflictError:
        return


async def create_or_take_over(
    kube: Kube, resource: Resource, namespace: str, manifest: JsonObject, taken: TakenError
) -> JsonObject:
    """Create an object, or take over the one that an earlier, interrupted try of this request has made.

    Raises `taken` when the object is another request's, or is on its way out.
    """
    try:
        return await kube.create(resource, namespace, manifest)
    except ConflictError:
        existing = await kube.find(resource, namespace, _name(manifest))
    if existing is None or _is_terminating(existing) or _digest(existing) != _digest(manifest):
        raise taken
    return existing


async def change(kube: Kube, item: Federation | FederationPeer, changes: JsonObject) -> bool:
    """Merge changes into an object that was read; whether it is there still. Raises InvalidError.

    With its uid, so that another object that has its name by now stays as it is.
    """
    metadata = changes.get("metadata")
    own = {**(metadata if isinstance(metadata, dict) else {}), "uid": item.metadata.uid}
    resource, namespace, name = _resource(item), item.metadata.namespace, item.metadata.name
    try:
        await kube.patch(resource, namespace, name, changes | {"metadata": own}, manager=MANAGER)
    except (NotFoundError, ConflictError):
        return False
    except InvalidError:  # of the change, or of the uid
        now = await kube.find(resource, namespace, name)
        if now is not None and _uid(now) == item.metadata.uid:
            raise
        return False
    return True


async def delete_with_secrets(kube: Kube, item: Federation | FederationPeer) -> None:
    """Delete an object, and before it the Secrets that the gateway made for it.

    In this order a repeat after a crash finds the object, and with it what is left to do. Secrets in use have
    a finalizer of the operator's and go when it lets them.
    """
    namespace = item.metadata.namespace
    for name in own_secrets(item):
        try:
            await kube.delete(SECRETS, namespace, name)
        except ForbiddenError as error:
            _logger.warning("Secret %s/%s is left behind: %s", namespace, name, error)
    await kube.delete(_resource(item), namespace, item.metadata.name, uid=item.metadata.uid)


async def create_last(
    kube: Kube, namespace: str, peer: JsonObject, made: Sequence[JsonObject], taken: TakenError
) -> JsonObject:
    """Create a request's last object, its peer; when it is refused, `made` by this request goes again.

    Not when nobody knows whether it was created, or an equal request has created it: then `made` is in use
    or soon will be. Raises `taken` when the name is, KubeError.
    """
    try:
        return await kube.create(PEERS, namespace, peer)
    except ConflictError as error:
        existing = await kube.find(PEERS, namespace, _name(peer))
        if existing is None or _digest(existing) != _digest(peer):
            await take_away(kube, namespace, made)
        raise taken from error
    except (InvalidError, ForbiddenError):
        await take_away(kube, namespace, made)
        raise


async def take_away(kube: Kube, namespace: str, made: Sequence[JsonObject]) -> None:
    """Delete what a request has made, last made first; what cannot be deleted stays, and the log says so."""
    for item in reversed(made):
        resource = SECRETS if item["kind"] == SECRETS.kind else FEDERATIONS
        try:
            await kube.delete(resource, namespace, _name(item), uid=_uid(item))
        except KubeError as error:
            _logger.warning("%s %s/%s is left behind: %s", item["kind"], namespace, _name(item), error)


async def find_secret(kube: Kube, namespace: str, name: str) -> JsonObject | None:
    """A Secret; None while it, or the right to read it, is not there."""
    try:
        return await kube.get(SECRETS, namespace, name)
    except (NotFoundError, ForbiddenError):
        return None


async def read_secret_text(kube: Kube, namespace: str, name: str, key: str) -> str | None:
    """One entry of a Secret; None while it, or the right to read it, is not there."""
    secret = await find_secret(kube, namespace, name)
    return None if secret is None else secret_text(secret, key)


def secret_text(secret: JsonObject, key: str) -> str | None:
    """One entry of a Secret that was read; None when it is not there, or no text."""
    data = secret.get("data")
    value = data.get(key) if isinstance(data, dict) else None
    try:
        return base64.b64decode(str(value), validate=True).decode() if value else None
    except (binascii.Error, UnicodeDecodeError):
        return None


async def poll(read: Callable[[], Awaitable[Found | None]], seconds: float) -> Found | None:
    """Read until there is something, for at most that many seconds; None when the time is over.

    Single objects are polled: a watch on Secrets is a right that the gateway does not have.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        found = await read()
        if found is not None or asyncio.get_running_loop().time() + POLL_SECONDS > deadline:
            return found
        await asyncio.sleep(POLL_SECONDS)


def _resource(item: Federation | FederationPeer) -> Resource:
    return PEERS if isinstance(item, FederationPeer) else FEDERATIONS


def _name(manifest: JsonObject) -> str:
    metadata = manifest["metadata"]
    return str(metadata["name"]) if isinstance(metadata, dict) else ""


def _uid(item: JsonObject) -> str | None:
    metadata = item["metadata"]
    uid = metadata.get("uid") if isinstance(metadata, dict) else None
    return str(uid) if uid else None


def _is_terminating(item: JsonObject) -> bool:
    metadata = item.get("metadata")
    return isinstance(metadata, dict) and bool(metadata.get("deletionTimestamp"))


def _digest(item: JsonObject) -> str | None:
    metadata = item.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    digest = annotations.get(REQUEST_DIGEST) if isinstance(annotations, dict) else None
    return str(digest) if digest else None


def _age(peer: FederationPeer) -> tuple[str, str]:
    created = peer.metadata.creation_timestamp
    return (created.isoformat() if created else "", peer.metadata.name)
