"""The policies on AWS against approved files in `approvals`, their sizes, and what is left of others.

After a wanted change run this file with `SYMFED_APPROVE=1` and read the difference.
"""

import json
import os
from pathlib import Path

import pytest
from pydantic import JsonValue

from symfed_operator.backends.aws.names import queue_arn, statement_id, topic_arn
from symfed_operator.backends.aws.policies import (
    BUCKET_POLICY_BYTES,
    QUEUE_POLICY_BYTES,
    TOPIC_POLICY_BYTES,
    PolicyTooLargeError,
    accounts_in,
    is_same,
    policy_text,
    queue_policy,
    readers_statement,
    statement_of,
    topic_policy,
    with_statement,
)
from symfed_wire.kube import JsonObject

PAGE = Path(__file__).parents[3] / "docs" / "aws.md"
APPROVALS = Path(__file__).parent / "approvals"
UID = "00000000-0000-4000-8000-00000000000f"
SID = "symfed0000000000004000800000000000000f"
REGION, OWNER = "eu-central-1", "111111111111"
MEMBERS = ["333333333333", "222222222222", OWNER, "222222222222"]  # in no order, and two of one account
LONGEST_NAME = "f" * 63
TOPIC = topic_arn(REGION, OWNER, "study")
QUEUE = queue_arn(REGION, "222222222222", "study_hospital-b")
POLICIES = {
    "topic": topic_policy(TOPIC, UID, MEMBERS),
    "queue": queue_policy(QUEUE, TOPIC, UID),
    "bucket": with_statement(None, SID, readers_statement(REGION, "data-of-b", UID, MEMBERS)),
    "topic-without-others": topic_policy(topic_arn("cn-north-1", OWNER, "study"), UID, [OWNER]),
}


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_is_as_approved(name: str) -> None:
    approved = APPROVALS / f"aws-{name}-policy.output.json"
    text = json.dumps(POLICIES[name], indent=2) + "\n"
    if os.environ.get("SYMFED_APPROVE"):
        approved.write_text(text)
    assert approved.read_text() == text


def test_a_policy_does_not_depend_on_the_order_of_members() -> None:
    assert topic_policy(TOPIC, UID, sorted(MEMBERS)) == POLICIES["topic"]


# --- sizes -------------------------------------------------------------------------------------------------


def accounts(count: int) -> list[str]:
    """The owner's account and `count - 1` others."""
    return [OWNER, *(str(200_000_000_000 + number) for number in range(count - 1))]


def test_policies_of_many_accounts_fit_as_the_page_says() -> None:
    rows: dict[str, list[str]] = {
        "bytes of the topic's policy": ["30,000"],
        "its statements": ["100"],
        "its principals": ["200"],
        "bytes of the federation's statement in a bucket's policy": ["20,480 with all others"],
    }
    for count in (50, 100):
        arn = topic_arn("ap-southeast-1", OWNER, LONGEST_NAME)
        topic = topic_policy(arn, UID, accounts(count))
        bucket = with_statement(
            None, SID, readers_statement("ap-southeast-1", "b" * 63, UID, accounts(count))
        )
        assert bucket is not None
        statements, principals = len(statements_of(topic)), json.dumps(topic).count(":root")
        assert (statements <= 100, principals <= 200) == (True, True)
        assert all(json.dumps(topic).count(f"::{account}:root") == 2 for account in accounts(count)[1:])
        figures = [
            len(policy_text(topic, TOPIC_POLICY_BYTES, arn, count)),
            statements,
            principals,
            len(policy_text(bucket, BUCKET_POLICY_BYTES, "b", count)),
        ]
        for row, figure in zip(rows.values(), figures, strict=True):
            row.append(f"{figure:,}")
    page = PAGE.read_text()
    for name, row in rows.items():
        assert f"| {name} | {' | '.join(row)} |\n" in page


def test_a_queues_policy_has_one_size() -> None:
    arn = queue_arn("ap-southeast-1", OWNER, "q" * 80)
    text = policy_text(queue_policy(arn, TOPIC, UID), QUEUE_POLICY_BYTES, arn, 1)
    assert len(text) < 1_000


def test_too_many_accounts_are_told_with_numbers() -> None:
    policy = topic_policy(TOPIC, UID, accounts(400))
    with pytest.raises(PolicyTooLargeError) as caught:
        policy_text(policy, TOPIC_POLICY_BYTES, f"topic {TOPIC}", 400)
    assert str(caught.value) == (
        f"topic {TOPIC}: with 400 accounts its policy has {len(json.dumps(policy, separators=(',', ':')))}"
        " bytes, and AWS takes 30000. The policy stays as it was: who is in it goes on, and nobody comes in."
        " Remove members, or what others have written into it; members may also share an account"
    )
    assert caught.value.reason == "PolicyTooLarge"


def test_up_to_41_accounts_none_may_name_anothers_queues() -> None:
    for statement in statements_of(topic_policy(TOPIC, UID, accounts(41))):
        if str(statement["Sid"]).startswith("Subscribe"):
            (account,) = accounts_in(statement)
            assert f"sqs:*:{account}:*" in json.dumps(statement["Condition"])


# --- what others have written ------------------------------------------------------------------------------

OTHERS: JsonObject = {
    "Version": "2008-10-17",
    "Id": "owners",
    "Statement": [
        {"Sid": "Theirs", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "r"},
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "public/*"},
        {"Sid": "symfed77", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "r"},
    ],
}


def test_others_statements_stay_when_ours_comes_changes_and_goes() -> None:
    one = readers_statement(REGION, "b", UID, ["222222222222"])
    two = readers_statement(REGION, "b", UID, ["222222222222", "333333333333"])
    with_one = with_statement(OTHERS, SID, one)
    assert statements_of(with_one) == [*statements_of(OTHERS), one]
    with_two = with_statement(with_one, SID, two)
    assert statements_of(with_two) == [*statements_of(OTHERS), two]
    assert with_statement(with_two, SID, None) == OTHERS


def test_a_policy_without_any_statement_is_none() -> None:
    ours = with_statement(None, SID, readers_statement(REGION, "b", UID, ["222222222222"]))
    assert ours is not None
    assert with_statement(ours, SID, None) is None
    assert with_statement(None, SID, None) is None


def test_a_single_statement_may_stand_without_a_list() -> None:
    statement = statements_of(OTHERS)[0]
    assert with_statement({"Version": "2012-10-17", "Statement": statement}, SID, None) == {
        "Version": "2012-10-17",
        "Statement": [statement],
    }


def test_lists_are_compared_as_aws_gives_them_back() -> None:
    one = readers_statement(REGION, "b", UID, ["222222222222"])
    assert is_same(one, {**one, "Principal": {"AWS": "arn:aws:iam::222222222222:root"}})
    two = readers_statement(REGION, "b", UID, ["222222222222", "333333333333"])
    roots: list[JsonValue] = ["arn:aws:iam::333333333333:root", "arn:aws:iam::222222222222:root"]
    assert is_same(two, {**two, "Principal": {"AWS": roots}})
    assert not is_same(one, two)
    assert not is_same(one, {**one, "Action": "s3:*"})


def test_the_accounts_of_a_statement_are_read_in_both_forms() -> None:
    two = readers_statement(REGION, "b", UID, ["222222222222", "333333333333"])
    assert accounts_in(two) == {"222222222222", "333333333333"}
    assert accounts_in({**two, "Principal": {"AWS": "arn:aws:iam::222222222222:root"}}) == {"222222222222"}
    # What AWS writes in the place of an account that is gone.
    assert accounts_in({**two, "Principal": {"AWS": ["AIDAIOSFODNN7EXAMPLE"]}}) == set()
    assert accounts_in(statement_of(OTHERS, "symfed77")) == set()
    assert accounts_in(None) == set()


def test_a_sid_has_letters_and_digits_only() -> None:
    assert statement_id(UID) == SID
    assert SID.isalnum()


def statements_of(policy: JsonObject | None) -> list[JsonObject]:
    listed = (policy or {})["Statement"]
    assert isinstance(listed, list)
    return [each for each in listed if isinstance(each, dict)]
