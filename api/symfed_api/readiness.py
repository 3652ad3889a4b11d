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
# Reasons of a Federation's Ready that stay until somebody does something.
_BLOCKED: Final = frozenset(
    {
        *(
            "NoCustomer",
            "NameTaken",
            "RecordDamaged",
            "SignatureInvalid",
            "Malformed",
            "Forbidden",
            "Invalid",
        ),
        *("AuthorizationFailed", "CredentialsMissing", "JetStreamDisabled", "NoCapacity", "PolicyTooLarge"),
        *(AwsReason.CREDENTIALS_REFUSED, AwsReason.CREDENTIALS_EXPIRED, AwsReason.ACCESS_DENIED),
        *(AwsReason.WRONG_REGION, AwsReason.BUCKET_MISSING, AwsReason.CLOCK_SKEW),
        *("BucketNotYours", "WrongAccount"),
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

    A peer that has lost its place keeps its node, so that `Joined` counts only while there is none.
    """
    node = find_condition(peer.status.conditions, "NodeReady")
    joined = find_condition(peer.status.conditions, "Joined")
    if node is None or node.reason == "NotStarted":
        has_no_place = joined is not None and joined.status == "False" and joined.reason in _WITHOUT_PLACE
        return joined if has_no_place else None
    if node.status != "False" or node.reason not in _STANDING_STILL:
        return None
    since = node.last_transition_time
    return node if since is None or now - since >= SETTLING else None


def not_ready_text(peer: FederationPeer, seen: str, now: datetime) -> str:
    """Why a peer's node does not answer: what the operator says, else what was seen."""
    conditions = [find_condition(peer.status.conditions, name) for name in ("Joined", "NodeReady")]
    not_true = [condition for condition in conditions if condition and condition.status != "True"]
    condition = standstill(peer, now) or next(iter(not_true), None)
    if condition is not None:
        seen = f"{condition.reason}: {condition.message}" if condition.message else condition.reason
    return f"Project {peer.spec.project} is not ready: {seen}"
