"""`awsinfo`: what an account on an emulator has, as a job of the gateway's."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from symfed_api.aws_info import aws_info
from symfed_wire.bodies import open_body
from symfed_wire.federation_map import parse_aws_info_map
from tests.integration.aws_servers import ADMIN_ACCOUNT, REGION, AwsServer, running
from tests.integration.gateway import NONCE, NewTenant, Nodes, Tenant, started_gateway, text_of
from tests.integration.servers import ControlPlane, wait_until

SECRET, TOKEN = "hidden-secret-key", "hidden-session-token"
KEYS = {"aws_access_key": ADMIN_ACCOUNT, "aws_secret_key": SECRET}


@pytest.fixture(scope="module", params=["ministack", "moto"])
def aws(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsServer]:
    """An account with a topic that a queue is subscribed to, and 150 topics nobody listens to."""
    folder = tmp_path_factory.mktemp("aws")
    server = AwsServer.ministack(folder) if request.param == "ministack" else AwsServer.moto(folder)
    with running(server):
        account = server.account(ADMIN_ACCOUNT)
        topic = account.sns.create_topic(Name="iris")["TopicArn"]
        url = account.sqs.create_queue(QueueName="iris_p1")["QueueUrl"]
        asked = account.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        queue = asked["Attributes"]["QueueArn"]
        account.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
        for number in range(150):  # more than a page
            account.sns.create_topic(Name=f"bare-{number}")
        yield server


async def looked_up(endpoint: str, **keys: str) -> dict[str, Any]:
    """The job's work by itself."""
    found: Any = (await aws_info(parse_aws_info_map({**KEYS, **keys}), endpoint))["awsInfo"]
    return dict(found)


async def test_topics_with_their_subscriptions_and_queues_of_one_region(aws: AwsServer) -> None:
    found = await looked_up(aws.url, aws_region="EU_CENTRAL_1")
    assert (set(found["topics"]), set(found["queues"]), found["skipped"]) == (
        {"EU_CENTRAL_1"},
        {"EU_CENTRAL_1"},
        {},
    )
    topics = {arn: list(subs) for entry in found["topics"]["EU_CENTRAL_1"] for arn, subs in entry.items()}
    assert len(topics) == 151
    [(arn, [subscription])] = [(arn, subs) for arn, subs in topics.items() if subs]
    owner = arn.split(":")[4]
    assert arn == f"arn:aws:sns:{REGION}:{owner}:iris"
    assert subscription.pop("subscription_arn").startswith(arn)
    queue = f"arn:aws:sqs:{REGION}:{owner}:iris_p1"
    assert subscription == {"owner": owner, "protocol": "sqs", "endpoint": queue}
    [url] = found["queues"]["EU_CENTRAL_1"]
    assert url.endswith(f"/{owner}/iris_p1")


async def test_without_a_region_all_are_looked_through(aws: AwsServer) -> None:
    found = await looked_up(aws.url)
    assert len(found["topics"]) > 20
    assert set(found["topics"]) == set(found["queues"])
    assert [name for name, topics in found["topics"].items() if topics] == ["EU_CENTRAL_1"]
    assert (found["topics"]["US_EAST_1"], found["queues"]["US_EAST_1"]) == ([], [])


def finished(tenant: Tenant, number: str) -> dict[str, Any]:
    """The values of a finished job."""
    wait_until(lambda: tenant.call("GET", f"/jobs/{number}").status_code != 202, "the job runs", 30)
    answer = tenant.call("GET", f"/jobs/{number}")
    assert text_of(answer) == (200, "Job is finished")
    values: dict[str, Any] = answer.json()["values"]
    return values


def test_a_job_of_the_gateways_own_keeps_no_keys(
    new_tenant: NewTenant, aws: AwsServer, control_plane: ControlPlane, nodes: Nodes, tmp_path: Path
) -> None:
    tenant = new_tenant()
    debug = {"SYMFED_AWS_ENDPOINT_URL": f"{aws.url}/", "SYMFED_LOG_LEVEL": "DEBUG"}
    keys = {**KEYS, "aws_session_token": TOKEN, "aws_region": REGION}
    with started_gateway(control_plane, nodes, tmp_path, **debug) as gateway:
        tenant.url = gateway.url
        started = tenant.call("POST", "/fedml/awsinfo", sealed=keys)
        assert text_of(started) == (202, "Job Created")
        number = started.headers["sym-job-id"]
        assert started.headers["Location"] == f"{tenant.url}/symetry/rest/{tenant.id}/jobs/{number}"
        values = finished(tenant, number)
        assert set(values) == {"jobinfo", "awsInfoEncrypted"}
        assert values["jobinfo"]["jobType"] == "awsInfo"
        opened = json.loads(open_body(values["awsInfoEncrypted"], tenant.secret_key))
        assert set(opened["queues"]) == {"EU_CENTRAL_1"}

        again = tenant.call("GET", f"/jobs/{number}", nonce=NONCE).json()["values"]
        assert again["awsInfoEncrypted"].startswith("v2."), "the answer takes its form from its request"
        kept = json.dumps(tenant.object("configmaps", f"symfed-job-{number}"))
        log = gateway.log.read_text()
        assert "POST /symetry/rest" in log
        for text in (SECRET, TOKEN, ADMIN_ACCOUNT, "iris_p1"):
            assert text not in kept
            assert text not in log


def test_a_project_may_be_named_and_must_be_a_members(tenant: Tenant) -> None:
    absent = tenant.call("POST", "/fedml/p1/awsinfo", sealed=KEYS)
    assert text_of(absent) == (400, f"Cannot Find SYMETRYML id[p1] for Customer id [{tenant.id}]")
    tenant.create()
    bad = tenant.call("POST", "/fedml/p1/awsinfo", sealed={"aws_region": "Mars", "aws_access_key": "A"})
    assert text_of(bad) == (
        400,
        "aws_region: 'mars' is not a region such as US_EAST_1 or us-east-1; aws_secret_key: missing",
    )
    assert tenant.names("configmaps") == []
