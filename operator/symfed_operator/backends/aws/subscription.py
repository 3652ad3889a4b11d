"""A peer's subscription to its federation's topic: made, set right and ended by its owner."""

import json
from collections.abc import Callable
from typing import Final

from symfed_operator.backends.aws.calls import Parameters, Result, some_of
from symfed_operator.backends.aws.errors import AccessDeniedError, AwsFailedError
from symfed_operator.backends.aws.policies import differing
from symfed_operator.backends.aws.session import AwsSide
from symfed_wire.aws_layout import PEER_ATTRIBUTE

_MOST_PAGES: Final = 1000  # of 100 subscriptions


class Subscription:
    """Of one queue to one topic: raw messages, and none of the peer's own."""

    def __init__(self, side: AwsSide, *, topic: str, queue: str, peer: str) -> None:
        self._side = side
        self._topic = topic
        self._queue = queue
        self._wanted = {
            "RawMessageDelivery": "true",
            "FilterPolicy": json.dumps({PEER_ATTRIBUTE: [{"anything-but": [peer]}]}),
        }

    async def ensure(self) -> None:
        """Subscribes, or sets right what differs.

        Raises:
            AccessDeniedError: the topic's policy does not let this account subscribe.
            TopicMissingError: there is no such topic.
        """
        sns, wanted = self._side.sns, self._wanted
        arn = await self._subscribe()
        try:
            found = (await self._sns(sns.get_subscription_attributes, SubscriptionArn=arn))["Attributes"]
        except AccessDeniedError:
            return  # that AWS took the repeated subscription says that its attributes are these
        for name, value in differing(found, wanted).items():
            await self._sns(
                sns.set_subscription_attributes,
                SubscriptionArn=arn,
                AttributeName=name,
                AttributeValue=value,
            )

    async def end(self) -> None:
        """Unsubscribes, if it has subscribed."""
        arn = await self._sns(self._find)
        if arn is not None:
            await self._sns(self._side.sns.unsubscribe, SubscriptionArn=arn)

    async def _subscribe(self) -> str:
        """The subscription's ARN, new or not: AWS refuses to repeat one with other attributes."""
        try:
            answer = await self._sns(
                self._side.sns.subscribe,
                TopicArn=self._topic,
                Protocol="sqs",
                Endpoint=self._queue,
                Attributes=self._wanted,
                ReturnSubscriptionArn=True,
            )
        except AwsFailedError as error:
            known = await self._sns(self._find) if "already exists" in str(error) else None
            if known is None:
                raise
            return known
        return answer["SubscriptionArn"]

    def _find(self) -> str | None:
        """Among this account's own, since only a topic's owner may list its subscriptions."""
        pages = self._side.sns.get_paginator("list_subscriptions").paginate()
        for page in some_of(pages, _MOST_PAGES, "the list of this account's subscriptions"):
            for each in page.get("Subscriptions", []):
                if (each["TopicArn"], each["Endpoint"]) == (self._topic, self._queue):
                    return each["SubscriptionArn"]
        return None

    async def _sns(
        self, method: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        return await self._side.calls.run("sns", self._topic, method, *args, **kwargs)
