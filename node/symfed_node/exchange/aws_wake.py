"""Waking and being woken: a topic that all members publish on, and a queue of one's own."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from symfed_node.exchange.aws_calls import AwsCalls
from symfed_node.exchange.base import OnWake, Wake
from symfed_wire.aws_layout import PEER_ATTRIBUTE, Pointer
from symfed_wire.errors import MalformedError
from symfed_wire.join import AwsGrant
from symfed_wire.node_config import AwsPlace

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

log = logging.getLogger(__name__)

_MOST_MESSAGES: Final = 10  # that SQS gives at once

_WAKES: Final = {"head": Wake.HEAD, "ask": Wake.ASK, "document": Wake.DOCUMENT}


class AwsWake:
    """One peer's queue, and the topic of its federation. All raise AwsError."""

    def __init__(self, calls: AwsCalls, peer: str, grant: AwsGrant, place: AwsPlace) -> None:
        self._calls = calls
        self._peer = peer
        self._grant = grant
        self._place = place
        self._federation = grant.prefix.rstrip("/")
        partition = grant.topic_arn.split(":")[1]
        queue = place.queue_url.rpartition("/")[2]
        self._queue_arn = f"arn:{partition}:sqs:{place.region}:{place.account_id}:{queue}"
        self._has_told = False

    async def receive(self, seconds: int, on_wake: OnWake) -> None:
        """Be woken by what the messages in the queue tell; waits so long for the first one."""
        queue = self._queue_arn
        messages = await self._calls.run("sqs", "ReceiveMessage", queue, partial(self._receive, seconds))
        for wake in set(self._read(messages)):
            on_wake(wake)
        if messages:
            await self._calls.run("sqs", "DeleteMessageBatch", queue, partial(self._delete, messages))

    async def tell(self, pointer: Pointer) -> None:
        """Wake all others."""
        await self._calls.run("sns", "Publish", self._grant.topic_arn, partial(self._publish, pointer))

    def _read(self, messages: list[MessageTypeDef]) -> Iterator[Wake]:
        for message in messages:
            try:
                pointer = Pointer.parse(message.get("Body", ""))
            except MalformedError as error:
                if not self._has_told:
                    log.warning("%s: there was something else in it: %s", self._queue_arn, error)
                self._has_told = True
                continue
            if pointer.federation == self._federation and pointer.peer != self._peer:
                yield _WAKES[pointer.kind]

    # What follows blocks: it runs in threads.

    def _receive(self, seconds: int) -> list[MessageTypeDef]:
        answer = self._calls.sqs(self._place.region).receive_message(
            QueueUrl=self._place.queue_url, WaitTimeSeconds=seconds, MaxNumberOfMessages=_MOST_MESSAGES
        )
        return answer.get("Messages", [])

    def _delete(self, messages: list[MessageTypeDef]) -> None:
        self._calls.sqs(self._place.region).delete_message_batch(
            QueueUrl=self._place.queue_url,
            Entries=[
                {"Id": str(number), "ReceiptHandle": message.get("ReceiptHandle", "")}
                for number, message in enumerate(messages)
            ],
        )

    def _publish(self, pointer: Pointer) -> None:
        self._calls.sns(self._grant.region).publish(
            TopicArn=self._grant.topic_arn,
            Message=pointer.to_text(),
            MessageAttributes={PEER_ATTRIBUTE: {"DataType": "String", "StringValue": pointer.peer}},
        )
