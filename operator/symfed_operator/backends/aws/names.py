"""What things are called on AWS. Pure: the same names every time, so that nothing is made twice."""

import hashlib
import re
from typing import Final

from symfed_operator.backends.access import AwsAccess
from symfed_wire.join import AwsMember
from symfed_wire.resources import Aws, FederationPeer

FEDERATION_TAG: Final = "symfed.dev/federation"  # uid of the Federation object
PEER_TAG: Final = "symfed.dev/peer"  # uuid of the peer
_LONGEST_QUEUE = 80
_DEAD_LETTERS = "-dlq"
_HASH_LENGTH = 8
_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_-]")


def queue_name(federation_name: str, project: str) -> str:
    """`<fed_name>_<pid>` as far as SQS allows; a hash is added when that loses anything.

    Its dead-letter queue's name must fit too.
    """
    plain = f"{federation_name}_{project}"
    name = _NOT_ALLOWED.sub("-", plain)
    longest = _LONGEST_QUEUE - len(_DEAD_LETTERS)
    if name == plain and len(name) <= longest:
        return name
    digest = hashlib.sha256(plain.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{name[: longest - _HASH_LENGTH - 1]}-{digest}"


def dead_letter_name(queue: str) -> str:
    """The queue for messages that could not be taken."""
    return f"{queue}{_DEAD_LETTERS}"


def partition_of(region: str) -> str:
    """The first part of an ARN after `arn`."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def queue_arn(region: str, account: str, name: str) -> str:
    """The ARN of a queue."""
    return f"arn:{partition_of(region)}:sqs:{region}:{account}:{name}"


def topic_arn(region: str, account: str, federation_name: str) -> str:
    """The ARN of a federation's topic."""
    return f"arn:{partition_of(region)}:sns:{region}:{account}:{federation_name}"


def aws_member(aws: Aws | AwsAccess, account: str, federation_name: str, peer: FederationPeer) -> AwsMember:
    """A peer's place on AWS, as its admin is told."""
    name = queue_name(federation_name, peer.spec.project or peer.metadata.name)
    return AwsMember(
        account_id=account,
        region=aws.region,
        bucket=aws.bucket,
        queue_arn=queue_arn(aws.region, account, name),
    )


def federation_prefix(federation: str) -> str:
    """All keys of a federation, by its uid, begin with this in every bucket."""
    return f"{federation}/"


def peer_prefix(federation: str, peer: str) -> str:
    """All keys of one peer, by its uuid."""
    return f"{federation_prefix(federation)}{peer}/"


def statement_id(federation: str) -> str:
    """The Sid of our statement in a bucket's policy; a Sid has letters and digits only."""
    return f"symfed{federation.replace('-', '')}"
