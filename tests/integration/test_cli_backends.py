"""The command line on AWS as a user calls it, against all parts."""

import json
from pathlib import Path

from tests.integration.aws_servers import REGION, SECRET_KEY, AwsServer
from tests.integration.line import Line
from tests.integration.test_cli import symfed

ACCOUNTS = ("818181818181", "828282828282")
PASSWORD = "s3cret-for-b"


def aws_of(aws: AwsServer, account: str) -> dict[str, str]:
    """An account's keys, as AWS's own tools have them; its bucket is made."""
    aws.account(account).s3.create_bucket(
        Bucket=f"cli-{account}", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    return {"AWS_ACCESS_KEY_ID": account, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": REGION}


def test_two_accounts_exchange_by_the_command_line(line: Line, tmp_path: Path) -> None:
    first, second = line.new_customer("cli-aws-1"), line.new_customer("cli-aws-2")
    keys = [aws_of(line.aws, account) for account in ACCOUNTS]
    here = symfed(line.url, first.name, first.secret_key, tmp_path, more=keys[0])
    there = symfed(line.url, second.name, second.secret_key, tmp_path, more=keys[1])
    endpoint = ("--aws-endpoint", line.aws.url)

    here("create", "a", "--name", "study", "--schedule", "m1", "--bucket", f"cli-{ACCOUNTS[0]}", *endpoint)
    invitation = here("invite", "a", "--password", PASSWORD)
    join = ("join", "-", "--password", PASSWORD, "--project", "b", *endpoint)
    lacking = there(*join, "--bucket", f"cli-{ACCOUNTS[1]}", stdin=invitation, status=2)
    assert lacking == "error: a peer on AWS needs --aws-account\n"
    own = ("--bucket", f"cli-{ACCOUNTS[1]}", "--aws-account", ACCOUNTS[1])
    assert there(*join, *own, stdin=invitation) == "b has joined federation study\n"
    here("learn", "a", "examples/visits-a.csv", "--ignore", "name")
    there("learn", "b", "examples/visits-b.csv", "--ignore", "name")
    here("sync", "a", "--wait", "--peers", "2", "--rows", "100")

    told = json.loads(here("info", "a", "-o", "json"))["federation"]
    topic = f"arn:aws:sns:{REGION}:{ACCOUNTS[0]}:study"
    assert (told["fed_type"], told["aws_topic_arn"], told["s3_bucket"]) == (
        "AWS",
        topic,
        f"cli-{ACCOUNTS[0]}",
    )
    listed = here("awsinfo", "--aws-region", REGION)
    assert topic in listed
    assert f"arn:aws:sqs:{REGION}:{ACCOUNTS[1]}:study_b" in listed, "the member's queue is subscribed"

    there("delete", "b", "--yes")
    here("delete", "a", "--yes")
    assert topic not in here("awsinfo", "--aws-region", REGION)
