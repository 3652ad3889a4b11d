"""Users on an emulated AWS that judges rights, with the policies of docs/aws.md and nothing else."""

import json
import uuid
from typing import Any

import boto3

from symfed_operator.backends.access import AwsAccess, AwsKeys
from tests.integration.aws_servers import SECRET_KEY
from tests.integration.aws_world import Peer, World
from tests.policies.cases import page_policy

# ministack judges these on `*`, not on the topic that they are about.
WITHOUT_RESOURCE = [
    *("sns:ListTagsForResource", "sns:GetSubscriptionAttributes", "sns:SetSubscriptionAttributes"),
    "sns:Unsubscribe",
    "sqs:DeleteMessageBatch",  # for AWS it is sqs:DeleteMessage
]


def least(world: World, title: str, peer: Peer) -> str:
    """A policy of docs/aws.md with the names of a test."""
    policy = page_policy(title)
    text = json.dumps(policy).replace("admins-bucket", peer.bucket).replace("peers-bucket", peer.bucket)
    made = json.loads(text.replace("study", world.name))
    for statement in made["Statement"]:
        if statement["Sid"] == "WhatOthersGrant":
            del statement["Condition"]  # ministack takes any bucket for one of the caller's account there
    made["Statement"].append({"Effect": "Allow", "Action": WITHOUT_RESOURCE, "Resource": "*"})
    return json.dumps(made)


def user(peer: Peer, policy: str) -> AwsAccess:
    """A new user of the account with just that policy."""
    iam, name = iam_of(peer), f"symfed-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="least", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return peer.access(keys=AwsKeys(key["AccessKeyId"], key["SecretAccessKey"]))


def iam_of(peer: Peer) -> Any:
    """As the account's root."""
    account = peer.account
    return boto3.client(
        "iam",
        endpoint_url=account.endpoint,
        region_name=account.region,
        aws_access_key_id=account.account,
        aws_secret_access_key=SECRET_KEY,
    )
