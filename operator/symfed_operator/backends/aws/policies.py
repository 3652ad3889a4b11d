"""The policies that symfed writes on AWS: of a topic, a queue and a bucket. Pure.

Accounts stand in them as `arn:…:iam::<account>:root`: what of it may do it is up to that account.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, TypeVar

from pydantic import JsonValue

from symfed_operator.backends.aws.names import federation_prefix, partition_of, statement_id
from symfed_operator.backends.base import BackendError
from symfed_wire.kube import JsonObject

VERSION: Final = "2012-10-17"
TOPIC_POLICY_BYTES: Final = 30_000
BUCKET_POLICY_BYTES: Final = 20 * 1024
QUEUE_POLICY_BYTES: Final = 8 * 1024
# SNS takes 100 statements and 200 principals. An account's queues are named in a statement of its own up to
# this many accounts; beyond it some share one, and could ask for each other's queues, whose owners confirm
# no such subscription.
SUBSCRIBE_STATEMENTS: Final = 40
_OWNER_MAY = (
    "sns:DeleteTopic", "sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic", "sns:Publish",
    "sns:SetTopicAttributes", "sns:Subscribe",
)  # fmt: skip


Name = TypeVar("Name", bound=str)


class PolicyTooLargeError(BackendError):
    """AWS does not take a policy of that many bytes."""

    reason = "PolicyTooLarge"


def topic_policy(arn: str, federation: str, accounts: Collection[str]) -> JsonObject:
    """Its owner has the topic; members publish on it, and subscribe queues of their own accounts to it.

    Args:
        federation: the uid of the Federation object.
        accounts: those of the active members.
    """
    _, partition, _, _, owner, _ = arn.split(":", 5)
    others = sorted(set(accounts) - {owner})
    statements = [_allow("Owner", _roots(partition, [owner]), _OWNER_MAY, arn)]
    if others:
        statements.append(_allow("Publish", _roots(partition, others), ["sns:Publish"], arn))
    size = -(-len(others) // SUBSCRIBE_STATEMENTS)
    for number, some in enumerate(_batches(others, size), 1):
        queues: list[JsonValue] = [f"arn:{partition}:sqs:*:{account}:*" for account in some]
        own: JsonObject = {"StringEquals": {"sns:Protocol": "sqs"}, "StringLike": {"sns:Endpoint": queues}}
        subscribe = _allow(f"Subscribe{number}", _roots(partition, some), ["sns:Subscribe"], arn)
        statements.append({**subscribe, "Condition": own})
    return _policy(statement_id(federation), statements)


def queue_policy(arn: str, topic: str, federation: str) -> JsonObject:
    """Only this topic may send, and nobody comes without TLS."""
    sends = _allow("Topic", {"Service": "sns.amazonaws.com"}, ["sqs:SendMessage"], arn)
    denied: JsonObject = {
        "Sid": "NoPlainText",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": arn,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    from_topic: JsonObject = {"ArnEquals": {"aws:SourceArn": topic}}
    return _policy(statement_id(federation), [{**sends, "Condition": from_topic}, denied])


def readers_statement(region: str, bucket: str, federation: str, accounts: Collection[str]) -> JsonObject:
    """The members' accounts may read what the federation has in a bucket."""
    partition = partition_of(region)
    objects = f"arn:{partition}:s3:::{bucket}/{federation_prefix(federation)}*"
    principal = _roots(partition, sorted(set(accounts)))
    return _allow(statement_id(federation), principal, ["s3:GetObject"], objects)


def parsed_policy(text: str) -> JsonObject:
    """A policy as AWS tells it. Raises ValueError for what is none."""
    policy = json.loads(text)
    if not isinstance(policy, dict):
        raise ValueError("a policy is an object")
    return policy


def with_statement(stored: JsonObject | None, sid: str, statement: JsonObject | None) -> JsonObject | None:
    """A bucket's policy with this statement in the place of the one with its Sid; all else stays as it is.

    None, as statement or as result: there is none.
    """
    policy = stored or _policy(None, [])
    others = [each for each in _statements(policy) if each.get("Sid") != sid]
    statements: list[JsonValue] = [*others, *([statement] if statement is not None else [])]
    return {**policy, "Statement": statements} if statements else None


def statement_of(policy: JsonObject | None, sid: str) -> JsonObject | None:
    """The statement with this Sid, if there is one."""
    return next((each for each in _statements(policy or {}) if each.get("Sid") == sid), None)


def accounts_in(statement: JsonObject | None) -> set[str]:
    """The accounts that a statement of ours has as principals."""
    principal = (statement or {}).get("Principal")
    named = principal.get("AWS") if isinstance(principal, dict) else None
    arns = [str(each).split(":") for each in (named if isinstance(named, list) else [named])]
    return {arn[4] for arn in arns if len(arn) == 6}


def is_same(one: JsonValue, other: JsonValue) -> bool:
    """Whether two policies say the same: AWS sorts lists anew, and writes a list of one as its item."""
    return _normal(one) == _normal(other)


def differing(found: Mapping[Name, str], wanted: Mapping[Name, str]) -> dict[Name, str]:
    """The attributes that are not as wanted; some are JSON, which AWS writes anew."""
    return {
        name: value
        for name, value in wanted.items()
        if name not in found or not is_same(_parsed(found[name]), _parsed(value))
    }


def policy_text(policy: JsonObject, limit: int, what: str, accounts: int) -> str:
    """A policy as it is sent. Raises PolicyTooLargeError above `limit` bytes; `what` has it."""
    text = json.dumps(policy, separators=(",", ":"))
    if len(text) > limit:
        raise PolicyTooLargeError(
            f"{what}: with {accounts} accounts its policy has {len(text)} bytes, and AWS takes {limit}. The"
            " policy stays as it was: who is in it goes on, and nobody comes in. Remove members, or what"
            " others have written into it; members may also share an account"
        )
    return text


def _parsed(text: str) -> JsonValue:
    try:
        parsed: JsonValue = json.loads(text)
    except ValueError:
        return text
    return parsed


def _allow(sid: str, principal: JsonObject, actions: Sequence[str], resource: str) -> JsonObject:
    action: JsonValue = actions[0] if len(actions) == 1 else [*actions]
    return {"Sid": sid, "Effect": "Allow", "Principal": principal, "Action": action, "Resource": resource}


def _policy(name: str | None, statements: Sequence[JsonObject]) -> JsonObject:
    start: JsonObject = {"Version": VERSION} if name is None else {"Version": VERSION, "Id": name}
    return start | {"Statement": [*statements]}


def _roots(partition: str, accounts: Sequence[str]) -> JsonObject:
    return {"AWS": [f"arn:{partition}:iam::{account}:root" for account in accounts]}


def _statements(policy: JsonObject) -> list[JsonObject]:
    """One statement may stand there without a list."""
    listed = policy.get("Statement")
    return [each for each in (listed if isinstance(listed, list) else [listed]) if isinstance(each, dict)]


def _batches(items: Sequence[str], size: int) -> Iterator[list[str]]:
    """At most `size` of them at a time."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def _normal(value: JsonValue) -> JsonValue:
    """Lists sorted, a list of one item as that item."""
    if isinstance(value, dict):
        return {key: _normal(item) for key, item in value.items()}
    if isinstance(value, list):
        items = sorted((_normal(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
        return items[0] if len(items) == 1 else items
    return value
