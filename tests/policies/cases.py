"""Who may do what on AWS, and who may not: the table of docs/aws.md, with the policies that decide it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from symfed_operator.backends.aws.names import queue_arn, statement_id, topic_arn
from symfed_operator.backends.aws.policies import (
    queue_policy,
    readers_statement,
    topic_policy,
    with_statement,
)
from symfed_wire.kube import JsonObject
from tests.rest_page import blocks

PAGE: Final = Path(__file__).parents[2] / "docs" / "aws.md"
UID: Final = "6e0a8d04-6f0e-4b53-9d5c-0c5a0c1f7a11"
REGION: Final = "eu-central-1"
ADMIN, PEER, OTHER, REMOVED = "111111111111", "222222222222", "333333333333", "444444444444"
CLUSTER: Final = "999999999999"
MEMBERS: Final = [ADMIN, PEER, OTHER]
EVERYTHING: Final[JsonObject] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}

TOPIC: Final = topic_arn(REGION, ADMIN, "study")
QUEUE: Final = queue_arn(REGION, PEER, "study_hospital-b")
ROLE: Final = f"arn:aws:iam::{PEER}:role/symfed"
NAMESPACE_UID: Final = "b7f1c3a2-58c4-4d0e-8f0f-7a3f0d1f9a55"


def page_policy(title: str) -> JsonObject:
    """The policy of docs/aws.md whose block has this title."""
    (found,) = [block.text for block in blocks(PAGE.read_text()) if block.about == title]
    return dict(json.loads(found))


@dataclass(frozen=True)
class Caller:
    """Somebody with an identity policy; a service has none."""

    name: str
    principal: str
    policy: JsonObject | None = None

    @property
    def account(self) -> str:
        return self.principal.split(":")[4] if self.principal.startswith("arn:") else ""


ADMIN_LEAST = Caller("the admin", f"arn:aws:iam::{ADMIN}:user/symfed", page_policy("policy of the admin"))
PEER_LEAST = Caller("the peer", f"arn:aws:iam::{PEER}:user/symfed", page_policy("policy of a peer"))
ANOTHER = Caller("another member", f"arn:aws:iam::{OTHER}:user/all", EVERYTHING)
GONE = Caller("a removed member", f"arn:aws:iam::{REMOVED}:user/all", EVERYTHING)
SNS = Caller("SNS", "sns.amazonaws.com")
OPERATOR = Caller("the operator", f"arn:aws:iam::{CLUSTER}:role/symfed-operator", EVERYTHING)
CLUSTERS = Caller("another role of the cluster", f"arn:aws:iam::{CLUSTER}:role/other", EVERYTHING)


@dataclass(frozen=True)
class Thing:
    """Something on AWS: its ARN, its account, and the policy that it has itself."""

    arn: str
    account: str
    policy: JsonObject | None = None


def _readers(bucket: str) -> JsonObject | None:
    return with_statement(None, statement_id(UID), readers_statement(REGION, bucket, UID, MEMBERS))


def _peers(key: str) -> Thing:
    """Something in the peer's bucket; all of it is under the bucket's policy."""
    return Thing(f"arn:aws:s3:::peers-bucket{key}", PEER, _readers("peers-bucket"))


def _admins(key: str) -> Thing:
    return Thing(f"arn:aws:s3:::admins-bucket{key}", ADMIN, _readers("admins-bucket"))


NOWHERE = Thing("*", "")
THE_TOPIC = Thing(TOPIC, ADMIN, topic_policy(TOPIC, UID, MEMBERS))
ANOTHER_TOPIC = Thing(topic_arn(REGION, ADMIN, "sales"), ADMIN)
# A subscription is of the account that made it, and has no policy; a topic's owner may end each. In policies
# it goes by the topic's ARN.
THE_SUBSCRIPTION, OTHERS_SUBSCRIPTION = Thing(TOPIC, PEER), Thing(TOPIC, ADMIN)
THE_QUEUE = Thing(QUEUE, PEER, queue_policy(QUEUE, TOPIC, UID))
DEAD_LETTERS = Thing(f"{QUEUE}-dlq", PEER)
ANOTHER_QUEUE = Thing(queue_arn(REGION, PEER, "orders"), PEER)
ADMINS_QUEUE = Thing(queue_arn(REGION, ADMIN, "study_hospital-a"), ADMIN)
PEERS_BUCKET, ADMINS_BUCKET = _peers(""), _admins("")
SNAPSHOT = _peers(f"/{UID}/5a0e/latest.json")
ELSEWHERE = _peers("/7c1f/5a0e/latest.json")
PRIVATE = _peers("/private/1")
DOCUMENT = _admins(f"/{UID}/federation.json")
ANOTHER_BUCKET, IN_ANOTHER_BUCKET = Thing("arn:aws:s3:::x", PEER), Thing("arn:aws:s3:::x/1", PEER)
THE_ROLE = Thing(ROLE, PEER, page_policy("trust policy of a role"))


@dataclass(frozen=True)
class Case:
    """One row: who does what on what, under which circumstances, and whether AWS lets him."""

    who: Caller
    action: str
    what: str
    thing: Thing
    allowed: bool
    given: Mapping[str, str] = field(default_factory=dict)

    def simulation(self) -> JsonObject:
        """As the evaluator takes it."""
        given: dict[str, JsonValue] = {"aws:SecureTransport": "true"}
        if self.thing.arn.startswith("arn:aws:s3:"):
            given["s3:ResourceAccount"] = self.thing.account
        policy = self.who.policy
        policies: list[JsonValue] = [] if policy is None else [{"name": self.who.name, "policy": policy}]
        simulation: JsonObject = {
            "identityPolicies": policies,
            "serviceControlPolicies": [],
            "resourceControlPolicies": [],
            "request": {
                "action": self.action,
                "principal": self.who.principal,
                "resource": {"resource": self.thing.arn, "accountId": self.thing.account or self.who.account},
                "contextVariables": {**given, **self.given},
            },
        }
        return simulation | ({"resourcePolicy": self.thing.policy} if self.thing.policy else {})


def subscribing(account: str, protocol: str = "sqs") -> dict[str, str]:
    """The circumstances of a subscription: a queue of that account, or a URL."""
    endpoint = queue_arn(REGION, account, "q") if protocol == "sqs" else "https://example.org/"
    return {"sns:Protocol": protocol, "sns:Endpoint": endpoint}


def _all(who: Caller, what: str, thing: Thing, actions: str) -> list[Case]:
    """A row for each of some actions that are allowed."""
    return [Case(who, action, what, thing, True) for action in actions.split()]


BUCKET_ACTIONS = (
    "s3:GetBucketPolicy s3:PutBucketPolicy s3:DeleteBucketPolicy s3:ListBucket s3:ListBucketVersions"
)
OBJECT_ACTIONS = "s3:GetObject s3:PutObject s3:AbortMultipartUpload s3:DeleteObject s3:DeleteObjectVersion"
QUEUE_ACTIONS = (
    "sqs:CreateQueue sqs:TagQueue sqs:GetQueueUrl sqs:ListQueueTags sqs:GetQueueAttributes"
    " sqs:SetQueueAttributes sqs:DeleteQueue"
)
TOPIC_ACTIONS = (
    "sns:CreateTopic sns:TagResource sns:ListTagsForResource sns:GetTopicAttributes sns:SetTopicAttributes"
    " sns:ListSubscriptionsByTopic sns:Publish sns:DeleteTopic"
)
SUBSCRIPTION_ACTIONS = "sns:GetSubscriptionAttributes sns:SetSubscriptionAttributes sns:Unsubscribe"
NO_TLS: Final = {"aws:SecureTransport": "false"}
FOR_TOPIC: Final = {"aws:SourceArn": TOPIC}

CASES: Final = [
    *_all(ADMIN_LEAST, "its topic", THE_TOPIC, TOPIC_ACTIONS),
    Case(ADMIN_LEAST, "sns:Subscribe", "its topic, with its own queue", THE_TOPIC, True, subscribing(ADMIN)),
    Case(ADMIN_LEAST, "sns:Unsubscribe", "a removed member's subscription", OTHERS_SUBSCRIPTION, True),
    Case(ADMIN_LEAST, "sns:AddPermission", "its topic", THE_TOPIC, False),
    Case(ADMIN_LEAST, "sns:SetTopicAttributes", "another topic of its account", ANOTHER_TOPIC, False),
    Case(PEER_LEAST, "sns:Publish", "the topic", THE_TOPIC, True),
    Case(PEER_LEAST, "sns:Subscribe", "the topic, with its own queue", THE_TOPIC, True, subscribing(PEER)),
    Case(PEER_LEAST, "sns:Subscribe", "the topic, with others' queue", THE_TOPIC, False, subscribing(OTHER)),
    Case(PEER_LEAST, "sns:Subscribe", "the topic, with a URL", THE_TOPIC, False, subscribing(PEER, "https")),
    Case(PEER_LEAST, "sns:SetTopicAttributes", "the topic", THE_TOPIC, False),
    Case(PEER_LEAST, "sns:Publish", "another topic of the admin", ANOTHER_TOPIC, False),
    Case(ANOTHER, "sns:Publish", "the topic", THE_TOPIC, True),
    Case(ANOTHER, "sns:SetTopicAttributes", "the topic", THE_TOPIC, False),
    Case(ANOTHER, "sns:AddPermission", "the topic", THE_TOPIC, False),
    Case(ANOTHER, "sns:ListSubscriptionsByTopic", "the topic", THE_TOPIC, False),
    Case(ANOTHER, "sns:DeleteTopic", "the topic", THE_TOPIC, False),
    Case(GONE, "sns:Publish", "the topic", THE_TOPIC, False),
    Case(GONE, "sns:Subscribe", "the topic, with its own queue", THE_TOPIC, False, subscribing(REMOVED)),
    *_all(PEER_LEAST, "its subscription", THE_SUBSCRIPTION, SUBSCRIPTION_ACTIONS),
    Case(PEER_LEAST, "sns:ListSubscriptions", "its account", NOWHERE, True),
    *_all(PEER_LEAST, "its queue", THE_QUEUE, f"{QUEUE_ACTIONS} sqs:ReceiveMessage sqs:DeleteMessage"),
    *_all(PEER_LEAST, "its dead-letter queue", DEAD_LETTERS, QUEUE_ACTIONS),
    *_all(ADMIN_LEAST, "its own peer's queue", ADMINS_QUEUE, f"{QUEUE_ACTIONS} sqs:ReceiveMessage"),
    Case(PEER_LEAST, "sqs:ReceiveMessage", "its queue, without TLS", THE_QUEUE, False, NO_TLS),
    Case(PEER_LEAST, "sqs:ReceiveMessage", "another queue of its account", ANOTHER_QUEUE, False),
    Case(SNS, "sqs:SendMessage", "the peer's queue, for the topic", THE_QUEUE, True, FOR_TOPIC),
    Case(
        SNS,
        "sqs:SendMessage",
        "the peer's queue, for another topic",
        THE_QUEUE,
        False,
        {"aws:SourceArn": ANOTHER_TOPIC.arn},
    ),
    Case(
        SNS, "sqs:SendMessage", "the peer's queue, without TLS", THE_QUEUE, False, {**FOR_TOPIC, **NO_TLS}
    ),
    Case(ANOTHER, "sqs:SendMessage", "the peer's queue", THE_QUEUE, False, FOR_TOPIC),
    Case(ANOTHER, "sqs:ReceiveMessage", "the peer's queue", THE_QUEUE, False),
    *_all(PEER_LEAST, "its bucket", PEERS_BUCKET, BUCKET_ACTIONS),
    *_all(PEER_LEAST, "its snapshots", SNAPSHOT, OBJECT_ACTIONS),
    Case(PEER_LEAST, "s3:GetObject", "the federation document", DOCUMENT, True),
    Case(PEER_LEAST, "s3:PutObject", "the federation document", DOCUMENT, False),
    Case(PEER_LEAST, "s3:DeleteBucket", "its bucket", PEERS_BUCKET, False),
    Case(PEER_LEAST, "s3:ListBucket", "another bucket of its account", ANOTHER_BUCKET, False),
    Case(PEER_LEAST, "s3:GetObject", "another bucket of its account", IN_ANOTHER_BUCKET, False),
    *_all(ADMIN_LEAST, "its bucket", ADMINS_BUCKET, BUCKET_ACTIONS),
    *_all(ADMIN_LEAST, "the federation document", DOCUMENT, OBJECT_ACTIONS),
    Case(ADMIN_LEAST, "s3:GetObject", "the peer's snapshots", SNAPSHOT, True),
    Case(ADMIN_LEAST, "s3:PutObject", "the peer's snapshots", SNAPSHOT, False),
    Case(ANOTHER, "s3:GetObject", "the peer's snapshots", SNAPSHOT, True),
    Case(ANOTHER, "s3:GetObject", "the peer's snapshots in another federation", ELSEWHERE, False),
    Case(ANOTHER, "s3:GetObject", "other objects in the peer's bucket", PRIVATE, False),
    Case(ANOTHER, "s3:PutObject", "the peer's snapshots", SNAPSHOT, False),
    Case(ANOTHER, "s3:DeleteObject", "the peer's snapshots", SNAPSHOT, False),
    Case(ANOTHER, "s3:ListBucket", "the peer's bucket", PEERS_BUCKET, False),
    Case(ANOTHER, "s3:PutBucketPolicy", "the peer's bucket", PEERS_BUCKET, False),
    Case(GONE, "s3:GetObject", "the peer's snapshots", SNAPSHOT, False),
    Case(GONE, "s3:GetObject", "the federation document", DOCUMENT, False),
    Case(
        OPERATOR, "sts:AssumeRole", "the role, for its namespace", THE_ROLE, True,
        {"sts:ExternalId": NAMESPACE_UID},
    ),
    Case(
        OPERATOR, "sts:AssumeRole", "the role, for another namespace", THE_ROLE, False,
        {"sts:ExternalId": "4d0e"},
    ),
    Case(OPERATOR, "sts:AssumeRole", "the role, for no namespace", THE_ROLE, False),
    Case(
        CLUSTERS, "sts:AssumeRole", "the role, for its namespace", THE_ROLE, False,
        {"sts:ExternalId": NAMESPACE_UID},
    ),
]  # fmt: skip


def table() -> str:
    """As docs/aws.md has it: actions that are decided alike share a row."""
    rows = ["| who | on what | does | may he |", "| --- | --- | --- | --- |"]
    for (who, what, allowed), cases in groupby(CASES, lambda case: (case.who.name, case.what, case.allowed)):
        actions = ", ".join(f"`{case.action}`" for case in cases)
        rows.append(f"| {who} | {what} | {actions} | {'yes' if allowed else '**no**'} |")
    return "\n".join(rows)
