"""The names of what symfed makes on AWS."""

import re

import pytest

from symfed_operator.backends.aws.names import (
    dead_letter_name,
    peer_prefix,
    queue_arn,
    queue_name,
    topic_arn,
)


def test_a_name_that_sqs_takes_stays_as_it_is() -> None:
    assert queue_name("study", "hospital-b") == "study_hospital-b"
    assert queue_name("s", "p" * 74) == "s_" + "p" * 74  # 76 characters, and 4 for -dlq


@pytest.mark.parametrize(
    ("project", "name"),
    [
        ("v1.2", "study_v1-2-d82a3968"),
        ("p" * 71, "study_" + "p" * 61 + "-c8bbfdc5"),
    ],
)
def test_another_name_gets_a_hash(project: str, name: str) -> None:
    assert queue_name("study", project) == name


def test_two_projects_never_have_one_queue() -> None:
    projects = ["v1.2", "v1-2", "v1_2", "p" * 71, "p" * 72]
    names = {queue_name("study", project) for project in projects}
    assert len(names) == len(projects)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", name) for name in names)
    assert all(len(dead_letter_name(name)) <= 80 for name in names)


@pytest.mark.parametrize(
    ("region", "partition"),
    [("eu-central-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")],
)
def test_arns_name_the_partition(region: str, partition: str) -> None:
    assert topic_arn(region, "111111111111", "study") == f"arn:{partition}:sns:{region}:111111111111:study"
    assert queue_arn(region, "111111111111", "q") == f"arn:{partition}:sqs:{region}:111111111111:q"


def test_a_peers_keys_are_below_its_federations() -> None:
    assert peer_prefix("fed", "peer") == "fed/peer/"
