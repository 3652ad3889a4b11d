"""How a hosted peer comes to its place in a federation: by the admin beside it, or by an invitation."""

from dataclasses import dataclass
from functools import partial

from symfed_operator.backends.aws.names import aws_member
from symfed_operator.cluster import SecretObject
from symfed_operator.conditions import failed, false, true
from symfed_operator.context import Context
from symfed_operator.errors import InvitationIncompleteError, InvitationRefusedError
from symfed_operator.invitation import OpenedInvitation, parse_invitation
from symfed_operator.join import ask_to_join
from symfed_operator.members import hosted_identity, live_peers
from symfed_operator.queue import federation_key, peer_key
from symfed_operator.records import (
    FederationRecord,
    MemberRecord,
    PeerRecord,
    Stored,
    federation_record_name,
    member_record_name,
    peer_record_name,
)
from symfed_wire.join import JoinAnswer, JoinRequest
from symfed_wire.kube import FEDERATIONS, SECRETS
from symfed_wire.resources import Condition, Federation, FederationPeer, find_condition

_GRANTED = true("Joined", "Granted", "the federation's admin granted this peer its place")


@dataclass(frozen=True)
class Place:
    """A hosted peer's place: `joined` is None for a plain local project, which needs none.

    `answer` is what it was granted.
    """

    joined: Condition | None
    answer: JoinAnswer | None = None

    @property
    def may_start(self) -> bool:
        """Whether the node has all that it needs."""
        return self.joined is None or self.answer is not None


async def find_place(context: Context, peer: FederationPeer, stored: Stored[PeerRecord]) -> Place:
    """Where the peer belongs; starts what is needed to come there."""
    if peer.spec.federation_ref is not None:
        return await _beside_the_admin(context, peer, peer.spec.federation_ref.name)
    if peer.spec.invitation_secret_ref is not None:
        return await _by_invitation(context, peer, stored, peer.spec.invitation_secret_ref.name)
    return Place(None)


async def _beside_the_admin(context: Context, peer: FederationPeer, federation: str) -> Place:
    """The federation's own reconcile grants it."""
    stored = await context.records.find(member_record_name(peer.metadata.uid), MemberRecord)
    answer = stored.record.answer if stored is not None else None
    if answer is not None:
        return Place(_GRANTED, answer)
    key = federation_key(peer)
    if key is not None:
        context.queue.add(key)
    return Place(await _waiting_for(context, peer.metadata.namespace, federation))


async def _waiting_for(context: Context, namespace: str, name: str) -> Condition:
    found = await context.kube.find(FEDERATIONS, namespace, name)
    if found is None:
        return false("Joined", "AwaitingAdmin", f"there is no Federation {name} in this namespace")
    ready = find_condition(Federation.model_validate(found).status.conditions, "Ready")
    if ready is None or ready.status == "True":
        return false("Joined", "AwaitingAdmin", f"Federation {name} has not granted it yet")
    return false("Joined", "AwaitingAdmin", f"Federation {name}: {ready.reason}: {ready.message}")


async def _by_invitation(
    context: Context, peer: FederationPeer, stored: Stored[PeerRecord], secret_name: str
) -> Place:
    """The admin's gateway is asked in a task beside the workers, until it grants or refuses."""
    answer = stored.record.answer
    if answer is not None:
        return Place(standing(peer), answer)
    before = find_condition(peer.status.conditions, "Joined")
    if before is not None and before.reason == "InvitationRefused":
        if before.observed_generation == peer.metadata.generation:
            return Place(before)  # final until the object changes
        context.calls.forget(peer_key(peer.metadata), "join")
    try:
        invitation = await _read_invitation(context, peer.metadata.namespace, secret_name)
        _check_side(peer, invitation)
    except InvitationIncompleteError as error:
        return Place(failed("Joined", error))
    key = peer_key(peer.metadata)
    context.calls.start(key, "join", partial(_join, context, peer, stored.name, invitation))
    verdict = context.calls.verdict(key, "join")
    if verdict is None or verdict.error is None:
        return Place(false("Joined", "AwaitingAdmin", "asking the federation's admin"))
    return Place(failed("Joined", verdict.error))


def standing(peer: FederationPeer) -> Condition:
    """`Joined` of a peer that was granted its place: its node reads in the document when it lost it."""
    exchanging = find_condition(peer.status.conditions, "Exchanging")
    if exchanging is not None and exchanging.reason == "Removed":
        return false("Joined", "Removed", exchanging.message)
    return _GRANTED


async def _read_invitation(context: Context, namespace: str, name: str) -> OpenedInvitation:
    found = await context.kube.find(SECRETS, namespace, name)
    if found is None:
        raise InvitationIncompleteError(f"Secret {name} with the opened invitation is not there; create it")
    return parse_invitation(SecretObject.model_validate(found))


async def _join(context: Context, peer: FederationPeer, name: str, invitation: OpenedInvitation) -> None:
    """Ask once. That it asks is kept before, and the answer before anybody acts on it."""
    stored = await context.records.find(name, PeerRecord)
    if stored is None or stored.record.answer is not None:
        return
    if stored.record.asked_with != invitation:
        asks = stored.record.model_copy(update={"asked_with": invitation})
        stored = await context.records.replace(stored, asks)
    try:
        answer = await ask_to_join(context.http, invitation, join_request(peer, stored.record, invitation))
        await check_uid(context, peer, answer)
    except InvitationRefusedError:
        refused = stored.record.model_copy(update={"asked_with": None})
        await context.records.replace(stored, refused)
        raise
    found = {
        "answer": answer,
        "leave_url": invitation.leave_url,
        "asked_with": None,
        "login": invitation.nats_login if answer.nats and answer.nats.writer_jwt is None else None,
    }
    await context.records.replace(stored, stored.record.model_copy(update=found))


async def check_uid(context: Context, peer: FederationPeer, answer: JoinAnswer) -> None:
    """Raises InvitationRefusedError for a federation that has the uid of another one that is known here.

    Whose uid it is says what its members may read in a bucket on AWS.
    """
    federation = await context.records.find(federation_record_name(answer.federation), FederationRecord)
    known = set() if federation is None else {federation.record.document_key}
    for other in await live_peers(context, peer.metadata.namespace):
        stored = await context.records.find(peer_record_name(other.metadata.uid), PeerRecord)
        joined = stored.record.answer if stored is not None else None
        if joined is not None and joined.federation == answer.federation:
            known.add(joined.document_key)
    if known - {answer.document_key}:
        raise InvitationRefusedError(
            f"the admin calls its federation {answer.federation}, and that is another one: do not trust it"
        )


def _check_side(peer: FederationPeer, invitation: OpenedInvitation) -> None:
    if invitation.aws_topic_arn and peer.spec.aws is None:
        raise InvitationIncompleteError(
            "the federation is on AWS: create the FederationPeer anew with spec.aws, its own side there"
        )


def join_request(peer: FederationPeer, record: PeerRecord, invitation: OpenedInvitation) -> JoinRequest:
    """What the admin learns of a peer: public keys, and its place on AWS."""
    own = peer.spec.aws if invitation.aws_topic_arn else None
    aws = None if own is None else aws_member(own, own.account_id, invitation.fed_name, peer)
    identity = hosted_identity(peer, record, aws)
    return JoinRequest(
        peer_uuid=identity.uuid,
        peer_name=identity.name,
        identity_key=identity.identity_key,
        sealing_key=identity.sealing_key,
        nats_user_keys=None if aws else identity.users,
        aws=aws,
    )
