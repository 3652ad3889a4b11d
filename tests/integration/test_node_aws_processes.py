"""Nodes as real processes on an emulated AWS: they exchange, end in time, are removed, tell what is wrong."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.aws_servers import ADMIN_ACCOUNT, PEER_ACCOUNT, AwsServer
from tests.integration.node_aws_world import AwsWorld, new_aws_world
from tests.integration.node_steps import learn_parts, wait_for_rows
from tests.integration.node_world import ROWS, SECONDS, NodeProcess
from tests.integration.servers import wait_until


@pytest.fixture
def world(ministack: AwsServer, tmp_path: Path) -> AwsWorld:
    return new_aws_world(ministack, tmp_path)


@pytest.fixture
def nodes(world: AwsWorld, tmp_path: Path) -> Iterator[list[NodeProcess]]:
    """Three nodes, started, each with its rows learnt; no log may hold a traceback."""
    with ExitStack() as stack:
        made = [world.node(number, tmp_path) for number in range(3)]
        for node in made:
            stack.callback(node.close)
            node.start()
        learn_parts(made)
        yield made
        for node in made:
            assert "Traceback" not in node.log.read_text()


def wait_for_words(node: NodeProcess, words: str) -> None:
    wait_until(lambda: words in node.log.read_text(), f"the log has not: {words}", SECONDS)


def test_three_nodes_in_two_accounts_have_one_sum(world: AwsWorld, nodes: list[NodeProcess]) -> None:
    nodes[0].ask()
    digest = wait_for_rows(nodes, 150)
    nodes[2].learn(ROWS[:20])
    nodes[2].ask()
    assert wait_for_rows(nodes, 170) != digest
    peer = world.peers[0]
    [snapshot, *_] = [name for name in peer.objects() if name != "latest.json"]
    stored = peer.account.s3.get_object(Bucket=peer.place.bucket, Key=peer.prefix + snapshot)["Body"].read()
    assert b"symfed.snapshot" in stored


def test_a_node_ends_at_once_in_a_long_poll_and_goes_on_at_a_higher_epoch(
    world: AwsWorld, nodes: list[NodeProcess]
) -> None:
    nodes[0].ask()
    digest = wait_for_rows(nodes, 150)
    before = nodes[1].stats()["peers"][world.peers[1].uuid]["epoch"]
    start = time.monotonic()
    assert nodes[1].stop() == 0
    assert time.monotonic() - start < 10  # a request for messages lasts 20
    nodes[0].learn(ROWS[:20])
    nodes[0].ask()
    wait_for_rows([nodes[0], nodes[2]], 170)
    world.peers[1].account.sqs.purge_queue(QueueUrl=world.peers[1].place.queue_url)
    nodes[1].start()  # nothing in its queue, as after more than SQS's 14 days
    assert wait_for_rows(nodes, 170) != digest
    nodes[1].learn(ROWS[:20])
    nodes[1].ask()
    wait_for_rows(nodes, 190)
    assert nodes[0].stats()["peers"][world.peers[1].uuid]["epoch"] > before


def test_a_removed_member_reads_it_in_the_document(world: AwsWorld, nodes: list[NodeProcess]) -> None:
    nodes[0].ask()
    before = wait_for_rows(nodes, 150)
    removed = [
        member.model_copy(update={"state": "removed"}) if member.uuid == world.peers[1].uuid else member
        for member in world.document.members
    ]
    world.publish(world.document.model_copy(update={"version": 2, "members": tuple(removed)}))
    wait_for_rows([nodes[0], nodes[2]], 100)
    wait_for_words(nodes[1], "Exchanging=False Removed")
    world.allow([ADMIN_ACCOUNT])
    nodes[1].kill()
    nodes[1].start()
    assert nodes[1].merged()["digest"] == before
    assert nodes[1].learn(ROWS[:1]) == {"learned": 1, "skipped": 0}


def test_refused_credentials_are_no_removal_and_come_right_by_themselves(
    world: AwsWorld, nodes: list[NodeProcess]
) -> None:
    nodes[0].ask()
    wait_for_rows(nodes, 150)
    key = world.peers[1].credentials / "accessKeyId"
    key.write_text("999999999999")  # an account that no bucket's policy names
    nodes[1].learn(ROWS[:20])
    nodes[1].ask()
    wait_for_words(nodes[1], "Exchanging=False AccessDenied")
    assert "Removed" not in nodes[1].log.read_text()
    key.write_text(PEER_ACCOUNT)
    wait_for_rows(nodes, 170)


def test_a_bucket_that_may_not_be_read_keeps_out_its_peer_alone(
    world: AwsWorld, nodes: list[NodeProcess]
) -> None:
    peer = world.peers[1]
    peer.account.s3.delete_bucket_policy(Bucket=peer.place.bucket)
    nodes[0].ask()
    wait_for_rows([nodes[0]], 100)  # the admin's account is not the second's; the third's is
    wait_for_rows(nodes[1:], 150)
    wait_for_words(
        nodes[0], f"Exchanging=True PeerBehind second ({peer.uuid}): s3:GetObject is not allowed on"
    )
    assert f"must allow it to account {ADMIN_ACCOUNT}" in nodes[0].log.read_text()
    world.allow([ADMIN_ACCOUNT, PEER_ACCOUNT])
    nodes[0].ask()
    wait_for_rows(nodes, 150)
