"""create and join on AWS and on somebody else's NATS, and awsinfo."""

import json
from pathlib import Path

import pytest
from pydantic import JsonValue
from tests.unit.wire.cli.stub import KEY, Gateway, error_of, printed, run

from symfed_wire.bodies import seal_body
from symfed_wire.invitation import seal_invitation

CREATE = ("create", "p", "--name", "study", "--schedule", "m1")
SECRETS = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "hidden-key"}
ON_AWS: dict[str, JsonValue] = {
    "aws_region": "eu-central-1",
    "s3_bucket": "rows",
    "aws_access_key": "AKIA",
    "aws_secret_key": "hidden-key",
}
COMMON: dict[str, JsonValue] = {"fed_name": "study", "sync_sched": "m1", "fed_local_type": "cpu"}


@pytest.fixture
def aws_keys(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys in the environment, as AWS's own tools have them."""
    for name, value in (SECRETS | {"AWS_REGION": "eu-central-1"}).items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("aws_keys")
def test_create_on_aws_takes_the_keys_of_the_environment(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYMFED_NATS", "nats://of.the.profile")
    gateway.on("POST /fedml/create", 201)
    printed(run(*CREATE, "--bucket", "rows"))
    assert gateway.sent() == COMMON | ON_AWS
    monkeypatch.setenv("AWS_SESSION_TOKEN", "hidden-token")
    more = ("--aws-account", "123456789012", "--aws-endpoint", "http://h", "--aws-region", "us-east-1")
    printed(run(*CREATE, "--bucket", "rows", *more))
    assert gateway.sent() == COMMON | ON_AWS | {
        "aws_id": "123456789012",
        "aws_endpoint_url": "http://h",
        "aws_region": "us-east-1",
        "aws_session_token": "hidden-token",
    }


@pytest.mark.usefixtures("aws_keys")
def test_keys_of_aws_alone_mean_no_backend(gateway: Gateway) -> None:
    gateway.on("POST /fedml/create", 201)
    printed(run(*CREATE, "--nats", "nats://n:1"))
    assert gateway.sent() == COMMON | {"nats_hosts": "nats://n:1"}


def test_what_a_side_on_aws_lacks_is_named_at_once(gateway: Gateway) -> None:
    assert error_of(run(*CREATE, "--bucket", "rows"), status=2) == (
        "a peer on AWS needs --aws-region (AWS_REGION), --aws-access-key (AWS_ACCESS_KEY_ID), "
        "--aws-secret-key (AWS_SECRET_ACCESS_KEY)"
    )
    both = run(*CREATE, "--bucket", "rows", "--nats", "nats://n:1")
    assert error_of(both, status=2) == "--nats and --bucket: a federation exchanges over NATS or over AWS"
    assert gateway.calls == []


def test_create_on_somebody_elses_nats(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gateway.on("POST /fedml/create", 201)
    monkeypatch.setenv("SYMFED_NATS_PASSWORD", "hidden")
    ca = tmp_path / "ca.pem"
    ca.write_text("PEM")
    nats = ("--nats", "tls://n:1", "--nats-user", "u", "--nats-ca", str(ca))
    printed(run(*CREATE, *nats))
    assert gateway.sent() == COMMON | {
        "nats_hosts": "tls://n:1",
        "nats_sec_user": "u",
        "nats_sec_passwd": "hidden",
        "nats_tls_ca": "PEM",
    }
    ca.unlink()
    assert error_of(run(*CREATE, *nats)) == f"{ca}: No such file or directory"


def invitation(**keys: JsonValue) -> str:
    """Sealed under `s`."""
    return seal_invitation({"fed_name": "study", **keys}, "s")


@pytest.mark.usefixtures("aws_keys")
def test_a_peer_joins_on_aws_with_a_side_of_its_own(gateway: Gateway) -> None:
    gateway.on("POST /fedml/createJoin", 201)
    topic: dict[str, JsonValue] = {
        "aws_topic_arn": "arn:aws:sns:us-east-1:1:t",
        "aws_topic_region": "us-east-1",
    }
    text = invitation(**topic)
    lacking = error_of(run("join", text, "--password", "s"), status=2)
    assert lacking == "a peer on AWS needs --bucket, --aws-account"
    printed(run("join", text, "--password", "s", "--bucket", "rows", "--aws-account", "123456789012"))
    own = {**ON_AWS, "aws_id": "123456789012", "fed_local_type": "cpu"}
    assert gateway.sent() == {"fed_name": "study", **topic, **own}


@pytest.mark.usefixtures("aws_keys")
def test_keys_of_aws_are_not_sent_to_a_federation_elsewhere(gateway: Gateway) -> None:
    gateway.on("POST /fedml/createJoin", 201)
    text = invitation(nats_hosts="nats://n:1")
    printed(run("join", text, "--password", "s"))
    assert gateway.sent() == {"fed_name": "study", "nats_hosts": "nats://n:1", "fed_local_type": "cpu"}
    refused = run("join", text, "--password", "s", "--bucket", "rows")
    assert error_of(refused, status=2) == "--bucket: this federation is not on AWS"


FOUND: dict[str, JsonValue] = {
    "topics": {"EU_CENTRAL_1": [{"arn:t": [{"owner": "1", "protocol": "sqs", "endpoint": "arn:q"}]}]},
    "queues": {"EU_CENTRAL_1": ["https://q"]},
    "skipped": {"AF_SOUTH_1": "not used"},
}


@pytest.mark.usefixtures("aws_keys")
def test_awsinfo_lists_what_there_is(gateway: Gateway) -> None:
    gateway.on("POST /fedml/awsinfo", 202, "Job Created")
    gateway.on("GET /jobs/7", values={"awsInfoEncrypted": seal_body(json.dumps(FOUND), KEY)})
    result = run("awsinfo", "--aws-region", "EU_CENTRAL_1")
    lines = [line.split() for line in printed(result).splitlines()]
    assert ["EU_CENTRAL_1", "topic", "arn:t", "sqs", "arn:q"] in lines
    assert ["EU_CENTRAL_1", "queue", "https://q"] in lines
    assert result.stderr == "AF_SOUTH_1 is left out: not used\n"
    assert gateway.sent(0) == {
        "aws_access_key": "AKIA",
        "aws_secret_key": "hidden-key",
        "aws_region": "EU_CENTRAL_1",
    }
    as_json = json.loads(run("awsinfo", "-o", "json").stdout)
    assert as_json["queues"] == FOUND["queues"]
    assert "aws_region" not in gateway.sent(2), "the environment's region is not meant"


@pytest.mark.usefixtures("aws_keys")
def test_awsinfo_fails_in_the_gateways_words(gateway: Gateway) -> None:
    gateway.on("POST /fedml/awsinfo", 202, "Job Created")
    gateway.on("GET /jobs/7", 500, "SNS:ListTopics is not allowed on arn:t")
    assert "500 SNS:ListTopics is not allowed on arn:t" in error_of(run("awsinfo"))


def test_awsinfo_needs_keys(gateway: Gateway) -> None:
    assert error_of(run("awsinfo"), status=2) == (
        "awsinfo needs --aws-access-key (AWS_ACCESS_KEY_ID), --aws-secret-key (AWS_SECRET_ACCESS_KEY)"
    )


def test_what_waiting_does_not_mend_gets_no_hint_about_projects(gateway: Gateway) -> None:
    gateway.on("POST /fedml/p/getEncrypted", 409, "Federation f is not ready: AccessDenied: sns:CreateTopic")
    line = error_of(run("invite", "p", "--password", "s"))
    assert line.endswith("409 Federation f is not ready: AccessDenied: sns:CreateTopic")
