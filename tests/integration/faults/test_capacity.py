"""A peer's own account on NATS that is full."""

from tests.integration.faults.nats_admin import NatsAdmin
from tests.integration.faults.peers import SECONDS, federation
from tests.integration.line import Line
from tests.integration.servers import wait_until

SMALL = 16 << 20  # bytes, the least that a federation may have


def test_a_full_account_stops_its_peer_alone_and_says_what_to_raise(line: Line) -> None:
    with federation(line, "full", documents=1, nats_stream_max_memory=SMALL) as peers:
        north, south = peers.peers
        before = south.acknowledged
        NatsAdmin(peers).fill(south)
        south.learn()
        south.client.sync(south.pid)

        def condition() -> tuple[str, str, str]:
            return peers.cluster.condition(south.namespace, south.pid, "Exchanging")

        wait_until(lambda: condition()[1] == "StreamFull", f"south says {condition()}", SECONDS)
        words = "raise spec.nats.streamMaxBytes of the Federation"
        assert words in condition()[2]
        assert peers.is_logged(south, words)
        north.learn()
        north.client.sync(north.pid)
        others = north.acknowledged + before
        wait_until(lambda: south.stats().merged.rows == others, "south does not read north", SECONDS)
        path = peers.cluster.federation_path("full")
        peers.cluster.patch(path, {"spec": {"nats": {"streamMaxBytes": 2 * SMALL}}})
        peers.agree()
        wait_until(lambda: condition()[1] == "Current", f"south says {condition()}", SECONDS)
