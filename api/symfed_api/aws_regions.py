"""One AWS account's topics and queues, region by region; blocking, for threads."""

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn, TypedDict

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.loaders import create_loader
from botocore.session import Session

from symfed_wire.aws_errors import AwsReason, action_of, describe
from symfed_wire.errors import SymfedError

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

# `retries` are few: a job has a minute, and who gave the keys may ask again.
_CONFIG: Final = Config(
    connect_timeout=5,
    read_timeout=15,
    retries={"mode": "standard", "total_max_attempts": 3},
)
# What boto3 reads of AWS's services and regions, 10 MB: once for all jobs.
_LOADER: Final = create_loader()
_QUEUES_AT_ONCE: Final = 1000  # without it SQS gives one page and no next one

# What is to be done, where the caller of `awsinfo` can do it; other faults have words enough.
_WORDS: Final = {
    AwsReason.CREDENTIALS_REFUSED: (
        "AWS does not know these keys in {region}: check aws_access_key, aws_secret_key, aws_session_token, "
        "which temporary keys need and others must not have, and whether the account uses this region"
    ),
    AwsReason.CREDENTIALS_EXPIRED: "aws_session_token has expired: give new keys",
    AwsReason.CLOCK_SKEW: (
        "The clocks of the gateway and of AWS differ by more than 5 minutes: set the gateway's right"
    ),
    AwsReason.THROTTLED: "AWS asks for fewer requests ({action} in {region}): try again later",
    AwsReason.UNREACHABLE: "AWS does not answer {action} in {region} ({cause}): is the region right?",
}


class _Options(TypedDict):
    region_name: str
    endpoint_url: str | None
    config: Config


class RegionError(SymfedError):
    """AWS did not tell what was asked; `cause` is why."""

    reason = "AwsFailed"

    def __init__(self, cause: AwsReason, text: str) -> None:
        super().__init__(text)
        self.cause = cause


class StoppedError(SymfedError):
    """Nobody waits for the answer any more."""

    reason = "Stopped"


@dataclass(frozen=True)
class Subscription:
    """Who gets what a topic is told, in AWS's words."""

    owner: str
    protocol: str
    endpoint: str
    arn: str


@dataclass(frozen=True)
class Region:
    """What an account has in one region: subscriptions by the topic's ARN, and the queues' URLs."""

    topics: Mapping[str, tuple[Subscription, ...]]
    queues: tuple[str, ...]


class AwsRegions:
    """The regions of whoever the keys belong to; `credentials` has the names of the Secret's keys.

    Only `endpoint` is called, or AWS's own hosts: nothing that the keys' owner says leads elsewhere.
    """

    def __init__(self, credentials: Mapping[str, str], endpoint: str | None) -> None:
        core = Session()
        core.register_component("data_loader", _LOADER)
        self._session = boto3.Session(
            botocore_session=core,
            aws_access_key_id=credentials["accessKeyId"],
            aws_secret_access_key=credentials["secretAccessKey"],
            aws_session_token=credentials.get("sessionToken"),
        )
        self._endpoint = endpoint
        self._making = threading.Lock()  # a session is not for several threads, what it makes is
        self._stopped = threading.Event()

    def names(self) -> list[str]:
        """All regions that have both services, whether the account uses them or not."""
        found = [set(self._session.get_available_regions(service)) for service in ("sns", "sqs")]
        return sorted(set.intersection(*found))

    def read(self, region: str) -> Region:
        """Topics and queues of one region. Raises RegionError, StoppedError."""
        where = _Options(region_name=region, endpoint_url=self._endpoint, config=_CONFIG)
        with self._making:
            sns, sqs = self._session.client("sns", **where), self._session.client("sqs", **where)
        topics = dict[str, tuple[Subscription, ...]]()
        for arn in self._topics(sns, region):
            try:
                topics[arn] = self._subscriptions(sns, arn, region)
            except RegionError as error:
                if error.cause is not AwsReason.TOPIC_MISSING:  # deleted since it was listed
                    raise
        return Region(topics, self._queues(sqs, region))

    def _topics(self, sns: "SNSClient", region: str) -> list[str]:
        found = list[str]()
        with self._told("sns", "ListTopics", region):
            for page in sns.get_paginator("list_topics").paginate():
                self._check_wanted()
                found += [topic["TopicArn"] for topic in page["Topics"]]
        return found

    def _subscriptions(self, sns: "SNSClient", arn: str, region: str) -> tuple[Subscription, ...]:
        found = list[Subscription]()
        with self._told("sns", "ListSubscriptionsByTopic", region):
            for page in sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn):
                self._check_wanted()
                found += [
                    Subscription(
                        owner=item.get("Owner", ""),
                        protocol=item.get("Protocol", ""),
                        endpoint=item.get("Endpoint", ""),
                        arn=item.get("SubscriptionArn", ""),
                    )
                    for item in page["Subscriptions"]
                ]
        return tuple(found)

    def _queues(self, sqs: "SQSClient", region: str) -> tuple[str, ...]:
        found = list[str]()
        with self._told("sqs", "ListQueues", region):
            pages = sqs.get_paginator("list_queues").paginate(PaginationConfig={"PageSize": _QUEUES_AT_ONCE})
            for page in pages:
                self._check_wanted()
                found += page.get("QueueUrls", [])
        return tuple(found)

    def stop(self) -> None:
        """Let threads that still read come to their end."""
        self._stopped.set()

    def _check_wanted(self) -> None:
        if self._stopped.is_set():
            raise StoppedError("nobody waits for the answer any more")

    @contextmanager
    def _told(self, service: str, operation: str, region: str) -> Iterator[None]:
        """Raise RegionError for whatever the calls in the block end with."""
        self._check_wanted()
        try:
            yield
        except ClientError as error:
            answer = error.response.get("Error", {})
            message = answer.get("Message") or ""
            fault = describe(service, operation, answer.get("Code", ""), message, region)
            _fail(fault.reason, service, operation, region, fault.text)
        except (HTTPClientError, NoConnectionError) as error:
            _fail(AwsReason.UNREACHABLE, service, operation, region, type(error).__name__)


def _fail(reason: AwsReason, service: str, operation: str, region: str, cause: str) -> NoReturn:
    words = _WORDS.get(reason, "{cause}")
    raise RegionError(reason, words.format(action=action_of(service, operation), region=region, cause=cause))


def keep_keys_out_of_logs() -> None:
    """At DEBUG boto3 logs each request with its headers, and a session token is one."""
    for name in ("boto3", "botocore", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
