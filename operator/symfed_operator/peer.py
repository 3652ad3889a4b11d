"""The reconcile of a FederationPeer: identity, place in the federation, child objects, conditions."""

import secrets
import uuid
from collections.abc import Sequence

from symfed_operator import departure
from symfed_operator.backends.base import BackendError, PeerSide
from symfed_operator.backends.nats import keys
from symfed_operator.cluster import add_finalizer, apply_child, create_child, is_paused
from symfed_operator.conditions import failed, false, summary, true
from symfed_operator.context import Context
from symfed_operator.credentials import follow
from symfed_operator.errors import raise_first
from symfed_operator.granted import Place, find_place
from symfed_operator.manifests import (
    NodeSettings,
    claim_name,
    node_children,
    node_secret_manifest,
    token_secret_manifest,
)
from symfed_operator.members import live_peers, remote_identity
from symfed_operator.namespaces import no_customer, read_namespace
from symfed_operator.node_status import node_ready, volume_not_resized
from symfed_operator.own_side import OwnSide, membership_of, own_side
from symfed_operator.peer_status import telling, write_status
from symfed_operator.queue import Key, federation_key
from symfed_operator.records import (
    MemberRecord,
    PeerRecord,
    Stored,
    member_record_name,
    new_peer_record,
    peer_record_name,
)
from symfed_operator.settings import Settings
from symfed_operator.slots import choose_slot, project_holder
from symfed_operator.statefulset import stateful_set
from symfed_wire.errors import SymfedError
from symfed_wire.join import JoinAnswer
from symfed_wire.kube import (
    EVENTS,
    NETWORK_POLICIES,
    PEERS,
    PODS,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    STATEFUL_SETS,
    VOLUME_CLAIMS,
    JsonObject,
    Kube,
)
from symfed_wire.kube_errors import ForbiddenError, InvalidError
from symfed_wire.node_config import NodeConfig
from symfed_wire.resources import Condition, FederationPeer, ObjectMeta, PeerStatus

_TOKEN_BYTES = 32
_STARTING_SECONDS = 10.0


async def reconcile(context: Context, key: Key) -> float | None:
    """Bring a FederationPeer to what it says. Returns the seconds until it is to be looked at again."""
    found = await context.kube.find(PEERS, key.namespace, key.name)
    if found is None:
        context.calls.forget(key, "join")
        context.calls.forget(key, "leave")
        return None
    peer = FederationPeer.model_validate(found)
    if is_paused(peer.metadata):
        return context.settings.drift_seconds
    if peer.metadata.deletion_timestamp is not None:
        async with telling(context, peer, "NodeReady" if peer.is_hosted else "Granted"):
            return await departure.reconcile(context, peer)
    if peer.is_remote:
        return await _reconcile_remote(context, peer)
    return await _reconcile_hosted(context, peer)


async def _reconcile_remote(context: Context, peer: FederationPeer) -> float | None:
    """Its federation grants it; here the condition that says so."""
    await add_finalizer(context.kube, PEERS, peer.metadata)
    async with telling(context, peer, "Granted"):
        if peer.spec.remote is not None:
            remote_identity(peer, peer.spec.remote)
        stored = await context.records.find(member_record_name(peer.metadata.uid), MemberRecord)
    if stored is not None and stored.record.answer is not None:
        granted = true("Granted", "Granted", "the member has its place, and its operator may fetch the grant")
    else:
        granted = false("Granted", "AwaitingFederation", "its Federation has not granted it yet")
        key = federation_key(peer)
        if key is not None:
            context.queue.add(key)
    remote = peer.spec.remote
    status = PeerStatus(
        uuid=remote.uuid if remote else None, identity_key=remote.identity_key if remote else None
    )
    await write_status(context, peer, status, [summary([granted]), granted])
    return context.settings.drift_seconds


async def _reconcile_hosted(context: Context, peer: FederationPeer) -> float | None:
    async with context.slot_locks[peer.metadata.namespace]:
        everybody = await live_peers(context, peer.metadata.namespace)
        obstacle = await _obstacle(context, peer, everybody)
        if obstacle is not None:
            await write_status(context, peer, peer.status, [obstacle])
            return context.settings.drift_seconds
        async with telling(context, peer, "NodeReady"):
            await add_finalizer(context.kube, PEERS, peer.metadata)
            await follow(context.kube, peer)
            name = peer_record_name(peer.metadata.uid)
            stored = await context.records.ensure(name, PeerRecord, _new_record)
            peer = await _identified(context, peer, stored.record, everybody)
    async with telling(context, peer, "Joined"):
        place = await find_place(context, peer, stored)
    parts = [] if place.joined is None else [place.joined]
    own = OwnSide()
    async with telling(context, peer, "BackendReady", parts):
        if place.answer is not None:
            own = await own_side(context, peer, stored.record, place.answer)
            stored = await _keep_answer(context, peer, stored, place.answer, own)
    # A node goes on with what it has while its side outside cannot be mended, so that is raised last.
    faults: list[SymfedError] = []
    if own.side is not None:
        parts.append(await _apply_side(own.side, faults, has_joined=parts[0].status == "True"))
    async with telling(context, peer, "NodeReady", parts):
        ready = await _apply_children(context, peer, stored.record, place, own)
    parts.append(ready)
    status = peer.status.model_copy(update={"queue_url": own.queue_url})
    await write_status(context, peer, status, [summary(parts), *parts])
    raise_first(faults)
    # No watch tells that a pod could not be made, so a node that is not there yet is looked at soon.
    is_coming = place.may_start and ready.status != "True"
    return (
        min(_STARTING_SECONDS, context.settings.drift_seconds)
        if is_coming
        else context.settings.drift_seconds
    )


async def _keep_answer(
    context: Context, peer: FederationPeer, stored: Stored[PeerRecord], answer: JoinAnswer, own: OwnSide
) -> Stored[PeerRecord]:
    """The federation forgets a member before the peer goes, which then has to find what it made outside."""
    if own.side is None or peer.spec.federation_ref is None or stored.record.beside is not None:
        return stored
    return await context.records.replace(stored, stored.record.model_copy(update={"beside": answer}))


async def _apply_side(side: PeerSide, faults: list[SymfedError], *, has_joined: bool) -> Condition:
    """What the peer has outside by its own operator; a peer that was removed keeps what is there."""
    if not has_joined:
        return true("BackendReady", "Removed", "kept as it is until this peer is deleted")
    try:
        return true("BackendReady", "Current", await side.apply())
    except BackendError as error:
        faults.append(error)
        return failed("BackendReady", error)


async def _obstacle(
    context: Context, peer: FederationPeer, everybody: Sequence[FederationPeer]
) -> Condition | None:
    """Why nothing can be made for this object: its namespace is no customer's or goes, or a project twice."""
    meta = peer.metadata
    namespace = await read_namespace(context.kube, meta.namespace)
    if namespace.customer is None:
        return no_customer("Ready", namespace)
    if namespace.is_terminating:
        text = f"namespace {meta.namespace} is being deleted: nothing is made for this peer any more"
        return false("Ready", "NamespaceTerminating", text)
    same = [other for other in everybody if other.spec.project == peer.spec.project]
    holder = project_holder(same) if same else peer
    if holder.metadata.uid != meta.uid:
        text = f"FederationPeer {holder.metadata.name} has the project {peer.spec.project} already"
        return false("Ready", "NameTaken", text)
    return None


async def _customer(context: Context, namespace: str) -> str | None:
    return (await read_namespace(context.kube, namespace)).customer


async def _identified(
    context: Context, peer: FederationPeer, record: PeerRecord, everybody: Sequence[FederationPeer]
) -> FederationPeer:
    """The peer with uuid, identity key and slot in its status, written before anything uses them."""
    mine = [other for other in everybody if other.metadata.uid == peer.metadata.uid]
    peer = mine[0] if mine else peer
    slot = choose_slot(peer, everybody)
    update = {"uuid": record.uuid, "identity_key": record.identity_key, "slot": slot}
    status = peer.status.model_copy(update=update)
    is_new = peer.status.uuid is None
    await write_status(context, peer, status, None)
    key = federation_key(peer)
    if is_new and key is not None:
        context.queue.add(key)
    return peer.model_copy(update={"status": status})


async def _apply_children(
    context: Context, peer: FederationPeer, record: PeerRecord, place: Place, own: OwnSide
) -> Condition:
    """All child objects, once the node may start. Returns `NodeReady`."""
    kube, meta = context.kube, peer.metadata
    if not place.may_start:
        return node_ready(None, None)
    settings = node_settings(context.settings)
    config = await _node_config(context, peer, record, place, own)
    children = node_children(peer, settings, own.aws)
    await create_child(kube, SECRETS, token_secret_manifest(peer, secrets.token_urlsafe(_TOKEN_BYTES)))
    await apply_child(kube, SECRETS, node_secret_manifest(peer, config))
    refused = None
    if children.volume_claim is not None:
        refused = await _apply_claim(kube, peer, children.volume_claim)
    await apply_child(kube, SERVICE_ACCOUNTS, children.service_account)
    await apply_child(kube, ROLES, children.role)
    await apply_child(kube, ROLE_BINDINGS, children.role_binding)
    await apply_child(kube, SERVICES, children.service)
    await apply_child(kube, NETWORK_POLICIES, children.network_policy)
    applied = await apply_child(kube, STATEFUL_SETS, stateful_set(peer, config, settings, own.aws))
    pod = await kube.find(PODS, meta.namespace, f"{meta.name}-0")
    ready = node_ready(
        applied, pod, [] if pod else await _failures_to_create(context, meta.namespace, applied)
    )
    return ready if refused is None else volume_not_resized(ready, peer.spec.storage.size, refused)


async def _apply_claim(
    kube: Kube, peer: FederationPeer, claim: JsonObject
) -> ForbiddenError | InvalidError | None:
    """Returns the refusal of a change, since the node goes on with the claim as it is."""
    try:
        await apply_child(kube, VOLUME_CLAIMS, claim)
    except (ForbiddenError, InvalidError) as error:
        if await kube.find(VOLUME_CLAIMS, peer.metadata.namespace, claim_name(peer) or "") is None:
            raise  # without a claim there is no node
        return error
    return None


async def _failures_to_create(context: Context, namespace: str, owner: JsonObject) -> list[JsonObject]:
    """The Events that tell why an object's controller could not make its pod."""
    uid = ObjectMeta.model_validate(owner["metadata"]).uid
    return await context.kube.list_all(
        EVENTS, namespace, fields=f"involvedObject.uid={uid},reason=FailedCreate"
    )


async def _node_config(
    context: Context, peer: FederationPeer, record: PeerRecord, place: Place, own: OwnSide
) -> NodeConfig:
    # The operator's own nodes reach its own NATS by the inner addresses.
    is_inside = peer.spec.federation_ref is not None and own.side is None
    hosts = context.settings.nats_internal_hosts if is_inside else ()
    told = own.side.told if own.side else None
    return NodeConfig(
        customer=await _customer(context, peer.metadata.namespace) or "",
        project=peer.spec.project or "",
        namespace=peer.metadata.namespace,
        name=peer.metadata.name,
        object_uid=peer.metadata.uid,
        slot=peer.status.slot or 0,
        compute=peer.spec.compute.type,
        uuid=record.uuid,
        secrets=record.secrets,
        membership=membership_of(place.answer, record.uuid, told, hosts) if place.answer else None,
    )


def node_settings(settings: Settings) -> NodeSettings:
    """What all nodes have in common, out of the operator's settings."""
    return NodeSettings(
        image=settings.node_image,
        gpu_image=settings.node_gpu_image or settings.node_image,
        pull_policy=settings.node_image_pull_policy,
        gateway_namespace=settings.gateway_namespace,
    )


def _new_record() -> PeerRecord:
    return new_peer_record(str(uuid.uuid4()), keys.new_user_seed(), keys.new_user_seed())
