"""The reconcile of a Federation: accounts, document, grants, conditions; once more each time."""

import base64
import logging
from collections.abc import Sequence

from symfed_operator.backends.base import BackendError, ManagedFederation
from symfed_operator.backends.nats import keys
from symfed_operator.cluster import (
    add_finalizer,
    apply_child,
    apply_status,
    delete_child,
    is_paused,
    remove_finalizer,
)
from symfed_operator.conditions import failed, false, is_same_status, true
from symfed_operator.context import Context
from symfed_operator.documents import (
    is_still_good,
    next_document,
    read_document,
    sign_federation_document,
)
from symfed_operator.federation_status import (
    Outside,
    name_taken,
    next_status,
    oldest_rival,
    standing_conditions,
    unsupported_conditions,
)
from symfed_operator.manifests import federation_secret_manifest, grant_secret_manifest
from symfed_operator.members import LeavingMember, ListedMember, live_members, membership
from symfed_operator.queue import Key, peer_key
from symfed_operator.records import (
    FederationRecord,
    Stored,
    federation_record_name,
    new_federation_record,
)
from symfed_wire.documents import Signed
from symfed_wire.join import JoinAnswer
from symfed_wire.kube import FEDERATIONS, SECRETS
from symfed_wire.names import DOCUMENT_KEY, FEDERATION_KEY, GRANT_FILE, grant_secret
from symfed_wire.quantities import parse_quantity
from symfed_wire.resources import Condition, Federation, Nats

_log = logging.getLogger(__name__)


async def reconcile(context: Context, key: Key) -> float | None:
    """Bring a Federation to what it says. Returns the seconds until it is to be looked at again."""
    found = await context.kube.find(FEDERATIONS, key.namespace, key.name)
    if found is None:
        return None
    federation = Federation.model_validate(found)
    if is_paused(federation.metadata):
        return context.settings.drift_seconds
    if federation.metadata.deletion_timestamp is not None:
        return await _reconcile_deleted(context, federation)
    obstacles = unsupported_conditions(federation) or await _taken(context, federation)
    if obstacles:
        await _write_status(context, federation, obstacles)
        return context.settings.drift_seconds
    await add_finalizer(context.kube, FEDERATIONS, federation.metadata)
    try:
        outside = await _settle(context, federation)
    except BackendError as error:
        await _write_status(context, federation, [*standing_conditions(), failed("BackendReady", error)])
        raise
    backend = true("BackendReady", "Current", "accounts, users and streams are as they must be")
    await _write_status(context, federation, [*standing_conditions(), backend], outside)
    return context.settings.drift_seconds


async def _settle(context: Context, federation: Federation) -> Outside:
    """Make outside what the live list of members says, and tell everybody."""
    uid = federation.metadata.uid
    stored = await context.records.ensure(
        federation_record_name(uid),
        FederationRecord,
        lambda: new_federation_record(keys.new_federation_seeds()),
    )
    await _apply_federation_secret(context, federation, stored.record)
    async with context.member_locks[
        Key("federation", federation.metadata.namespace, federation.metadata.name)
    ]:
        members = await membership(context, federation)
    wanted = managed_federation(federation, stored.record, members.active)
    stored = await _store_document(context, federation, stored, members.active)
    document = stored.record.document
    if document is None:
        raise TypeError("a document is stored before anything is published")
    if members.leaving:
        await _announce(context, wanted, document)
    grants = await context.backend.apply(wanted)
    await context.backend.publish_document(wanted, document)
    for member in members.active:
        answer = JoinAnswer(
            federation=uid,
            document_key=stored.record.document_key,
            document=document,
            nats=grants[member.identity.uuid],
        )
        await _store_answer(context, member, answer)
    for leaving in members.leaving:
        await _remove(context, wanted, leaving)
    return Outside(keys.public_key(stored.record.seeds.account), len(members.active))


async def _remove(context: Context, wanted: ManagedFederation, leaving: LeavingMember) -> None:
    """Free what a member had. Its record goes last: while it is there, so may be the account."""
    await context.backend.remove_member(wanted, leaving.stored.record.seeds)
    meta = leaving.peer.metadata
    if leaving.peer.spec.remote is not None:
        await delete_child(context.kube, SECRETS, meta.namespace, grant_secret(leaving.peer.spec.remote.uuid))
    await context.records.delete(leaving.stored.name)
    context.queue.add(peer_key(meta))
    _log.info("federation %s: removed member %s/%s", wanted.name, meta.namespace, meta.name)


async def _announce(context: Context, wanted: ManagedFederation, document: Signed) -> None:
    """The others read of a removal before the member is cut; where they cannot, they read of it after."""
    try:
        await context.backend.publish_document(wanted, document)
    except BackendError as error:
        _log.info("federation %s: the document comes after the removal: %s", wanted.uid, error)


async def _store_document(
    context: Context,
    federation: Federation,
    stored: Stored[FederationRecord],
    members: Sequence[ListedMember],
) -> Stored[FederationRecord]:
    """Make the next version when anything changed, and keep it before anybody sees it."""
    record = stored.record
    previous = read_document(record)
    document = next_document(
        previous,
        federation,
        [member.active for member in members],
        base64.b64decode(record.federation_key),
        context.now(),
    )
    if document == previous:
        return stored
    signed = sign_federation_document(document, record)
    _log.info(
        "federation %s: document version %d, %d active members",
        federation.metadata.name,
        document.version,
        len(members),
    )
    return await context.records.replace(stored, record.model_copy(update={"document": signed}))


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
    texts = {FEDERATION_KEY: record.federation_key, DOCUMENT_KEY: record.document_key}
    await apply_child(context.kube, SECRETS, federation_secret_manifest(federation, texts))


def managed_federation(
    federation: Federation, record: FederationRecord, members: Sequence[ListedMember]
) -> ManagedFederation:
    """What the backend is told."""
    return ManagedFederation(
        uid=federation.metadata.uid,
        name=federation.spec.name,
        seeds=record.seeds,
        stream_max_bytes=parse_quantity((federation.spec.nats or Nats()).stream_max_bytes),
        members=tuple(member.managed for member in members),
    )


async def _reconcile_deleted(context: Context, federation: Federation) -> float | None:
    """Settle the outside once the members are gone; until then go on for them."""
    meta = federation.metadata
    stored = await context.records.find(federation_record_name(meta.uid), FederationRecord)
    present = await live_members(context, federation)
    if present:
        if stored is not None:
            await _settle(context, federation)
        names = ", ".join(peer.metadata.name for peer in present)
        waits = false("BackendReady", "HasMembers", f"deletion waits for the members: {names}")
        await _write_status(context, federation, [*standing_conditions(), waits])
        return context.settings.drift_seconds
    if stored is not None and federation.spec.deletion_policy == "Delete":
        await context.backend.delete(managed_federation(federation, stored.record, ()))
        await context.records.delete(stored.name)
        _log.info("federation %s/%s: accounts and records are deleted", meta.namespace, meta.name)
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
