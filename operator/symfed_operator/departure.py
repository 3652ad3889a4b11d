"""The end of a FederationPeer: leave or be removed first, then let the object go."""

import logging
from datetime import UTC, datetime, timedelta
from functools import partial

from symfed_operator.backends.base import SecretMissingError
from symfed_operator.cluster import delete_child, is_paused, remove_finalizer, write_event
from symfed_operator.conditions import false, summary
from symfed_operator.context import Context
from symfed_operator.credentials import release
from symfed_operator.errors import AdminUnreachableError
from symfed_operator.granted import join_request
from symfed_operator.join import ask_to_join, say_leave
from symfed_operator.manifests import claim_name, has_own_claim
from symfed_operator.namespaces import read_namespace
from symfed_operator.own_side import own_side
from symfed_operator.peer_status import telling, write_status
from symfed_operator.queue import federation_key, peer_key
from symfed_operator.records import (
    MemberRecord,
    PeerRecord,
    member_record_name,
    peer_record_name,
)
from symfed_wire.documents import LEAVE_CONTEXT, Leave, sign_document
from symfed_wire.kube import FEDERATIONS, PEERS, SECRETS, STATEFUL_SETS, VOLUME_CLAIMS
from symfed_wire.names import RECONCILE
from symfed_wire.resources import Federation, FederationPeer, ObjectMeta, find_condition

LEAVE_FOR = timedelta(minutes=10)
_LOOK_SECONDS = 10.0  # so that the condition follows what the peer waits for

_log = logging.getLogger(__name__)


async def reconcile(context: Context, peer: FederationPeer) -> float | None:
    """Settle everything outside the object. Returns the seconds until the next look, if one is needed."""
    meta = peer.metadata
    if peer.is_hosted:
        context.calls.forget(peer_key(meta), "join")
        await delete_child(context.kube, STATEFUL_SETS, meta.namespace, meta.name)
    if not await _is_removed(context, peer):
        return await _wait(context, peer, await _why_not_removed(context, peer))
    if peer.is_hosted:
        waits_for = await _leave(context, peer)
        if waits_for is not None:
            return await _wait(context, peer, waits_for)
        async with telling(context, peer, "BackendReady"):
            await _free_own_side(context, peer)
        await _delete_kept(context, peer)
    context.calls.forget(peer_key(meta), "leave")
    await release(context.kube, peer)
    key = federation_key(peer)
    if key is None:
        await remove_finalizer(context.kube, PEERS, meta)
        return None
    async with context.member_locks[key]:
        if not await _is_removed(context, peer):  # its federation made a record meanwhile
            return _LOOK_SECONDS
        await remove_finalizer(context.kube, PEERS, meta)
    return None


async def _wait(context: Context, peer: FederationPeer, why: str) -> float:
    """Say what keeps the object from going."""
    waits = false("Joined" if peer.is_hosted else "Granted", "Leaving", why)
    await write_status(context, peer, peer.status, [summary([waits]), waits])
    return min(_LOOK_SECONDS, context.settings.drift_seconds)


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
    ready = find_condition(peer.status.conditions, "Ready")
    if ready is None or ready.reason != "Leaving":  # later it comes back by itself
        context.queue.add(key)
    return False


async def _why_not_removed(context: Context, peer: FederationPeer) -> str:
    """What keeps its federation from removing it."""
    key = federation_key(peer)
    found = await context.kube.find(FEDERATIONS, key.namespace, key.name) if key else None
    if found is None:
        return "its Federation has just gone"
    federation = Federation.model_validate(found)
    text = f"Federation {federation.metadata.name} removes this member"
    if is_paused(federation.metadata):
        return f"{text} when its annotation {RECONCILE} is not `paused` any more"
    ready = find_condition(federation.status.conditions, "Ready")
    return text if ready is None or ready.status == "True" else f"{text}: {ready.reason}: {ready.message}"


async def _leave(context: Context, peer: FederationPeer) -> str | None:
    """Tell the admin, once at least, for ten minutes at most. Returns what it waits for, or None."""
    stored = await context.records.find(peer_record_name(peer.metadata.uid), PeerRecord)
    if stored is None or (stored.record.answer is None and stored.record.asked_with is None):
        return None
    key, record, now = peer_key(peer.metadata), stored.record, context.now()
    until = (peer.metadata.deletion_timestamp or now) + LEAVE_FOR
    context.calls.start(key, "leave", partial(_tell, context, peer, record))
    verdict = context.calls.verdict(key, "leave")
    if verdict is None:  # it may be late by the clock of the API server, or by a long outage
        return "the admin is being told"
    if verdict.is_final:
        _log.info("%s: the admin knows that it left", key)
        return None
    # An admin that is not there has perhaps never been: nobody waits for it because of a question.
    is_unknown = record.answer is None and isinstance(verdict.error, AdminUnreachableError)
    if now < until and not is_unknown:
        return f"the admin is being told, until {_rfc3339(until)} at most: {verdict.error}"
    text = f"{key} left without telling its admin, who may list it as a member: {verdict.error}; tell them"
    _log.warning("%s", text)
    about = ObjectMeta(name=stored.name, namespace=context.settings.namespace)
    await write_event(context.kube, SECRETS, context.settings.namespace, about, "LeftSilently", text)
    return None


async def _tell(context: Context, peer: FederationPeer, record: PeerRecord) -> None:
    """One attempt to leave.

    Who has asked to join and has no answer asks again: only the answer says which federation it is, and the
    admin may have let it in. A refusal says that it has not.
    """
    answer, url, asked = record.answer, record.leave_url, record.asked_with
    if answer is None and asked is not None:
        answer = await ask_to_join(context.http, asked, join_request(peer, record, asked))
        url = asked.leave_url
    if answer is None or url is None:
        return
    leave = Leave(federation=answer.federation, uuid=record.uuid, at=_rfc3339(context.now()))
    await say_leave(context.http, url, sign_document(leave, LEAVE_CONTEXT, record.identity_key_pair))


async def _free_own_side(context: Context, peer: FederationPeer) -> None:
    """Free what the peer's own operator made for it outside."""
    stored = await context.records.find(peer_record_name(peer.metadata.uid), PeerRecord)
    if stored is None:
        return
    answer = stored.record.answer or stored.record.beside
    if answer is None:
        return
    try:
        own = await own_side(context, peer, stored.record, answer)
    except SecretMissingError as error:
        if not (await read_namespace(context.kube, peer.metadata.namespace)).is_terminating:
            raise
        _log.warning("%s: what it has outside is not freed: %s", peer_key(peer.metadata), error)
        return
    if own.side is not None:
        await own.side.delete(retains=peer.spec.deletion_policy == "Retain")


async def _delete_kept(context: Context, peer: FederationPeer) -> None:
    """What has no owner: the volume, if the policy says so, and the identity, which nobody can use again."""
    name = claim_name(peer)
    if peer.spec.deletion_policy == "Delete" and has_own_claim(peer) and name is not None:
        await delete_child(context.kube, VOLUME_CLAIMS, peer.metadata.namespace, name)
    await context.records.delete(peer_record_name(peer.metadata.uid))


def _rfc3339(now: datetime) -> str:
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
