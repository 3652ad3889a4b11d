"""The demo's flow on pods, with AWS between the peers: two accounts on an emulator that is a pod too."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace

import pytest
from examples.demo import data, flow
from examples.demo.flow import Outcome, Surroundings
from examples.demo.proof import prove

from symfed_wire.client import Client
from symfed_wire.names import remote_name
from tests.cluster import kubectl
from tests.e2e import aws
from tests.e2e.objects import NAMESPACE


@pytest.fixture(scope="module")
def surroundings(cluster: Surroundings) -> Iterator[Surroundings]:
    """The cluster with AWS in the place of NATS."""
    aws.start()
    found = replace(cluster, founding=aws.side(aws.ADMIN_ACCOUNT), joining=aws.side(aws.PEER_ACCOUNT))
    flow.remove_earlier(found, step)
    yield found
    flow.remove_earlier(found, step)
    aws.stop()


def step(text: str) -> nullcontext[None]:
    """Tell what happens."""
    return nullcontext(print(text))


@pytest.fixture(scope="module")
def outcome(surroundings: Surroundings) -> Outcome:
    """Three peers in two accounts have exchanged and built their models."""
    return flow.run(surroundings, step)


def test_three_peers_in_two_accounts_get_the_pooled_model(outcome: Outcome) -> None:
    proof = prove(outcome.federated, data.pooled_reference())
    assert proof.are_bytes_equal
    assert proof.largest_difference <= 1e-10


def test_the_federation_is_on_aws(outcome: Outcome, surroundings: Surroundings) -> None:
    admin = surroundings.customers[0]
    with Client(surroundings.url, admin.name, admin.secret_key) as client:
        info = client.info(flow.ADMIN)
    assert (info.fed_type, len(info.peers)) == ("AWS", 3)
    (federation,) = [
        f for f in kubectl.items("federations", f"--namespace={NAMESPACE}") if "aws" in f["spec"]
    ]
    arn = f"arn:aws:sns:{aws.REGION}:{aws.ADMIN_ACCOUNT}:iris"
    assert federation["status"]["topicArn"] == arn


def test_a_node_has_its_own_keys_as_files_and_no_others(outcome: Outcome) -> None:
    read = ("cat", "/etc/symfed/aws/accessKeyId")
    for namespace, peer, account in (
        (NAMESPACE, "north", aws.ADMIN_ACCOUNT),
        ("customer-2", "south", aws.PEER_ACCOUNT),
    ):
        assert kubectl.kubectl("exec", f"--namespace={namespace}", f"{peer}-0", "--", *read) == account


def test_the_others_follow_when_one_is_removed(outcome: Outcome, surroundings: Surroundings) -> None:
    def remove_member(uuid: str) -> None:
        kubectl.kubectl("delete", "federationpeer", remote_name(uuid), f"--namespace={NAMESPACE}")

    after = flow.revoke(surroundings, remove_member, step)
    proof = prove(after.federated, data.pooled_reference(flow.STAYING))
    assert proof.are_bytes_equal
    assert proof.largest_difference <= 1e-10
