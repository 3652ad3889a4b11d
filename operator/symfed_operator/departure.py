"""The end of a FederationPeer: leave or be removed first, then let the object go."""

import logging
from datetime import UTC, datetime, timedelta
from functools import partial

from symfed_operator.cluster import delete_child, remove_finalizer, write_event
from symfed_operator.context import Context
from symfed_operator.join import say_leave
from symfed_operator.manifests import claim_name, has_own_claim
from symfed_operator.queue import federation_key, peer_key
from symfed_operator.records import (
    MemberRecord,
    PeerRecord,
    member_record_name,
    peer_record_name,
)
from symfed_wire.documents import LEAVE_CONTEXT, Leave, sign_document
from symfed_wire.kube import FEDERATIONS, PEERS, SECRETS, STATEFUL_SETS, VOLUME_CLAIMS
from symfed_wire.resources import FederationPeer, ObjectMeta

LEAVE_FOR = timedelta(minutes=10)

_log = logging.getLogger(__name__)


async def reconcile(context: Context, peer: FederationPeer) -> float | None:
    """Settle everything outside the object. Returns the seconds until the next look, if one is needed."""
    meta = peer.metadata
    if peer.is_hosted:
        context.calls.forget(peer_key(meta), "join")
        await delete_child(context.kube, STATEFUL_SETS, meta.namespace, meta.name)
    if not await _is_removed(context, peer):
        return context.settings.drift_seconds
    if peer.is_hosted:
        wait = await _leave(context, peer)
        if wait is not None:
            return wait
        if peer.spec.deletion_policy == "Delete":
            await _delete_kept(context, peer)
    context.calls.forget(peer_key(meta), "leave")
    key = federation_key(peer)
    if key is None:
        await remove_finalizer(context.kube, PEERS, meta)
        return None
    async with context.member_locks[key]:
        if not await _is_removed(context, peer):  # its federation made a record meanwhile
            return context.settings.drift_seconds
        await remove_finalizer(context.kube, PEERS, meta)
    return None


async def _is_removed(context: Context, peer: FederationPeer) -> bool:
    """Whether its federation has settled the removal: its record is gone then.

    Without the Federation nobody does that any more, and its accounts went with it or are retained.
    """
    name = member_record_name(peer.metadata.uid)
    key = federation_key(peer)
    if key is None or await context.records.find(name, MemberRecord) is None:
        return True
    if await context.kube.find(FEDERATIONS, key.namespace, key.name) is None:
        await context.records.delete(name)
        return True
    context.queue.add(key)
    return False


async def _leave(context: Context, peer: FederationPeer) -> float | None:
    """Tell the admin, for ten minutes at most. Returns the seconds until the next look, or None."""
    stored = await context.records.find(peer_record_name(peer.metadata.uid), PeerRecord)
    if stored is None or stored.record.answer is None or stored.record.leave_url is None:
        return None
    key, url, record = peer_key(peer.metadata), stored.record.leave_url, stored.record
    now = context.now()
    until = (peer.metadata.deletion_timestamp or now) + LEAVE_FOR
    leave = Leave(federation=stored.record.answer.federation, uuid=record.uuid, at=_rfc3339(now))
    signed = sign_document(leave, LEAVE_CONTEXT, record.identity_key_pair)
    context.calls.start(key, "leave", partial(say_leave, context.http, url, signed))
    verdict = context.calls.verdict(key, "leave")
    if verdict is not None and verdict.error is None:
        _log.info("%s: the admin knows that it left", key)
        return None
    if now < until:
        return min((until - now).total_seconds(), context.settings.drift_seconds)
    text = f"{key} left without telling its admin, who did not answer for {LEAVE_FOR}; tell them"
    _log.warning("%s", text)
    about = ObjectMeta(name=stored.name, namespace=context.settings.namespace)
    await write_event(context.kube, SECRETS, context.settings.namespace, about, "LeftSilently", text)
    return None


async def _delete_kept(context: Context, peer: FederationPeer) -> None:
    """What outlives the object under the policy `Retain`: volume and identity."""
    name = claim_name(peer)
    if has_own_claim(peer) and name is not None:
        await delete_child(context.kube, VOLUME_CLAIMS, peer.metadata.namespace, name)
    await context.records.delete(peer_record_name(peer.metadata.uid))


def _rfc3339(now: datetime) -> str:
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
