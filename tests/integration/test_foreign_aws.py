"""Federations on AWS with the client that shares no code with symfed."""

import pytest

from symfed_wire.client import Client as OwnClient
from symfed_wire.client.http import Form
from tests.foreign.client import Client
from tests.integration.line import Line

ACCOUNT, REGION = "444444444444", "eu-west-1"
KEYS = {"aws_access_key": ACCOUNT, "aws_secret_key": "any secret will do"}


@pytest.fixture(scope="module")
def client(line: Line) -> Client:
    """A customer with an account on AWS, and an admin's project there."""
    owner = line.new_customer("foreign-aws")
    made = Client(line.url, owner.name, owner.secret_key)
    side = {**KEYS, "aws_region": "EU_WEST_1", "s3_bucket": "foreign-aws", "aws_endpoint_url": line.aws.url}
    created = made.create("admin", {"fed_name": "foreign", "sync_sched": "d1", **side})
    assert (created.status, created.text) == (201, "Project Created with id:admin")
    return made


def test_what_the_project_says_of_its_side(client: Client) -> None:
    info = client.opened(client.info("admin"), "fedInfoEncrypted")
    assert (info["fed_type"], info["s3_bucket"], info["fed_name"]) == ("AWS", "foreign-aws", "foreign")
    assert (info["aws_access_key"], info["aws_secret_key"]) == ("****", "****")


@pytest.mark.parametrize(("pid", "region"), [(None, "EU_WEST_1"), ("admin", REGION), (None, None)])
def test_the_topics_and_queues_of_an_account(
    line: Line, client: Client, pid: str | None, region: str | None
) -> None:
    line.aws.account(ACCOUNT, REGION).sqs.create_queue(QueueName="seen")
    started = client.aws_info({**KEYS, **({"aws_region": region} if region else {})}, pid)
    assert (started.status, started.text) == (202, "Job Created")
    assert started.headers["location"] == f"{line.url}/symetry/rest/foreign-aws/jobs/{started.job}"
    finished = client.finished(started)
    assert (finished.status, finished.text) == (200, "Job is finished")
    found = client.opened(finished, "awsInfoEncrypted")
    assert any(url.endswith(f"/{ACCOUNT}/seen") for url in found["queues"]["EU_WEST_1"])
    assert set(found["queues"]) == {"EU_WEST_1"} if region else len(found["queues"]) > 20
    assert client.kill_job(started.job).text == "Job killed"


@pytest.mark.parametrize("form", ["v1", "v2"])
def test_the_own_client_reads_it_in_both_forms(line: Line, client: Client, form: Form) -> None:
    line.aws.account(ACCOUNT, REGION).sns.create_topic(Name="listed")
    with OwnClient(line.url, client.cid, client.secret_key, form=form) as own:
        found = own.aws_info(ACCOUNT, "any secret will do", region=REGION)
    arns = {arn for topic in found.topics["EU_WEST_1"] for arn in topic}
    assert f"arn:aws:sns:{REGION}:{ACCOUNT}:listed" in arns
