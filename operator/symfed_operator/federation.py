"""The reconcile of a Federation: accounts, document, grants, conditions; once more each time."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from symfed_operator.backends.base import Backend, WantedFederation
from symfed_operator.backends.nats import keys
from symfed_operator.cluster import (
    add_finalizer,
    apply_child,
    apply_status,
    is_paused,
    remove_finalizer,
)
from symfed_operator.conditions import false, is_same_status, true
from symfed_operator.context import Context
from symfed_operator.credentials import follow, nats_login, release, shown_login
from symfed_operator.documents import is_still_good, read_document, with_next_document
from symfed_operator.errors import noting, raise_first
from symfed_operator.federation_status import (
    Outside,
    current_message,
    failed_conditions,
    is_managed,
    name_taken,
    next_status,
    no_customer_conditions,
    oldest_rival,
    standing_conditions,
    unsupported_conditions,
)
from symfed_operator.manifests import federation_secret_manifest, grant_secret_manifest
from symfed_operator.members import ListedMember, Membership, live_members, membership
from symfed_operator.namespaces import read_namespace
from symfed_operator.queue import Key, peer_key
from symfed_operator.records import (
    FederationRecord,
    Stored,
    federation_record_name,
    new_federation_record,
)
from symfed_operator.removal import leaving_backend, remove_members
from symfed_operator.retention import free, retain, with_retained
from symfed_wire.documents import Signed
from symfed_wire.errors import SymfedError
from symfed_wire.join import AwsGrant, JoinAnswer, NatsGrant
from symfed_wire.kube import FEDERATIONS, SECRETS
from symfed_wire.kube_errors import ConflictError, NotFoundError
from symfed_wire.names import DOCUMENT_KEY, GRANT_FILE, JOIN_KEY
from symfed_wire.quantities import parse_quantity
from symfed_wire.resources import Condition, Federation, Nats

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Settled:
    """A federation once its document says who belongs and those who leave are out.

    `left_out` are the words about peers that cannot be members, `faults` the errors of removals.
    """

    record: FederationRecord
    wanted: WantedFederation
    document: Signed
    active: tuple[ListedMember, ...]
    left_out: tuple[str, ...]
    faults: tuple[SymfedError, ...]


async def reconcile(context: Context, key: Key) -> float | None:
    """Bring a Federation to what it says. Returns the seconds until it is to be looked at again."""
    found = await context.kube.find(FEDERATIONS, key.namespace, key.name)
    if found is None:
        return None
    federation = Federation.model_validate(found)
    if is_paused(federation.metadata):
        return context.settings.drift_seconds
    try:
        if federation.metadata.deletion_timestamp is not None:
            return await _reconcile_deleted(context, federation)
        return await _reconcile_wanted(context, federation)
    except (ConflictError, NotFoundError):
        raise  # somebody wrote in between; the next look sees it
    except SymfedError as error:
        await _write_status(context, federation, failed_conditions(federation, error))
        raise


async def _reconcile_wanted(context: Context, federation: Federation) -> float:
    namespace = await read_namespace(context.kube, federation.metadata.namespace)
    obstacles = (
        no_customer_conditions(namespace)
        or unsupported_conditions(federation)
        or await _taken(context, federation)
    )
    if obstacles or namespace.is_terminating:
        await _settle_leaving(context, federation, is_going=namespace.is_terminating)
        if obstacles:
            await _write_status(context, federation, obstacles)
        return context.settings.drift_seconds
    await add_finalizer(context.kube, FEDERATIONS, federation.metadata)
    await follow(context.kube, federation)
    outside = await _settle(context, federation)
    backend = true("BackendReady", "Current", current_message(federation, outside))
    await _write_status(context, federation, [*standing_conditions(federation), backend], outside)
    return context.settings.drift_seconds


async def _settle(context: Context, federation: Federation) -> Outside:
    """Make outside what the live list of members says, and tell everybody."""
    stored = await context.records.ensure(
        federation_record_name(federation.metadata.uid),
        FederationRecord,
        lambda: new_federation_record(keys.new_federation_seeds()),
    )
    backend = await context.backends.of(federation)
    # First of all: what leaves makes room for what comes, and waits for nothing that may fail.
    settled = await _settle_members(context, backend, federation, stored, admits=True, retains=False)
    await _apply_federation_secret(context, federation, settled.record)
    applied = await backend.apply(settled.wanted)
    faults: list[SymfedError] = [*settled.faults, *applied.faults]
    await backend.publish_document(settled.wanted, settled.document)
    for member in settled.active:
        grant = applied.grants.get(member.identity.uuid)
        if grant is None:
            continue
        answer = JoinAnswer(
            federation=federation.metadata.uid,
            document_key=settled.record.document_key,
            document=settled.document,
            nats=grant if isinstance(grant, NatsGrant) else None,
            aws=grant if isinstance(grant, AwsGrant) else None,
        )
        with noting(faults, f"federation {federation.metadata.uid}: granting {member.peer.metadata.name}"):
            await _store_answer(context, member, answer)
    raise_first(faults)
    account = keys.public_key(settled.record.seeds.account) if is_managed(federation) else None
    return Outside(account, applied.topic_arn, len(settled.active), settled.left_out, applied.notes)


async def _settle_leaving(context: Context, federation: Federation, *, is_going: bool) -> None:
    """What a federation that takes in nobody any more owes to those who leave.

    Nothing is made in its namespace, which may be terminating. Of one that goes itself the policy says what
    becomes of their snapshots.
    """
    stored = await context.records.find(federation_record_name(federation.metadata.uid), FederationRecord)
    if stored is not None:
        retains = is_going and federation.spec.deletion_policy == "Retain"
        backend = await leaving_backend(context, federation)
        settled = await _settle_members(context, backend, federation, stored, admits=False, retains=retains)
        raise_first(settled.faults)


async def _settle_members(
    context: Context,
    backend: Backend,
    federation: Federation,
    stored: Stored[FederationRecord],
    *,
    admits: bool,
    retains: bool,
) -> _Settled:
    """Say who belongs, then remove those who leave. Writes in the operator's own namespace only."""
    meta = federation.metadata
    async with context.member_locks[Key("federation", meta.namespace, meta.name)]:
        members = await membership(context, federation, backend, admits=admits)
    wanted = wanted_federation(federation, stored.record, members.active)
    stored = await _store_document(context, backend, federation, stored, members, retains=retains)
    document = stored.record.document
    if document is None:
        raise TypeError("a document is stored before anything is published")
    faults: list[SymfedError] = []
    if members.leaving or not admits:
        faults = await remove_members(context, backend, wanted, document, members.leaving, retains=retains)
    left_out = tuple(str(error) for error in members.left_out)
    return _Settled(stored.record, wanted, document, members.active, left_out, tuple(faults))


async def _store_document(
    context: Context,
    backend: Backend,
    federation: Federation,
    stored: Stored[FederationRecord],
    members: Membership,
    *,
    retains: bool,
) -> Stored[FederationRecord]:
    """Make the next version when anything changed, and keep it before anybody sees it."""
    uid = federation.metadata.uid
    active = [member.active(backend.address_of(uid, member.wanted)) for member in members.active]
    record = with_next_document(stored.record, federation, active, context.now())
    if retains and is_managed(federation):
        record = with_retained(record, members.leaving)
    if record == stored.record:
        return stored
    document = read_document(record)
    _log.info(
        "federation %s: document version %d, %d active members",
        federation.metadata.name,
        document.version if document else 0,
        len(active),
    )
    return await context.records.replace(stored, record)


async def _store_answer(context: Context, member: ListedMember, new: JoinAnswer) -> None:
    """Keep what the member was granted, where its reconcile or the admin's gateway finds it.

    An answer whose grant holds is kept, though its document is an old one: that is only the first.
    """
    meta, old = member.peer.metadata, member.stored.record.answer
    is_good = old is not None and is_still_good(old, member.identity.uuid, new)
    answer = old if old is not None and is_good else new
    if not is_good:
        record = member.stored.record.model_copy(update={"answer": new})
        await context.records.replace(member.stored, record)
        _log.info("federation %s: granted member %s/%s", new.federation, meta.namespace, meta.name)
    if member.peer.is_remote:
        texts = {GRANT_FILE: answer.model_dump_json(by_alias=True, exclude_none=True)}
        manifest = grant_secret_manifest(member.peer, member.identity.uuid, texts)
        await apply_child(context.kube, SECRETS, manifest)
    if not is_good:
        context.queue.add(peer_key(meta))


async def _apply_federation_secret(
    context: Context, federation: Federation, record: FederationRecord
) -> None:
    """What the gateway puts into invitations; a login that they carry too, whoever made its Secret."""
    texts = {JOIN_KEY: record.join_key, DOCUMENT_KEY: record.document_key}
    if federation.spec.nats is not None:
        texts |= shown_login(
            await nats_login(context.kube, federation.metadata.namespace, federation.spec.nats)
        )
    await apply_child(context.kube, SECRETS, federation_secret_manifest(federation, texts))


def wanted_federation(
    federation: Federation, record: FederationRecord, members: Sequence[ListedMember]
) -> WantedFederation:
    """What the backend is told."""
    return WantedFederation(
        uid=federation.metadata.uid,
        name=federation.spec.name,
        seeds=record.seeds,
        stream_max_bytes=parse_quantity((federation.spec.nats or Nats()).stream_max_bytes),
        members=tuple(member.wanted for member in members),
    )


async def _reconcile_deleted(context: Context, federation: Federation) -> float | None:
    """Free the outside once the members are gone; until then remove those that leave."""
    meta = federation.metadata
    present = await live_members(context, federation)
    if present:
        await _settle_leaving(context, federation, is_going=True)
        names = ", ".join(peer.metadata.name for peer in present)
        waits = false("BackendReady", "HasMembers", f"deletion waits for the members: {names}")
        await _write_status(context, federation, [*standing_conditions(federation), waits])
        return context.settings.drift_seconds
    stored = await context.records.find(federation_record_name(meta.uid), FederationRecord)
    if stored is not None:
        wanted = wanted_federation(federation, stored.record, ())
        backend = await leaving_backend(context, federation)
        if federation.spec.deletion_policy == "Delete":
            await free(backend, context.records, wanted, stored)
        else:
            await retain(context, backend, federation, wanted, stored)
    await release(context.kube, federation)
    await remove_finalizer(context.kube, FEDERATIONS, meta)
    return None


async def _taken(context: Context, federation: Federation) -> list[Condition]:
    """Conditions of a federation whose name another one in its namespace has had for longer."""
    items = await context.kube.list_all(FEDERATIONS, federation.metadata.namespace)
    rival = oldest_rival(federation, [Federation.model_validate(item) for item in items])
    return name_taken(federation, rival) if rival else []


async def _write_status(
    context: Context, federation: Federation, conditions: Sequence[Condition], outside: Outside | None = None
) -> None:
    new = next_status(federation, conditions, outside, context.now())
    if is_same_status(federation.status, new):
        return
    await apply_status(context.kube, FEDERATIONS, federation.metadata, new.to_json())
    ready = new.conditions[0]
    meta = federation.metadata
    _log.info(
        "federation %s/%s: Ready=%s %s %s",
        meta.namespace,
        meta.name,
        ready.status,
        ready.reason,
        ready.message,
    )
