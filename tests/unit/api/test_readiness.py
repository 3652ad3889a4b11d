"""For which conditions of a peer or federation a call waits, and for which it is answered at once."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from symfed_api.readiness import SETTLING, is_blocked, not_ready_text, standstill
from symfed_wire.aws_errors import AwsReason
from symfed_wire.resources import Condition, Federation, FederationPeer

NOW = datetime(2026, 1, 2, tzinfo=UTC)
CONDITIONS_DOC = Path(__file__).parents[3] / "docs" / "conditions.md"

STANDS_STILL = {
    *("NameTaken", "NoSlot", "RecordDamaged", "Forbidden", "Invalid", "FailedCreate", "Unschedulable"),
    *("SchedulingGated", "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"),
    *("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CrashLoopBackOff"),
    *("ContainerCannotRun", "StartError"),
}
PASSES = {
    *("NotStarted", "Starting", "Terminated", "VolumeNotResized", "KubernetesError", "SchedulerError"),
    *("OOMKilled", "Error", "Completed", "ContainerStatusUnknown"),
}


def peer(*conditions: tuple[str, str, str], age: timedelta | None = SETTLING) -> FederationPeer:
    """A peer with conditions (type, status, reason) of that age, each with a message."""
    since = None if age is None else NOW - age
    found = tuple(
        Condition(type=name, status=status, reason=reason, message="so", last_transition_time=since)
        for name, status, reason in conditions
    )
    made = FederationPeer.model_validate({"metadata": {"name": "p1"}, "spec": {"project": "p1"}})
    return made.model_copy(update={"status": made.status.model_copy(update={"conditions": found})})


def test_every_documented_reason_is_decided_here() -> None:
    section = CONDITIONS_DOC.read_text().partition("### NodeReady\n")[2].partition("\n### ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == STANDS_STILL | PASSES | {"Ready"}


@pytest.mark.parametrize("reason", sorted(STANDS_STILL))
def test_what_stays_until_somebody_acts(reason: str) -> None:
    found = standstill(peer(("Joined", "True", "Granted"), ("NodeReady", "False", reason)), NOW)
    assert found is not None
    assert found.reason == reason


@pytest.mark.parametrize("reason", sorted(PASSES))
def test_what_passes_by_itself(reason: str) -> None:
    assert standstill(peer(("NodeReady", "False", reason)), NOW) is None


@pytest.mark.parametrize(
    ("age", "stands_still"),
    [(SETTLING, True), (SETTLING - timedelta(seconds=1), False), (timedelta(0), False), (None, True)],
)
def test_a_pod_that_was_just_refused_may_still_start(age: timedelta | None, *, stands_still: bool) -> None:
    found = standstill(peer(("NodeReady", "False", "Unschedulable"), age=age), NOW)
    assert (found is not None) is stands_still


@pytest.mark.parametrize(
    ("joined", "node", "stands_still"),
    [
        (("Joined", "False", "InvitationRefused"), ("NodeReady", "False", "NotStarted"), True),
        (("Joined", "False", "InvitationRefused"), None, True),
        (("Joined", "False", "InvitationIncomplete"), None, True),
        (("Joined", "False", "Removed"), ("NodeReady", "False", "NotStarted"), True),
        (("Joined", "False", "Removed"), ("NodeReady", "False", "Starting"), False),
        (("Joined", "False", "Removed"), ("NodeReady", "True", "Ready"), False),
        (("Joined", "False", "AwaitingAdmin"), ("NodeReady", "False", "NotStarted"), False),
        (("Joined", "False", "AdminUnreachable"), None, False),
        (("Joined", "True", "Granted"), ("NodeReady", "True", "Ready"), False),
        (None, None, False),
    ],
)
def test_without_a_place_there_is_no_node(
    joined: tuple[str, str, str] | None, node: tuple[str, str, str] | None, *, stands_still: bool
) -> None:
    found = standstill(peer(*(condition for condition in (joined, node) if condition)), NOW)
    assert (found is not None) is stands_still


@pytest.mark.parametrize(
    ("backend", "node", "stands_still"),
    [
        ("AccessDenied", None, True),
        ("CredentialsMissing", ("NodeReady", "False", "NotStarted"), True),
        ("AccessDenied", ("NodeReady", "False", "Starting"), False),
        ("Throttled", None, False),
    ],
)
def test_without_a_side_outside_there_is_no_node(
    backend: str, node: tuple[str, str, str] | None, *, stands_still: bool
) -> None:
    conditions = [("Joined", "True", "Granted"), ("BackendReady", "False", backend)]
    made = peer(*conditions, *([node] if node else []))
    assert (standstill(made, NOW) is not None) is stands_still
    why = "Starting" if node and node[2] == "Starting" else backend
    assert not_ready_text(made, "seen", NOW) == f"Project p1 is not ready: {why}: so"


@pytest.mark.parametrize(
    ("conditions", "why"),
    [
        ([], "seen"),
        ([("NodeReady", "True", "Ready")], "seen"),
        ([("NodeReady", "False", "Starting")], "Starting: so"),
        (
            [("Joined", "False", "AwaitingAdmin"), ("NodeReady", "False", "NotStarted")],
            "AwaitingAdmin: so",
        ),
        (
            [("Joined", "False", "Removed"), ("NodeReady", "False", "Unschedulable")],
            "Unschedulable: so",
        ),
    ],
)
def test_the_caller_is_told_what_holds_the_node_up(conditions: list[tuple[str, str, str]], why: str) -> None:
    assert not_ready_text(peer(*conditions), "seen", NOW) == f"Project p1 is not ready: {why}"


BLOCKED = {
    *("NoCustomer", "NameTaken", "RecordDamaged", "SignatureInvalid", "Malformed", "Forbidden", "Invalid"),
    *("AuthorizationFailed", "CredentialsMissing", "JetStreamDisabled", "NoCapacity", "PolicyTooLarge"),
    *("CredentialsRefused", "CredentialsExpired", "AccessDenied", "WrongRegion", "BucketMissing"),
    *("ClockSkew", "BucketNotYours", "WrongAccount"),
}
PASSING = {
    *("Current", "NotSupported", "HasMembers", "Unreachable", "TooManyConnections", "BackendFailed"),
    *("KubernetesError", "Throttled", "BackendUnreachable", "AwsFailed", "QueueMissing", "TopicMissing"),
    *("QueueDeletedRecently", "AccountUnknown"),
}


def test_every_documented_reason_of_a_federation_is_decided_here() -> None:
    section = CONDITIONS_DOC.read_text().partition("### BackendReady\n")[2].partition("\n### ")[0]
    reasons = {*re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE), *AwsReason}
    assert reasons <= BLOCKED | PASSING


@pytest.mark.parametrize(("reasons", "is_so"), [(BLOCKED, True), (PASSING, False)])
def test_which_federations_are_not_waited_for(reasons: set[str], is_so: bool) -> None:
    spec = {"name": "iris", "schedule": "m1", "nats": {"managed": {}}}
    item = Federation.model_validate({"metadata": {"name": "iris", "generation": 2}, "spec": spec})
    for reason in reasons:
        ready = Condition(type="Ready", status="False", reason=reason, observed_generation=2)
        assert is_blocked(item, ready) is is_so, reason
        older = ready.model_copy(update={"observed_generation": 1})
        assert not is_blocked(item, older), "the operator has not looked at the last change"
