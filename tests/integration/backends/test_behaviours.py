"""What every federation does, whatever it is on. The tests of one kind share a federation, in this order."""

from functools import partial

from symfed_wire.documents import HEAD_CONTEXT, sign_document
from symfed_wire.names import remote_name
from tests.integration.backends.outside import Administered, uuid_of
from tests.integration.faults.cluster import GROUP, Leftovers
from tests.integration.faults.nats_admin import read_head
from tests.integration.faults.peers import COLUMNS, SECONDS, Peer, Peers, wait_for_more
from tests.integration.servers import ServerError, wait_until

#: what tells a snapshot: its format's own key, and the names of its columns
PLAIN = (b"symfed.snapshot", *(name.encode() for name in COLUMNS))
ISOLATION = {"managed": "AccountPerPeer", "aws": "OwnBuckets"}


def wait_for(peers: Peers, peer: Peer, kind: str, reason: str) -> None:
    """Until a peer's condition has this reason."""
    seen: list[tuple[str, str, str]] = []

    def is_so() -> bool:
        seen.append(peers.cluster.condition(peer.namespace, peer.pid, kind))
        return seen[-1][1] == reason

    try:
        wait_until(is_so, f"{peer.pid} is not {reason}", SECONDS)
    except ServerError as error:
        raise ServerError(f"{error}; seen: {seen[-1]}") from None


def has_schedule(peer: Peer, schedule: str) -> bool:
    """Whether a peer follows it."""
    return peer.client.info(peer.pid).sync_sched == schedule


def epoch_of(seen_by: Peer, uuid: str) -> int:
    """The epoch of a member in a peer's sum."""
    return seen_by.stats().peers[uuid].epoch


def test_every_peer_has_the_sum_of_all(peers: Peers, kind: str) -> None:
    for peer in peers:
        wait_for(peers, peer, "Exchanging", "Current")
        assert peer.stats().merged.rows == peers.acknowledged
        assert peers.cluster.condition(peer.namespace, peer.pid, "Ready")[0] == "True"
        assert peer.client.info(peer.pid).fed_type == ("AWS" if kind == "aws" else "NATS")
    conditions = peers.cluster.get(peers.cluster.federation_path(peers.name))["status"]["conditions"]
    found = {condition["type"]: (condition["status"], condition["reason"]) for condition in conditions}
    assert found["BackendReady"] == ("True", "Current")
    secure = ("True", ISOLATION[kind]) if kind in ISOLATION else ("False", "SharedAccount")
    assert found["Secure"] == secure


def test_who_runs_the_backend_reads_no_statistics(peers: Peers, outside: Administered) -> None:
    for peer in peers:
        stored = outside.contents(peers, peer)
        assert len(stored) >= 2, "a snapshot and its head"
        assert not [text for text in PLAIN for part in stored if text in part]


def test_a_new_schedule_reaches_all(peers: Peers) -> None:
    peers.admin.client.new_schedule(peers.admin.pid, "h3")
    for peer in peers:
        follows = partial(has_schedule, peer, "h3")
        wait_until(follows, f"{peer.pid} follows another schedule", SECONDS)


def test_a_node_killed_while_it_learns_and_publishes(peers: Peers) -> None:
    for peer in peers:
        with peer.learning() as done:
            peer.client.sync(peer.pid)
            peer.kill()
            wait_for_more(done, peer.pid)
    peers.settle()


def test_the_operator_killed_while_all_learn(peers: Peers) -> None:
    with peers[0].learning(), peers.line.without_operator():
        peers[1].learn()
    peers.settle()


def test_it_is_away(peers: Peers, outside: Administered) -> None:
    with outside.away():
        for peer in peers:
            peer.learn()
            peer.client.sync(peer.pid)
        for peer in peers:
            wait_for(peers, peer, "Exchanging", "BackendUnreachable")
    peers.settle()


def test_a_forged_head_is_noticed_and_never_merged(peers: Peers, outside: Administered) -> None:
    north, south = peers[0], peers[1]
    head, before = read_head(outside.head(peers, south)), north.stats().merged.digest
    forged = head.model_copy(update={"epoch": head.epoch + 10})
    uid = peers.cluster.peer(north.namespace, north.pid)["metadata"]["uid"]
    key = peers.cluster.peer_record(uid).identity_key_pair
    outside.put_head(peers, south, sign_document(forged, HEAD_CONTEXT, key))
    words = "is not signed by the expected key"
    # Its owner may replace it before another one looks.
    wait_until(lambda: any(peers.is_logged(peer, words) for peer in peers), f"nobody logs {words!r}", SECONDS)
    wait_until(
        lambda: epoch_of(north, head.peer) > head.epoch, "south does not put its snapshot again", SECONDS
    )
    assert north.stats().merged.digest == before
    wait_for(peers, north, "Exchanging", "Current")


def test_a_snapshot_that_is_gone_is_put_again(peers: Peers, outside: Administered) -> None:
    north, south = peers[0], peers[1]
    uuid, before = uuid_of(peers, south), north.stats().merged.digest
    epoch = epoch_of(north, uuid)
    outside.drop(peers, south)
    wait_until(lambda: epoch_of(north, uuid) > epoch, "south does not put its snapshot again", SECONDS)
    assert north.stats().merged.digest == before


def test_all_is_made_again_when_all_is_lost(peers: Peers, outside: Administered) -> None:
    before = outside.made()
    outside.lose()
    wait_until(lambda: outside.made() == before, f"made again: {outside.made()} of {before}", SECONDS)
    peers.settle()


def test_everything_was_made_once(peers: Peers) -> None:
    peers.check()


def test_one_leaves_and_one_is_removed(peers: Peers, outside: Administered) -> None:
    north, south, west = peers
    uuids = [uuid_of(peers, peer) for peer in (south, west)]
    remote = f"{GROUP}/namespaces/{north.namespace}/federationpeers/{remote_name(uuids[1])}"
    with peers.line.control_plane.client() as client:
        client.delete(remote).raise_for_status()
    wait_until(lambda: peers.cluster.find(remote) is None, "west is not removed", SECONDS)
    wait_for(peers, west, "Joined", "Removed")
    west.client.delete(peers.peers.pop().pid)
    peers.settle()
    assert set(north.stats().peers) == {uuid_of(peers, north), uuids[0]}

    south.client.delete(peers.peers.pop().pid)
    peers.settle()
    assert set(north.stats().peers) == {uuid_of(peers, north)}
    made = outside.made() - peers.before.outside
    assert not [name for name in made for uuid in uuids if uuid in name], "what the others had is freed"


def test_nothing_stays_behind(peers: Peers, outside: Administered) -> None:
    peers.remove()
    assert Leftovers(outside.made(), peers.cluster.records()) == peers.before
