"""What the operator says about a Federation. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from symfed_operator.conditions import false, next_conditions, summary, true
from symfed_operator.customer import NamespaceObject, no_customer
from symfed_wire.resources import Condition, Federation, FederationStatus, Nats


@dataclass(frozen=True)
class Outside:
    """What is known of the backend's side: the federation's account and the number of active members.

    `left_out` says about each peer that cannot be a member why not.
    """

    account_id: str | None
    members: int | None
    left_out: tuple[str, ...] = ()


def unsupported_conditions(spec_of: Federation) -> list[Condition]:
    """Conditions of a federation that this version does not serve; empty when it does."""
    spec = spec_of.spec
    if spec.aws is not None:
        return [_not_supported("spec.aws: federations on AWS are not supported yet; use spec.nats.managed")]
    if (spec.nats or Nats()).managed is None:
        shared = false("Secure", "SharedAccount", "one account for all: isolation rests on signatures alone")
        text = "spec.nats.hosts: somebody else's NATS is not supported yet; use spec.nats.managed"
        return [_not_supported(text), shared]
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


def standing_conditions() -> list[Condition]:
    """What holds for every federation on managed NATS."""
    return [
        true("NameClaimed", "Claimed", "no other Federation in this namespace has the name"),
        true("Secure", "AccountPerPeer", "each peer has its own account"),
    ]


def current_message(left_out: Sequence[str]) -> str:
    """What is said of a backend that is as it must be. A peer that is left out keeps nobody else waiting."""
    text = "accounts, users and streams are as they must be"
    return "; ".join([text, *(f"left out: {words}" for words in left_out)])


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
    outside = outside or Outside(old.account_id, old.members)
    needed = [condition for condition in conditions if condition.type != "Secure"]
    ready = summary(needed, f"{outside.members} active members")
    stamped = next_conditions(old.conditions, [ready, *conditions], federation.metadata.generation, now)
    return FederationStatus(conditions=stamped, account_id=outside.account_id, members=outside.members)


def _not_supported(text: str) -> Condition:
    return false("BackendReady", "NotSupported", text)


def _claim(federation: Federation) -> tuple[bool, str, str]:
    made = federation.metadata.creation_timestamp
    is_served = federation.status.account_id is not None
    return (not is_served, made.isoformat() if made else "", federation.metadata.uid)
