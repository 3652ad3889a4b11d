"""Why a peer's node does not answer, and whether waiting helps. Pure."""

from datetime import datetime, timedelta
from typing import Final

from symfed_wire.aws_errors import AwsReason
from symfed_wire.resources import Condition, Federation, FederationPeer, find_condition

# While a volume is bound or an account is made, a pod is refused for some seconds and then started.
SETTLING: Final = timedelta(seconds=10)

# Reasons of NodeReady that stay until somebody does something (docs/conditions.md).
_STANDING_STILL: Final = frozenset(
    {
        *("NameTaken", "NoSlot", "RecordDamaged", "Forbidden", "Invalid"),
        *("FailedCreate", "Unschedulable", "SchedulingGated"),
        *("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"),
        *("CreateContainerConfigError", "CreateContainerError", "RunContainerError"),
        *("CrashLoopBackOff", "ContainerCannotRun", "StartError"),
    }
)
# Reasons of Joined with which no node is started.
_WITHOUT_PLACE: Final = frozenset(
    {"InvitationRefused", "InvitationIncomplete", "Removed", "RecordDamaged", "SignatureInvalid", "Malformed"}
)
# Reasons of a Federation's Ready, and of a peer's BackendReady, that stay until somebody does something.
_BLOCKED: Final = frozenset(
    {
        *("NoCustomer", "NameTaken", "RecordDamaged", "SignatureInvalid", "Malformed"),
        *("Forbidden", "Invalid", "BucketNotYours", "WrongAccount"),
        *("AuthorizationFailed", "CredentialsMissing", "JetStreamDisabled", "NoCapacity", "PolicyTooLarge"),
        *(AwsReason.CREDENTIALS_REFUSED, AwsReason.CREDENTIALS_EXPIRED, AwsReason.ACCESS_DENIED),
        *(AwsReason.WRONG_REGION, AwsReason.BUCKET_MISSING, AwsReason.CLOCK_SKEW),
    }
)


def is_blocked(federation: Federation, ready: Condition) -> bool:
    """Whether a Federation stays as it is however long one waits.

    Not while the operator has not looked at its last change.
    """
    is_seen = ready.observed_generation in (None, federation.metadata.generation)
    return is_seen and ready.reason in _BLOCKED


def standstill(peer: FederationPeer, now: datetime) -> Condition | None:
    """The condition for which a peer's node will not come by itself; None when it may.

    A peer that has lost its place keeps its node, so that the other two count only while there is none.
    """
    node = find_condition(peer.status.conditions, "NodeReady")
    if has_no_node(peer):
        for name, reasons in (("Joined", _WITHOUT_PLACE), ("BackendReady", _BLOCKED)):
            found = find_condition(peer.status.conditions, name)
            if found is not None and found.status == "False" and found.reason in reasons:
                return found
        return None
    if node is None or node.status != "False" or node.reason not in _STANDING_STILL:
        return None
    since = node.last_transition_time
    return node if since is None or now - since >= SETTLING else None


def has_no_node(peer: FederationPeer) -> bool:
    """Whether a peer's node has never been started, or is not to be."""
    node = find_condition(peer.status.conditions, "NodeReady")
    return node is None or node.reason == "NotStarted"


def not_ready_text(peer: FederationPeer, seen: str, now: datetime) -> str:
    """Why a peer's node does not answer: what the operator says, else what was seen."""
    # In the order in which the operator settles them; a node that is started goes on without its backend.
    names = ("Joined", "BackendReady", "NodeReady") if has_no_node(peer) else ("Joined", "NodeReady")
    conditions = [find_condition(peer.status.conditions, name) for name in names]
    not_true = [condition for condition in conditions if condition and condition.status != "True"]
    condition = standstill(peer, now) or next(iter(not_true), None)
    if condition is not None:
        seen = f"{condition.reason}: {condition.message}" if condition.message else condition.reason
    return f"Project {peer.spec.project} is not ready: {seen}"
