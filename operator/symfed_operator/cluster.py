"""How the operator reads and writes objects: with the uid, as one field manager, status on a difference."""

import base64
import hashlib
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from pydantic import JsonValue

from symfed_operator.errors import ForeignObjectError
from symfed_wire.documents import WireModel
from symfed_wire.errors import MalformedError
from symfed_wire.kube import EVENTS, JsonObject, Kube, Resource
from symfed_wire.kube_errors import ConflictError, NotFoundError
from symfed_wire.names import FINALIZER, RECONCILE
from symfed_wire.resources import Federation, FederationPeer, ObjectMeta

MANAGER: Final = "symfed-operator"
LABEL_NAME: Final = "app.kubernetes.io/name"
LABEL_INSTANCE: Final = "app.kubernetes.io/instance"
LABEL_COMPONENT: Final = "app.kubernetes.io/component"
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"

_log = logging.getLogger(__name__)


class OwnerReference(WireModel):
    """What symfed reads of an owner reference."""

    uid: str


class ChildMeta(ObjectMeta):
    """Metadata of an object that the operator made, or not."""

    owner_references: tuple[OwnerReference, ...] = ()


class SecretObject(WireModel):
    """A Secret as it is read."""

    metadata: ChildMeta
    type: str = "Opaque"
    data: Mapping[str, str] = {}

    def text(self, key: str) -> str | None:
        """The text under a key, or None when there is no such key. Raises MalformedError."""
        if key not in self.data:
            return None
        try:
            return base64.b64decode(self.data[key]).decode()
        except UnicodeDecodeError:  # its message would hold the bytes
            raise MalformedError(f"Secret {self.metadata.name}, key {key}: not a text in UTF-8") from None


class _Child(WireModel):
    metadata: ChildMeta


def secret_data(texts: Mapping[str, str]) -> dict[str, JsonValue]:
    """A Secret's `data` of texts. Not `stringData`, which server-side apply does not take back."""
    return {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}


def is_paused(meta: ObjectMeta) -> bool:
    """A user told the operator to leave the object alone."""
    return meta.annotations.get(RECONCILE) == "paused"


def owner_reference(owner: Federation | FederationPeer) -> JsonObject:
    """The reference by which a child dies with its owner."""
    return {
        "apiVersion": owner.api_version,
        "kind": owner.kind,
        "name": owner.metadata.name,
        "uid": owner.metadata.uid,
        "controller": True,
    }


async def apply_child(kube: Kube, resource: Resource, body: JsonObject) -> JsonObject:
    """Server-side apply of a child: made when it is not there, else only if it is ours, by its uid.

    Raises:
        ForeignObjectError: an object of this name exists and is not ours.
        ConflictError: it has just been replaced by another; the next reconcile sees that one.
    """
    meta = _Child.model_validate(body).metadata
    found = await kube.find(resource, meta.namespace, meta.name)
    if found is None:
        made = await kube.apply(resource, body, manager=MANAGER)
        _log.info("made %s %s/%s", resource.kind, meta.namespace, meta.name)
        return made
    existing = _Child.model_validate(found).metadata
    _check_ours(resource, existing, meta)
    applied = await kube.apply(resource, _with_uid(body, existing.uid), manager=MANAGER)
    if _Child.model_validate(applied).metadata.resource_version != existing.resource_version:
        _log.info("changed %s %s/%s", resource.kind, meta.namespace, meta.name)
    return applied


async def create_child(kube: Kube, resource: Resource, body: JsonObject) -> None:
    """Make a child once and never change it. Raises ForeignObjectError."""
    meta = _Child.model_validate(body).metadata
    found = await kube.find(resource, meta.namespace, meta.name)
    if found is None:
        await kube.create(resource, meta.namespace, body)
        _log.info("made %s %s/%s", resource.kind, meta.namespace, meta.name)
    else:
        _check_ours(resource, _Child.model_validate(found).metadata, meta)


async def delete_child(kube: Kube, resource: Resource, namespace: str, name: str) -> None:
    """Delete a child, if it is there and ours."""
    found = await kube.find(resource, namespace, name)
    if found is None:
        return
    meta = _Child.model_validate(found).metadata
    if meta.labels.get(LABEL_MANAGED_BY) == MANAGER and meta.deletion_timestamp is None:
        await kube.delete(resource, namespace, name, uid=meta.uid)
        _log.info("deleted %s %s/%s", resource.kind, namespace, name)


def _check_ours(resource: Resource, existing: ChildMeta, wanted: ChildMeta) -> None:
    owners = {owner.uid for owner in existing.owner_references}
    is_ours = existing.labels.get(LABEL_MANAGED_BY) == MANAGER
    if not is_ours or not {owner.uid for owner in wanted.owner_references} <= owners:
        raise ForeignObjectError(
            f"{resource.kind} {existing.namespace}/{existing.name} exists and belongs to something else; "
            "delete it or choose another name"
        )


def _with_uid(body: JsonObject, uid: str) -> JsonObject:
    metadata = body["metadata"]
    if not isinstance(metadata, dict):
        raise TypeError("an applied object needs metadata")
    return {**body, "metadata": {**metadata, "uid": uid}}


async def apply_status(kube: Kube, resource: Resource, meta: ObjectMeta, status: JsonObject) -> None:
    """Server-side apply of the operator's part of a status; what is left out is removed."""
    identity: JsonObject = {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid}
    await kube.apply(
        resource, {"metadata": identity, "status": status}, manager=MANAGER, subresource="status"
    )


async def add_finalizer(kube: Kube, resource: Resource, meta: ObjectMeta) -> None:
    """Nobody removes the object before the operator has settled the outside."""
    if FINALIZER not in meta.finalizers:
        identity: JsonObject = {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid}
        await kube.apply(resource, {"metadata": {**identity, "finalizers": [FINALIZER]}}, manager=MANAGER)


async def remove_finalizer(kube: Kube, resource: Resource, meta: ObjectMeta) -> None:
    """The outside is settled: let the object go.

    By a patch at a resourceVersion and not by apply, since the finalizer may have other managers.
    """
    found = await kube.find(resource, meta.namespace, meta.name)
    if found is None:
        return
    fresh = _Child.model_validate(found).metadata
    if fresh.uid != meta.uid or FINALIZER not in fresh.finalizers:
        return
    kept: list[JsonValue] = [finalizer for finalizer in fresh.finalizers if finalizer != FINALIZER]
    patch: JsonObject = {"metadata": {"resourceVersion": fresh.resource_version, "finalizers": kept}}
    try:
        await kube.patch(resource, meta.namespace, meta.name, patch, manager=MANAGER)
    except NotFoundError:
        return
    _log.info("let %s %s/%s go", resource.kind, meta.namespace, meta.name)


async def write_event(
    kube: Kube, resource: Resource, namespace: str, involved: ObjectMeta, reason: str, message: str
) -> None:
    """A warning event about an object, once for each text, in the namespace where it is to be seen."""
    digest = hashlib.sha256(f"{involved.uid}\n{reason}\n{message}".encode()).hexdigest()[:16]
    now = datetime.now(UTC).replace(microsecond=0).isoformat()
    body: JsonObject = {
        "metadata": {"name": f"{involved.name}.{digest}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "name": involved.name,
            "uid": involved.uid,
            "namespace": namespace,  # the API server wants the event's own, even for a Namespace
        },
        "type": "Warning",
        "reason": reason,
        "message": message,
        "source": {"component": MANAGER},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    try:
        await kube.create(EVENTS, namespace, body)
    except ConflictError:
        return
