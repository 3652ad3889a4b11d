"""A hosted peer's own side on AWS: its queue, its subscription, and who may read its bucket."""

import logging

from symfed_operator.backends.aws.bucket import Bucket, Readers, read_object
from symfed_operator.backends.aws.errors import BucketMissingError
from symfed_operator.backends.aws.names import peer_prefix, queue_name
from symfed_operator.backends.aws.queue import Queue
from symfed_operator.backends.aws.session import AwsSide
from symfed_operator.backends.aws.subscription import Subscription
from symfed_operator.backends.aws.topic import publish
from symfed_operator.backends.base import BackendError, ExternalNameTakenError, Told
from symfed_operator.documents import first_document, newest_document
from symfed_wire.aws_layout import DOCUMENT_OBJECT, Pointer
from symfed_wire.documents import FederationDocument, SignatureError
from symfed_wire.errors import MalformedError
from symfed_wire.join import AwsGrant, JoinAnswer
from symfed_wire.node_config import AwsPlace

_log = logging.getLogger(__name__)


class AwsPeerSide:
    """`PeerSide` in the account of one peer; see there."""

    def __init__(
        self, side: AwsSide, answer: JoinAnswer, grant: AwsGrant, *, uuid: str, project: str
    ) -> None:
        self._side = side
        self._answer = answer
        self._grant = grant
        self._uuid = uuid
        self._first = first_document(answer)
        self._queue_name = queue_name(self._first.name, project)
        self._bucket = Bucket(side, answer.federation)

    @property
    def told(self) -> Told:
        """See `PeerSide.told`."""
        access, account = self._side.access, self._side.account
        return Told(
            aws_place=AwsPlace(
                account_id=account,
                region=access.region,
                bucket=access.bucket,
                queue_url=f"{self._side.sqs.meta.endpoint_url}/{account}/{self._queue_name}",
                endpoint_url=access.endpoint_url,
            )
        )

    async def apply(self) -> str:
        """See `PeerSide.apply`."""
        readers = Readers()
        if not self._is_admins_bucket:
            document = await self._newest_document()
            accounts = {member.aws.account_id for member in document.active_members() if member.aws}
            readers = await self._bucket.let_read(accounts)
        queue = self._queue
        await queue.ensure()
        await self._subscription(queue).ensure()
        if readers.have_changed:  # who could not read before need not wait for its next look
            changed = Pointer(kind="head", federation=self._answer.federation, peer=self._uuid)
            await publish(self._side, self._grant.topic_arn, changed)
        text, unknown = "queue, subscription and the bucket's policy are as they must be", readers.unknown
        return f"{text}; AWS does not know the accounts {', '.join(sorted(unknown))}" if unknown else text

    async def delete(self, *, retains: bool) -> None:
        """See `PeerSide.delete`."""
        queue = self._queue
        await self._subscription(queue).end()
        try:
            await queue.delete()
        except ExternalNameTakenError as error:
            _log.info("peer %s: %s: no queue is deleted", self._uuid, error)
        try:
            if not await self._is_others_bucket():
                await self._bucket.let_nobody_read()
            if not retains:
                await self._bucket.delete_objects(peer_prefix(self._answer.federation, self._uuid))
        except BucketMissingError as error:
            _log.info("peer %s: nothing is left to free: %s", self._uuid, error)

    @property
    def _queue(self) -> Queue:
        return Queue(
            self._side,
            self._queue_name,
            topic=self._grant.topic_arn,
            federation=self._answer.federation,
            peer=self._uuid,
        )

    def _subscription(self, queue: Queue) -> Subscription:
        return Subscription(self._side, topic=self._grant.topic_arn, queue=queue.arn, peer=self._uuid)

    @property
    def _is_admins_bucket(self) -> bool:
        """Whether it is the bucket of the federation itself, whose policy the admin's operator writes."""
        return self._grant.bucket == self._side.access.bucket

    async def _is_others_bucket(self) -> bool:
        """Whether somebody else of the federation needs that policy still."""
        if self._is_admins_bucket:
            return True
        document = await self._newest_document()
        others = [member for member in document.active_members() if member.uuid != self._uuid]
        return any(member.aws is not None and member.aws.bucket == self._bucket.name for member in others)

    async def _newest_document(self) -> FederationDocument:
        """The one in the admin's bucket, or that of the answer while it cannot be read."""
        key = self._grant.prefix + DOCUMENT_OBJECT
        try:
            text = await read_object(self._side, self._grant.bucket, key)
            return newest_document(self._answer, text)
        except (BackendError, SignatureError, MalformedError) as error:
            _log.warning("peer %s: the federation document is not read: %s", self._uuid, error)
            return self._first
