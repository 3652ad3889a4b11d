"""A federation's topic, in the account of its admin."""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final

from symfed_operator.backends.aws.accounts import put_for
from symfed_operator.backends.aws.calls import Parameters, Result, some_of
from symfed_operator.backends.aws.errors import TopicMissingError
from symfed_operator.backends.aws.names import FEDERATION_TAG, topic_arn
from symfed_operator.backends.aws.ownership import check_owner
from symfed_operator.backends.aws.policies import (
    TOPIC_POLICY_BYTES,
    accounts_in,
    is_same,
    parsed_policy,
    policy_text,
    statement_of,
    topic_policy,
)
from symfed_operator.backends.aws.session import AwsSide
from symfed_wire.aws_layout import PEER_ATTRIBUTE, Pointer
from symfed_wire.kube import JsonObject

if TYPE_CHECKING:
    from mypy_boto3_sns.type_defs import TagTypeDef

_MOST_PAGES: Final = 100  # of 100 subscriptions


class Topic:
    """The topic of one federation, by its uid and its name."""

    def __init__(self, side: AwsSide, federation: str, name: str) -> None:
        self.arn = topic_arn(side.access.region, side.account, name)
        self._side = side
        self._federation = federation
        self._name = name

    async def ensure(self, accounts: Collection[str]) -> frozenset[str]:
        """Makes the topic and lets the members' accounts use it. Returns those that AWS does not know.

        Raises:
            ExternalNameTakenError: another one has the name.
            PolicyTooLargeError: there are too many accounts.
        """
        stored = await self._stored_policy()
        if stored is None:
            tag: TagTypeDef = {"Key": FEDERATION_TAG, "Value": self._federation}
            await self._sns(self._side.sns.create_topic, Name=self._name, Tags=[tag])
            stored = {}
        return await self._let_use(stored, accounts)

    async def restrict(self, accounts: Collection[str]) -> None:
        """Nobody but these accounts may use the topic any more; where there is none, none is made."""
        stored = await self._stored_policy()
        if stored is not None:
            await self._let_use(stored, accounts)

    async def _let_use(self, stored: JsonObject, accounts: Collection[str]) -> frozenset[str]:
        """These accounts and no others; also, an account that may no more subscribe has no subscription."""
        unknown: frozenset[str] = frozenset()
        if not is_same(stored, topic_policy(self.arn, self._federation, accounts)):
            known = accounts_in(statement_of(stored, "Publish")) | {self._side.account}
            unknown = await put_for(accounts, known, self._put_policy)
        for arn, owner in await self._sns(self._subscriptions):
            if owner not in accounts and owner != self._side.account:
                await self._sns(self._side.sns.unsubscribe, SubscriptionArn=arn)
        return unknown

    async def delete(self) -> None:
        """Deletes the topic with its subscriptions, if it is there."""
        if await self._stored_policy() is not None:
            await self._sns(self._side.sns.delete_topic, TopicArn=self.arn)

    async def _stored_policy(self) -> JsonObject | None:
        """None: there is no topic. Raises ExternalNameTakenError."""
        try:
            policy, tags = await self._sns(self._read)
        except TopicMissingError:
            return None
        check_owner(self.arn, tags, {FEDERATION_TAG: self._federation})
        return policy

    def _read(self) -> tuple[JsonObject, dict[str, str]]:
        sns = self._side.sns
        found = sns.get_topic_attributes(TopicArn=self.arn)["Attributes"]
        tags = sns.list_tags_for_resource(ResourceArn=self.arn)["Tags"]
        return parsed_policy(found.get("Policy") or "{}"), {tag["Key"]: tag["Value"] for tag in tags}

    async def _put_policy(self, accounts: Collection[str]) -> None:
        policy = topic_policy(self.arn, self._federation, accounts)
        await self._sns(
            self._side.sns.set_topic_attributes,
            TopicArn=self.arn,
            AttributeName="Policy",
            AttributeValue=policy_text(policy, TOPIC_POLICY_BYTES, self.arn, len(accounts)),
        )

    def _subscriptions(self) -> list[tuple[str, str]]:
        """ARN and owner of each. One that nobody has confirmed has no ARN, and ends by itself."""
        pages = self._side.sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=self.arn)
        listed = [
            each for page in some_of(pages, _MOST_PAGES, self.arn) for each in page.get("Subscriptions", [])
        ]
        return [
            (each["SubscriptionArn"], each["Owner"])
            for each in listed
            if each["SubscriptionArn"].count(":") == 6
        ]

    async def _sns(
        self, method: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        return await self._side.calls.run("sns", self.arn, method, *args, **kwargs)


async def publish(side: AwsSide, topic: str, pointer: Pointer) -> None:
    """Wakes everybody who has subscribed to a topic, but the sender."""
    await side.calls.run(
        "sns",
        topic,
        side.sns.publish,
        TopicArn=topic,
        Message=pointer.to_text(),
        MessageAttributes={PEER_ATTRIBUTE: {"DataType": "String", "StringValue": pointer.peer}},
    )
