"""The reconcile of a customer's namespace: the gateway's Role there, and the sweep of its old records."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import AwareDatetime, JsonValue, ValidationError

from symfed_operator.cluster import apply_child, delete_child, write_event
from symfed_operator.context import Context
from symfed_operator.manifests import labels
from symfed_operator.namespaces import NamespaceObject
from symfed_operator.queue import Key, peer_key
from symfed_wire.documents import WireModel
from symfed_wire.kube import (
    CONFIG_MAPS,
    FEDERATIONS,
    NAMESPACES,
    PEERS,
    ROLE_BINDINGS,
    ROLES,
    JsonObject,
)
from symfed_wire.names import (
    CUSTOMER_LABEL,
    INVITATION,
    JOB_LABEL,
    customer_secret,
    federation_secret,
    grant_secret,
    token_secret,
)
from symfed_wire.resources import Federation, FederationPeer, ObjectMeta, find_condition

ROLE = "symfed-gateway"
JOB_KEPT = timedelta(hours=1)

_log = logging.getLogger(__name__)


class Invitation(WireModel):
    """The ConfigMap of an invitation: `expires` in RFC 3339; `uuid` is there once it is claimed."""

    expires: AwareDatetime
    uuid: str = ""


class JobRecord(WireModel):
    """What is read of the ConfigMap of a gateway's job: `started` in RFC 3339."""

    started: AwareDatetime


class _ConfigMap(WireModel):
    metadata: ObjectMeta
    data: Mapping[str, str] = {}


@dataclass(frozen=True)
class GatewaySecrets:
    """The Secrets of one customer that the gateway knows, by name."""

    readable: tuple[str, ...]
    removable: tuple[str, ...]


async def reconcile(context: Context, key: Key) -> float | None:
    """Keep the gateway's rights in a namespace. Returns the seconds until the next look."""
    found = await context.kube.find(NAMESPACES, None, key.name)
    if found is None:
        return None
    namespace = NamespaceObject.model_validate(found)
    if namespace.is_terminating:
        return None
    customer = namespace.customer
    if customer is None:
        await _withdraw(context, key.name)
        return None
    rivals = await _rivals(context, namespace, customer)
    if rivals:
        await _withdraw(context, key.name)
        text = (
            f"the customer {customer} is also claimed by {', '.join(rivals)}: neither is served; "
            f"remove the label {CUSTOMER_LABEL} from one"
        )
        await write_event(context.kube, NAMESPACES, key.name, namespace.metadata, "CustomerTaken", text)
        _log.warning("namespace %s: %s", key.name, text)
        return context.settings.drift_seconds
    await _grant(context, key.name)
    await _sweep(context, key.name, INVITATION, is_expired)
    await _sweep(context, key.name, JOB_LABEL, is_old_job)
    return context.settings.drift_seconds


async def _rivals(context: Context, namespace: NamespaceObject, customer: str) -> list[str]:
    items = await context.kube.list_all(NAMESPACES, labels=f"{CUSTOMER_LABEL}={customer}")
    names = {NamespaceObject.model_validate(item).metadata.name for item in items}
    return sorted(names - {namespace.metadata.name})


async def _grant(context: Context, namespace: str) -> None:
    federations = [
        Federation.model_validate(item) for item in await context.kube.list_all(FEDERATIONS, namespace)
    ]
    peers = [FederationPeer.model_validate(item) for item in await context.kube.list_all(PEERS, namespace)]
    settings = context.settings
    role = gateway_role(namespace, gateway_secrets(federations, peers))
    binding = gateway_role_binding(namespace, settings.gateway_namespace, settings.gateway_account_name)
    await apply_child(context.kube, ROLES, role)
    await apply_child(context.kube, ROLE_BINDINGS, binding)
    for peer in peers:
        if peer.is_hosted and peer.status.uuid is None:  # made before its namespace was a customer's
            context.queue.add(peer_key(peer.metadata))
    for federation in federations:
        ready = find_condition(federation.status.conditions, "Ready")
        if ready is not None and ready.reason == "NoCustomer":
            context.queue.add(Key("federation", namespace, federation.metadata.name))


async def _withdraw(context: Context, namespace: str) -> None:
    await delete_child(context.kube, ROLE_BINDINGS, namespace, ROLE)
    await delete_child(context.kube, ROLES, namespace, ROLE)


def gateway_secrets(federations: Sequence[Federation], peers: Sequence[FederationPeer]) -> GatewaySecrets:
    """The names that the gateway may read, and those that it may remove: what it made itself."""
    readable = [customer_secret()]
    readable += [federation_secret(federation.metadata.name) for federation in federations]
    readable += [token_secret(peer.metadata.name) for peer in peers if peer.is_hosted]
    readable += [grant_secret(peer.spec.remote.uuid) for peer in peers if peer.spec.remote is not None]
    removable = [*_named_by_federations(federations), *_named_by_peers(peers)]
    return GatewaySecrets(tuple(sorted(set(readable))), tuple(sorted(set(removable))))


def _named_by_federations(federations: Sequence[Federation]) -> Iterable[str]:
    """Credentials that the gateway made for a federation, by the form of their names."""
    for federation in federations:
        backends = (federation.spec.nats, federation.spec.aws)
        references = [backend.credentials_secret_ref for backend in backends if backend is not None]
        prefix = f"{federation.metadata.name}-credentials-"
        yield from (ref.name for ref in references if ref is not None and ref.name.startswith(prefix))


def _named_by_peers(peers: Sequence[FederationPeer]) -> Iterable[str]:
    """Invitations and credentials that the gateway made for a peer, by the form of their names.

    Any other name is a user's own: naming a Secret in a spec must not open it to the gateway.
    """
    for peer in peers:
        credentials = peer.spec.aws.credentials_secret_ref if peer.spec.aws else None
        references = [peer.spec.invitation_secret_ref, credentials]
        prefixes = (f"{peer.metadata.name}-invitation-", f"{peer.metadata.name}-credentials-")
        yield from (ref.name for ref in references if ref is not None and ref.name.startswith(prefixes))


def gateway_role(namespace: str, secrets: GatewaySecrets) -> JsonObject:
    """What the gateway may do in a customer's namespace."""
    rules: list[JsonValue] = [
        _rule("secrets", ["get"], secrets.readable),
        _rule("secrets", ["create"]),  # RBAC cannot name what does not exist yet
        _rule("configmaps", ["create", "delete", "get", "list", "update"]),  # invitations and jobs
    ]
    if secrets.removable:
        rules.append(_rule("secrets", ["delete", "get"], secrets.removable))
    return {"metadata": _metadata(namespace), "rules": rules}


def gateway_role_binding(namespace: str, account_namespace: str, account: str) -> JsonObject:
    """The gateway's ServiceAccount has the Role."""
    return {
        "metadata": _metadata(namespace),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ROLE},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": account_namespace}],
    }


def is_expired(data: Mapping[str, str], now: datetime) -> bool:
    """Whether an invitation lapsed before anybody claimed it. One that cannot be read stays."""
    try:
        invitation = Invitation.model_validate(data)
    except ValidationError:
        return False
    return not invitation.uuid and invitation.expires < now


def is_old_job(data: Mapping[str, str], now: datetime) -> bool:
    """Whether a job of the gateway's was begun long ago. One that cannot be read stays."""
    try:
        return JobRecord.model_validate(data).started + JOB_KEPT < now
    except ValidationError:
        return False


async def _sweep(
    context: Context, namespace: str, label: str, is_over: Callable[[Mapping[str, str], datetime], bool]
) -> None:
    """Delete the records with this label that are over."""
    for item in await context.kube.list_all(CONFIG_MAPS, namespace, labels=f"{label}=true"):
        found = _ConfigMap.model_validate(item)
        if is_over(found.data, context.now()):
            await context.kube.delete(CONFIG_MAPS, namespace, found.metadata.name, uid=found.metadata.uid)
            _log.info("deleted the old record %s/%s", namespace, found.metadata.name)


def _rule(resource: str, verbs: Sequence[str], names: Sequence[str] = ()) -> JsonObject:
    rule: JsonObject = {"apiGroups": [""], "resources": [resource], "verbs": list(verbs)}
    return {**rule, "resourceNames": list(names)} if names else rule


def _metadata(namespace: str) -> JsonObject:
    return {"name": ROLE, "namespace": namespace, "labels": labels(ROLE, "gateway")}
