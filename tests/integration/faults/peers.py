"""The peers of one federation under a fault: what they learnt, and what must hold in the end."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from examples.demo import flow

from symfed_wire.client import Client
from symfed_wire.client.results import SyncStats
from symfed_wire.frames import DataFrame
from tests.integration.faults.cluster import Cluster, Leftovers, NewLines
from tests.integration.faults.outside import ManagedNats, Outside
from tests.integration.line import Line, namespace_of
from tests.integration.pods import Pod
from tests.integration.servers import ServerError, wait_until

COLUMNS = ("petal_length", "petal_width")
BATCH = 10  # rows; a change of fewer than 7 is not published with two columns
SECONDS = 120.0  # two cores that others use as well
PATIENCE = 120.0

_numbers = itertools.count(1)


def new_rows(count: int = BATCH) -> DataFrame:
    """Rows that nobody has learnt yet."""
    numbers = list(itertools.islice(_numbers, count))
    return DataFrame(COLUMNS, ("C", "C"), tuple((n * 0.37 % 11, n * n % 17 + n * 0.01) for n in numbers))


def wait_for_more(done: Callable[[], int], what: str) -> None:
    """Until three more batches are acknowledged."""
    enough = done() + 3
    wait_until(lambda: done() >= enough, f"{what} does not learn", SECONDS)


@dataclass
class Peer:
    """One project, its customer's client, and how many rows were acknowledged."""

    line: Line
    pid: str
    customer: flow.Customer
    client: Client
    acknowledged: int = 0

    @property
    def namespace(self) -> str:
        """Where its objects are."""
        return namespace_of(self.customer.name)

    @property
    def pod(self) -> Pod:
        """Its node, once it runs."""
        wait_until(
            lambda: self.line.pods.find(self.namespace, self.pid) is not None, f"{self.pid} has no pod"
        )
        pod = self.line.pods.find(self.namespace, self.pid)
        assert pod is not None
        return pod

    def learn(self, count: int = BATCH) -> None:
        """Learn new rows."""
        learnt = self.client.learn(self.pid, new_rows(count))
        assert learnt.skipped == 0
        self.acknowledged += learnt.rows

    def stats(self) -> SyncStats:
        """What it has merged."""
        return self.client.sync_stats(self.pid)

    def kill(self) -> None:
        """Crash its node."""
        self.line.pods.kill(self.namespace, self.pid)

    @contextmanager
    def learning(self) -> Iterator[Callable[[], int]]:
        """Learn batch after batch in the background; the value tells how many were acknowledged.

        The block begins when the first is, and a learn that fails for good fails the test.
        """
        ended, faults, done = threading.Event(), list[Exception](), [0]

        def work() -> None:
            try:
                while not ended.is_set():
                    self.learn()
                    done[0] += 1
            except Exception as error:  # noqa: BLE001 - raised below, in the test's own thread
                faults.append(error)

        thread = threading.Thread(target=work, name=f"learner of {self.pid}", daemon=True)
        thread.start()
        try:
            wait_until(lambda: done[0] > 0 or bool(faults), f"{self.pid} learns nothing", SECONDS)
            yield lambda: done[0]
        finally:
            ended.set()
            thread.join(SECONDS)
        if faults:
            raise faults[0]
        assert not thread.is_alive(), f"{self.pid}: a learn hangs"


@dataclass
class Peers:
    """A federation; the first peer is its admin's."""

    line: Line
    name: str
    cluster: Cluster
    outside: Outside
    before: Leftovers
    peers: list[Peer] = field(default_factory=list)

    def __iter__(self) -> Iterator[Peer]:
        return iter(self.peers)

    def __getitem__(self, number: int) -> Peer:
        return self.peers[number]

    @property
    def admin(self) -> Peer:
        """Who created it."""
        return self.peers[0]

    @property
    def acknowledged(self) -> int:
        """Rows of all peers."""
        return sum(peer.acknowledged for peer in self)

    def create(self, **settings: Any) -> Self:
        """The admin's call."""
        self.admin.client.create(self.admin.pid, self.name, "d1", {**self.outside.founding, **settings})
        return self

    def join(self, peer: Peer) -> None:
        """Invite a peer, and let it join."""
        peer.client.join(self.invitation(), self.outside.joining, pid=peer.pid)

    def invitation(self) -> dict[str, Any]:
        """A new one, opened."""
        sealed = self.admin.client.invitation(self.admin.pid, "password", rest_host=self.line.url)
        return Client.open_invitation(sealed, "password")

    def settle(self) -> str:
        """All learn a last batch and come to one sum of all that was acknowledged; its digest.

        The batch makes every change large enough to be published.
        """
        for peer in self:
            peer.learn()
        for peer in self:
            peer.client.sync(peer.pid)
        return self.agree()

    def agree(self) -> str:
        """Wait until all have one sum of all that was acknowledged; its digest."""
        seen: dict[str, SyncStats] = {}

        def is_so() -> bool:
            seen.update({peer.pid: peer.stats() for peer in self})
            digests = {stats.merged.digest for stats in seen.values()}
            return len(digests) == 1 and all(s.merged.rows == self.acknowledged for s in seen.values())

        try:
            wait_until(is_so, f"no common sum of {self.acknowledged} rows", SECONDS)
        except ServerError as error:
            raise ServerError(f"{error}; seen: {seen}") from None
        return str(self.admin.stats().merged.digest)

    def is_logged(self, peer: Peer, text: str) -> bool:
        """Whether a peer's error log has a line with this text."""
        return any(text in line for line in peer.stats().error_log)

    def new_records(self) -> frozenset[str]:
        """The operator's records that were made since the beginning."""
        return self.cluster.records() - self.before.records

    def check(self) -> None:
        """All agree on what was acknowledged, and everything was made once."""
        self.settle()
        self.cluster.check_objects(self.name, [(peer.namespace, peer.pid) for peer in self])
        made = self.outside.made() - self.before.outside
        assert len(made) == self.outside.expected(len(self.peers)), (
            f"made for {len(self.peers)} members: {made}"
        )

    def remove(self) -> None:
        """Delete all projects, the admin's last."""
        while self.peers:
            flow.remove(self.peers[-1].client, self.peers[-1].pid)
            self.peers.pop()


def peers_of(line: Line, name: str, stack: ExitStack, count: int, outside: Outside) -> Peers:
    """Peers that are not created yet; they belong to the two customers in turn."""
    cluster, customers = Cluster(line), list(line.customers.values())
    found = Peers(line, name, cluster, outside, Leftovers(outside.made(), cluster.records()))
    for number, side in enumerate(("north", "south", "west")[:count]):
        customer = customers[min(number, 1)]
        client = Client(line.url, customer.name, customer.secret_key, patience=PATIENCE)
        found.peers.append(Peer(line, f"{name}-{side}", customer, stack.enter_context(client)))
    return found


@contextmanager
def federation(
    line: Line,
    name: str,
    *,
    count: int = 2,
    documents: int = 0,
    expected: tuple[str, ...] = (),
    outside: Outside | None = None,
    **settings: Any,
) -> Iterator[Peers]:
    """A federation of `count` peers that have exchanged once.

    In the end all must agree; nothing may have been made twice and nothing stay behind; no part may have
    printed a trace. `documents` is how many new versions of the document the test itself causes, `expected`
    names traces that it causes.
    """
    with checked(line, name, count=count, expected=expected, outside=outside) as peers:
        peers.create(**settings)
        for peer in peers.peers[1:]:
            peers.join(peer)
        peers.settle()
        before = peers.cluster.document(peers.name).version
        yield peers
        assert peers.cluster.document(peers.name).version == before + documents


@contextmanager
def checked(
    line: Line,
    name: str,
    *,
    count: int = 2,
    expected: tuple[str, ...] = (),
    outside: Outside | None = None,
) -> Iterator[Peers]:
    """Peers that the block itself creates and joins; see `federation` for the checks."""
    lines = NewLines(line)
    with ExitStack() as stack:
        peers = peers_of(line, name, stack, count, outside or ManagedNats(line))
        try:
            yield peers
            if peers.peers:
                peers.check()
                peers.remove()
            assert Leftovers(peers.outside.made(), peers.cluster.records()) == peers.before
        except BaseException:
            print(line.logs())
            raise
    assert not lines.traces(expected)
