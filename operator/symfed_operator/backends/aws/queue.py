"""A peer's queue and its dead-letter queue, in the account of the peer."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from symfed_operator.backends.aws.calls import Parameters, Result
from symfed_operator.backends.aws.errors import QueueMissingError
from symfed_operator.backends.aws.names import FEDERATION_TAG, PEER_TAG, dead_letter_name, queue_arn
from symfed_operator.backends.aws.ownership import check_owner
from symfed_operator.backends.aws.policies import (
    QUEUE_POLICY_BYTES,
    differing,
    policy_text,
    queue_policy,
)
from symfed_operator.backends.aws.session import AwsSide

if TYPE_CHECKING:
    from mypy_boto3_sqs.literals import QueueAttributeNameType

    Attributes = dict[QueueAttributeNameType, str]

_POLL_SECONDS: Final = 20
_KEPT_SECONDS: Final = 14 * 24 * 3600  # the longest that SQS has
_TRIES: Final = 5


class Queue:
    """A queue by its name, and the one for what could not be taken from it; both are one peer's."""

    def __init__(self, side: AwsSide, name: str, *, topic: str, federation: str, peer: str) -> None:
        self._side = side
        self._name = name
        self._topic = topic
        self._federation = federation
        self._tags = {FEDERATION_TAG: federation, PEER_TAG: peer}
        self.arn = self._arn(name)

    async def ensure(self) -> str:
        """Makes both queues, or sets right what differs. Returns the queue's URL.

        Raises:
            ExternalNameTakenError: somebody else's queue has the name.
            QueueDeletedRecentlyError: one of this name was deleted within the last 60 seconds.
        """
        dead = dead_letter_name(self._name)
        common: Attributes = {
            "SqsManagedSseEnabled": "true",
            "MessageRetentionPeriod": str(_KEPT_SECONDS),
        }
        await self._ensure(dead, common)
        policy = queue_policy(self.arn, self._topic, self._federation)
        own: Attributes = {
            "ReceiveMessageWaitTimeSeconds": str(_POLL_SECONDS),
            "RedrivePolicy": json.dumps({"deadLetterTargetArn": self._arn(dead), "maxReceiveCount": _TRIES}),
            "Policy": policy_text(policy, QUEUE_POLICY_BYTES, self.arn, 1),
        }
        return await self._ensure(self._name, common | own)

    async def delete(self) -> None:
        """Deletes both, as far as they are there."""
        for name in (self._name, dead_letter_name(self._name)):
            url = await self._find(name)
            if url is not None:
                await self._sqs(name, self._side.sqs.delete_queue, QueueUrl=url)

    async def _ensure(self, name: str, wanted: "Attributes") -> str:
        sqs = self._side.sqs
        url = await self._find(name)
        if url is None:
            made = await self._sqs(name, sqs.create_queue, QueueName=name, Attributes=wanted, tags=self._tags)
            return made["QueueUrl"]
        found = await self._sqs(name, sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["All"])
        changes = differing(found.get("Attributes", {}), wanted)
        if changes:
            await self._sqs(name, sqs.set_queue_attributes, QueueUrl=url, Attributes=changes)
        return url

    async def _find(self, name: str) -> str | None:
        """The URL of a queue that is ours; None where there is none. Raises ExternalNameTakenError."""
        sqs = self._side.sqs
        try:
            url = (await self._sqs(name, sqs.get_queue_url, QueueName=name))["QueueUrl"]
            found = await self._sqs(name, sqs.list_queue_tags, QueueUrl=url)
        except QueueMissingError:
            return None
        check_owner(self._arn(name), found.get("Tags", {}), self._tags)
        return url

    def _arn(self, name: str) -> str:
        return queue_arn(self._side.access.region, self._side.account, name)

    async def _sqs(
        self,
        name: str,
        method: Callable[Parameters, Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        return await self._side.calls.run("sqs", self._arn(name), method, *args, **kwargs)
