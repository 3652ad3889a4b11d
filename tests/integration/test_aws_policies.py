"""The policies on AWS, judged by an evaluator: those of docs/aws.md with those that symfed writes."""

from collections.abc import Sequence

import pytest

from symfed_operator.backends.aws.policies import topic_policy
from tests.policies.cases import (
    ADMIN,
    CASES,
    EVERYTHING,
    TOPIC,
    UID,
    Caller,
    Case,
    Thing,
    subscribing,
)
from tests.policies.simulator import EvaluatorMissingError, verdicts


def judged(cases: Sequence[Case]) -> list[str]:
    try:
        return verdicts([case.simulation() for case in cases])
    except EvaluatorMissingError as error:
        pytest.skip(str(error))


def test_each_policy_allows_and_refuses_what_the_page_says() -> None:
    found = judged(CASES)
    wrong = [
        f"{case.who.name}: {case.action} on {case.what}: {verdict}"
        for case, verdict in zip(CASES, found, strict=True)
        if verdict not in (["Allowed"] if case.allowed else ["ImplicitlyDenied", "ExplicitlyDenied"])
    ]
    assert not wrong


@pytest.mark.parametrize("count", [50, 100])
def test_a_topic_of_many_accounts_is_each_members_and_nobody_elses(count: int) -> None:
    """With so many some share a statement, where one may name another's queue: it is the next member's."""
    accounts = [str(200_000_000_000 + number) for number in range(count - 1)]
    thing = Thing(TOPIC, ADMIN, topic_policy(TOPIC, UID, [ADMIN, *accounts]))

    def case(account: str, action: str, allowed: bool, queue_of: str = "") -> Case:
        who = Caller(account, f"arn:aws:iam::{account}:user/all", EVERYTHING)
        given = subscribing(queue_of) if queue_of else {}
        return Case(who, action, "the topic", thing, allowed, given)

    stranger = "444444444444"
    cases = [
        *(case(account, "sns:Publish", True) for account in accounts),
        *(case(account, "sns:Subscribe", True, account) for account in accounts),
        *(case(account, "sns:Subscribe", False, stranger) for account in accounts),
        *(case(account, "sns:SetTopicAttributes", False) for account in accounts),
        case(accounts[0], "sns:Subscribe", False, accounts[-1]),
        case(stranger, "sns:Publish", False),
        case(stranger, "sns:Subscribe", False, stranger),
        case(stranger, "sns:Subscribe", False, accounts[0]),
    ]
    assert [verdict == "Allowed" for verdict in judged(cases)] == [case.allowed for case in cases]
