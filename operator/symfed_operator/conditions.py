"""Conditions: what the operator says about an object. Pure."""

from collections.abc import Iterable
from datetime import datetime

from symfed_wire.errors import SymfedError
from symfed_wire.resources import Condition, FederationStatus, PeerStatus, set_condition

NODE_CONDITIONS = frozenset({"Exchanging"})  # written by the node, under its own field manager
_LONGEST_MESSAGE = 1000


def true(name: str, reason: str, message: str = "") -> Condition:
    """The condition holds."""
    return Condition(type=name, status="True", reason=reason, message=message[:_LONGEST_MESSAGE])


def false(name: str, reason: str, message: str = "") -> Condition:
    """The condition does not hold."""
    return Condition(type=name, status="False", reason=reason, message=message[:_LONGEST_MESSAGE])


def failed(name: str, error: SymfedError) -> Condition:
    """The condition does not hold because of an error, in its own words."""
    return false(name, error.reason, str(error))


def summary(parts: Iterable[Condition], message: str = "") -> Condition:
    """`Ready`: holds when all parts do; else it says what the first one says that does not."""
    bad = next((part for part in parts if part.status != "True"), None)
    return false("Ready", bad.reason, bad.message) if bad else true("Ready", "Ready", message)


def own_conditions(old: Iterable[Condition]) -> tuple[Condition, ...]:
    """The conditions that the operator manages."""
    return tuple(condition for condition in old if condition.type not in NODE_CONDITIONS)


def next_conditions(
    old: Iterable[Condition], new: Iterable[Condition], generation: int, now: datetime
) -> tuple[Condition, ...]:
    """Exactly the new conditions; one whose status is the same keeps its time."""
    before = {condition.type: condition for condition in old}
    result: list[Condition] = []
    for condition in new:
        stamped = condition.model_copy(update={"observed_generation": generation})
        known = [before[condition.type]] if condition.type in before else []
        result += set_condition(known, stamped, now)
    return tuple(result)


def is_same_status(old: FederationStatus | PeerStatus, new: FederationStatus | PeerStatus) -> bool:
    """Whether writing `new` would change nothing of the operator's part."""

    def comparable(status: FederationStatus | PeerStatus) -> FederationStatus | PeerStatus:
        mine = sorted(own_conditions(status.conditions), key=lambda condition: condition.type)
        return status.model_copy(update={"conditions": tuple(mine)})

    return comparable(old) == comparable(new)
