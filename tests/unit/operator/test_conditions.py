"""Conditions: summary, times, and when a status is written."""

from datetime import UTC, datetime, timedelta

from symfed_operator.conditions import false, is_same_status, next_conditions, summary, true
from symfed_operator.federation_status import (
    Outside,
    name_taken,
    next_status,
    no_customer_conditions,
    oldest_rival,
    standing_conditions,
    unsupported_conditions,
)
from symfed_operator.namespaces import NamespaceObject
from symfed_wire.resources import Federation, FederationStatus, PeerStatus, find_condition

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


def _federation(uid: str = "u1", made: datetime = NOW, **spec: object) -> Federation:
    body = {"name": "f1", "schedule": "m1", "nats": {"managed": {}}, **spec}
    metadata = {"name": f"f-{uid}", "uid": uid, "creationTimestamp": made, "generation": 3}
    return Federation.model_validate({"metadata": metadata, "spec": body})


def test_summary_says_what_the_first_bad_part_says() -> None:
    parts = [true("Joined", "Granted"), false("NodeReady", "Unschedulable", "no gpu")]
    ready = summary(parts)
    assert (ready.status, ready.reason, ready.message) == ("False", "Unschedulable", "no gpu")
    assert summary(parts[:1]).status == "True"


def test_time_moves_with_the_status_only() -> None:
    first = next_conditions((), [true("Ready", "Ready", "a")], 1, NOW)
    second = next_conditions(first, [true("Ready", "Ready", "b")], 2, LATER)
    third = next_conditions(second, [false("Ready", "Bad")], 2, LATER)
    assert [c[0].last_transition_time for c in (first, second, third)] == [NOW, NOW, LATER]
    assert second[0].observed_generation == 2


def test_conditions_that_are_not_said_any_more_go() -> None:
    first = next_conditions((), [true("Ready", "Ready"), true("Joined", "Granted")], 1, NOW)
    assert [c.type for c in next_conditions(first, [true("Ready", "Ready")], 1, NOW)] == ["Ready"]


def test_the_nodes_condition_and_the_order_make_no_difference() -> None:
    mine = next_conditions((), [true("Ready", "Ready"), true("Joined", "Granted")], 1, NOW)
    with_nodes = next_conditions((), [true("Exchanging", "Current")], 1, NOW) + mine[::-1]
    assert is_same_status(PeerStatus(conditions=with_nodes, slot=1), PeerStatus(conditions=mine, slot=1))
    assert not is_same_status(PeerStatus(conditions=mine, slot=1), PeerStatus(conditions=mine, slot=2))


def test_what_is_not_supported() -> None:
    for spec in (
        {"secureSum": True},
        {"privacy": {"mode": "HIPAA"}},
        {"contract": ["COUNT(a) > 5"]},
    ):
        conditions = unsupported_conditions(_federation(**spec))
        assert summary(conditions).reason == "NotSupported"
    assert unsupported_conditions(_federation()) == []


def test_the_older_of_two_equal_names_has_it() -> None:
    old, new = _federation("u2"), _federation("u1", LATER)
    assert oldest_rival(new, [new, old]) == old
    assert oldest_rival(old, [new, old]) is None
    assert oldest_rival(new, [new, _federation("u3", NOW, name="other")]) is None
    assert summary(name_taken(new, old)).reason == "NameTaken"


def test_a_federation_that_is_served_keeps_its_name() -> None:
    later, earlier = _federation("u2"), _federation("u1")
    assert oldest_rival(later, [later, earlier]) == earlier
    served = later.model_copy(update={"status": FederationStatus(account_id="A1")})
    assert oldest_rival(served, [served, earlier]) is None
    assert oldest_rival(earlier, [served, earlier]) == served


def test_a_namespace_without_the_label_is_no_customers() -> None:
    nobodys = NamespaceObject.model_validate({"metadata": {"name": "n"}})
    assert summary(no_customer_conditions(nobodys)).reason == "NoCustomer"
    labels = {"symfed.dev/customer": "c"}
    customers = NamespaceObject.model_validate({"metadata": {"name": "n", "labels": labels}})
    assert no_customer_conditions(customers) == []


def test_insecure_is_no_reason_for_not_ready() -> None:
    conditions = [
        *standing_conditions(_federation())[:1],
        false("Secure", "SharedAccount"),
        true("BackendReady", "Current"),
    ]
    status = next_status(_federation(), conditions, Outside("A1", None, 2), NOW)
    ready = find_condition(status.conditions, "Ready")
    assert ready is not None
    assert (ready.status, ready.observed_generation) == ("True", 3)
    assert (status.account_id, status.members) == ("A1", 2)
