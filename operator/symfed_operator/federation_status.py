"""What the operator says about a Federation. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from symfed_operator.backends.base import ExternalNameTakenError
from symfed_operator.conditions import failed, false, next_conditions, summary, true
from symfed_operator.namespaces import NamespaceObject, no_customer
from symfed_wire.errors import SymfedError
from symfed_wire.resources import Condition, Federation, FederationStatus, Nats


@dataclass(frozen=True)
class Outside:
    """What is known of the backend's side: the federation's account or topic, and how many active members.

    `left_out` says about each peer that cannot be a member why not, `notes` what the administrator may mend.
    """

    account_id: str | None
    topic_arn: str | None
    members: int | None
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def unsupported_conditions(spec_of: Federation) -> list[Condition]:
    """Conditions of a federation that this version does not serve; empty when it does."""
    spec = spec_of.spec
    if spec.secure_sum:
        return [_not_supported("spec.secureSum is not supported yet; create the federation without it")]
    if spec.privacy.mode != "None":
        text = f"spec.privacy.mode {spec.privacy.mode} is not enforced yet, so it is refused; use None"
        return [_not_supported(text)]
    if spec.contract:
        return [_not_supported("spec.contract is not enforced yet, so it is refused; leave it empty")]
    return []


def no_customer_conditions(namespace: NamespaceObject) -> list[Condition]:
    """Conditions of a federation in a namespace that is no customer's; empty when it is one's."""
    return [] if namespace.customer is not None else [no_customer("BackendReady", namespace)]


def is_managed(federation: Federation) -> bool:
    """Whether it is on the NATS that the operator administers."""
    return federation.spec.aws is None and not (federation.spec.nats or Nats()).hosts


def standing_conditions(federation: Federation) -> list[Condition]:
    """What holds for every federation on this kind of backend."""
    return [
        true("NameClaimed", "Claimed", "no other Federation in this namespace has the name"),
        _secure(federation),
    ]


def failed_conditions(federation: Federation, error: SymfedError) -> list[Condition]:
    """Conditions of a federation that a reconcile could not settle."""
    if isinstance(error, ExternalNameTakenError):
        return [failed("NameClaimed", error), _secure(federation)]
    return [*standing_conditions(federation), failed("BackendReady", error)]


def current_message(federation: Federation, outside: Outside) -> str:
    """What is said of a backend that is as it must be. A peer that is left out keeps nobody else waiting."""
    if federation.spec.aws is not None:
        made = "topic, policies and document"
    else:
        made = "accounts, users and streams" if is_managed(federation) else "stream and document"
    left_out = (f"left out: {words}" for words in outside.left_out)
    return "; ".join([f"{made} are as they must be", *left_out, *outside.notes])


def oldest_rival(federation: Federation, all_in_namespace: Sequence[Federation]) -> Federation | None:
    """The Federation that has the same name on the wire by right, if it is another one.

    The one that is served keeps it; else the older one has it, and of two of one second the lower uid.
    """
    same = [other for other in all_in_namespace if other.spec.name == federation.spec.name]
    oldest = min(same, key=_claim, default=federation)
    return None if oldest.metadata.uid == federation.metadata.uid else oldest


def name_taken(federation: Federation, rival: Federation) -> list[Condition]:
    """Conditions of a federation whose name was taken before it came."""
    text = f"Federation {rival.metadata.name} has the name {federation.spec.name} already; choose another one"
    return [false("NameClaimed", "NameTaken", text)]


def next_status(
    federation: Federation, conditions: Sequence[Condition], outside: Outside | None, now: datetime
) -> FederationStatus:
    """The status with these conditions and their summary; the numbers stay when nothing new is known."""
    old = federation.status
    outside = outside or Outside(old.account_id, old.topic_arn, old.members)
    needed = [condition for condition in conditions if condition.type != "Secure"]
    ready = summary(needed, f"active members: {outside.members}")
    stamped = next_conditions(old.conditions, [ready, *conditions], federation.metadata.generation, now)
    return FederationStatus(
        conditions=stamped,
        account_id=outside.account_id,
        topic_arn=outside.topic_arn,
        members=outside.members,
    )


def _secure(federation: Federation) -> Condition:
    if federation.spec.aws is not None:
        return true("Secure", "OwnBuckets", "each peer writes into its own bucket alone")
    if is_managed(federation):
        return true("Secure", "AccountPerPeer", "each peer has its own account")
    return false("Secure", "SharedAccount", "one account for all: isolation rests on signatures alone")


def _not_supported(text: str) -> Condition:
    return false("BackendReady", "NotSupported", text)


def _claim(federation: Federation) -> tuple[bool, str, str]:
    made = federation.metadata.creation_timestamp
    is_served = (federation.status.account_id or federation.status.topic_arn) is not None
    return (not is_served, made.isoformat() if made else "", federation.metadata.uid)
