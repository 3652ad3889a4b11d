"""Every part killed with -9 in the middle of its work, alone and together."""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from symfed_wire.client import ApiError, ConnectionFailedError
from tests.integration.faults.cluster import GROUP
from tests.integration.faults.peers import SECONDS, Peer, Peers, checked, federation, wait_for_more
from tests.integration.line import Line
from tests.integration.servers import wait_until

TURNS = 2


def is_other(file: Path, content: str) -> bool:
    """Whether a file has another content."""
    return file.read_text() != content


def test_a_node_killed_while_it_learns(line: Line) -> None:
    with federation(line, "node-learn") as peers:
        for peer in peers:
            with peer.learning() as done:
                for _ in range(TURNS):
                    wait_for_more(done, peer.pid)
                    peer.kill()
                wait_for_more(done, peer.pid)


def test_a_node_killed_while_it_publishes(line: Line) -> None:
    """Killed as soon as the new epoch is on its disk, which is before the first chunk is put."""
    with federation(line, "node-publish") as peers:
        for peer in peers:
            member = peers.cluster.peer(peer.namespace, peer.pid)["status"]["uuid"]
            for _ in range(TURNS):
                [used] = peer.pod.data.glob("federations/*/epoch")
                before = used.read_text()
                peer.learn()
                peer.client.sync(peer.pid)
                wait_until(partial(is_other, used, before), "no epoch is used", SECONDS)
                peer.kill()
            peers.settle()
            assert peers.admin.stats().peers[member].rows == peer.acknowledged


def test_the_gateway_killed_while_all_learn(line: Line) -> None:
    with federation(line, "gateway") as peers, peers[0].learning() as one, peers[1].learning() as two:
        for _ in range(TURNS):
            wait_for_more(one, "north")
            line.installation.kill("gateway")
            line.installation.start_again("gateway")
        wait_for_more(one, "north")
        wait_for_more(two, "south")


def test_the_gateway_killed_while_a_peer_joins(line: Line) -> None:
    """The caller does not know what became of his call; when he repeats it, all is made once."""
    with checked(line, "gateway-join") as peers:
        peers.create()
        peer, invitation = peers[1], peers.invitation()
        broken = list[Exception]()

        def join() -> None:
            try:
                peer.client.join(invitation, pid=peer.pid)
            except ConnectionFailedError as error:
                broken.append(error)

        caller = threading.Thread(target=join)
        caller.start()
        path = f"{GROUP}/namespaces/{peer.namespace}/federationpeers/{peer.pid}"
        wait_until(lambda: peers.cluster.find(path) is not None, "no FederationPeer", SECONDS)
        line.installation.kill("gateway")
        line.installation.start_again("gateway")
        caller.join(SECONDS)
        assert broken, "the gateway was killed too late"
        with pytest.raises(ApiError, match=r"409 Customer .* already have SYMETRYML") as refused:
            peer.client.join(invitation, pid=peer.pid)
        assert refused.value.status == 409


class Operator:
    """The operator, killed as soon as something is there."""

    def __init__(self, line: Line, peers: Peers) -> None:
        self._line = line
        self._peers = peers
        self._secrets = f"/api/v1/namespaces/{line.installation.namespace}/secrets"

    def kill_when(self, is_so: Callable[[], bool], what: str) -> None:
        """Kill it at that moment, and start its successor."""
        wait_until(is_so, f"{what} does not come", SECONDS)
        self._line.installation.kill("operator")
        self._line.installation.start_again("operator")

    def has_record(self, kind: str) -> bool:
        """Whether a record of this kind was made since the beginning."""
        return any(name.startswith(kind) for name in self._peers.new_records())

    def has(self, peer: Peer, what: str) -> bool:
        """Whether a peer has this child."""
        return self._peers.cluster.find(f"{what.format(namespace=peer.namespace)}/{peer.pid}") is not None


STATEFUL_SET = "/apis/apps/v1/namespaces/{namespace}/statefulsets"


def test_the_operator_killed_while_it_creates_joins_and_deletes(line: Line) -> None:
    with checked(line, "operator") as peers:
        operator, (north, south) = Operator(line, peers), peers.peers
        peers.create()
        operator.kill_when(lambda: operator.has_record("fed-"), "the federation's record")
        operator.kill_when(lambda: operator.has(north, STATEFUL_SET), "the admin's node")
        invitation = peers.invitation()
        joining = threading.Thread(target=south.client.join, args=(invitation,), kwargs={"pid": south.pid})
        joining.start()
        records = len(peers.new_records())
        operator.kill_when(lambda: len(peers.new_records()) > records, "the joining peer's record")
        operator.kill_when(lambda: operator.has(south, STATEFUL_SET), "the joining peer's node")
        joining.join(SECONDS)
        with south.learning() as done, north.learning():
            line.installation.kill("operator")
            wait_for_more(done, "south")  # nodes go on without it
            line.installation.start_again("operator")
        peers.check()
        deleting = threading.Thread(target=peers.remove)
        deleting.start()
        operator.kill_when(lambda: not operator.has(south, STATEFUL_SET), "the end of a node")
        deleting.join(SECONDS)
        assert not peers.peers, "a deletion hangs"


def test_nats_killed_while_all_learn_and_publish(line: Line) -> None:
    with federation(line, "nats-kill") as peers, peers[0].learning() as one, peers[1].learning() as two:
        for _ in range(TURNS):
            wait_for_more(one, "north")
            peers.admin.client.sync(peers.admin.pid)
            line.installation.nats.process.kill()
            wait_for_more(two, "south")
            line.installation.nats.start()
        wait_for_more(two, "south")


def test_operator_nats_and_a_node_killed_together(line: Line) -> None:
    with federation(line, "together") as peers, peers[0].learning() as one, peers[1].learning() as two:
        wait_for_more(one, "north")
        line.installation.kill("operator")
        line.installation.nats.process.kill()
        peers[1].kill()
        wait_for_more(one, "north")
        wait_for_more(two, "south")
        line.installation.nats.start()
        line.installation.start_again("operator")
        wait_for_more(two, "south")
