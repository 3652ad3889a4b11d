"""What the NATS server's administrator can read: everything, unless the federation encrypts."""

import pytest

from tests.integration.faults.nats_admin import NatsAdmin
from tests.integration.faults.peers import COLUMNS, federation
from tests.integration.line import Line

#: what tells a snapshot: its format's own key, and the names of its columns
PLAIN = (b"symfed.snapshot", *(name.encode() for name in COLUMNS))


@pytest.mark.parametrize("is_sealed", [False, True])
def test_snapshots_on_the_server(line: Line, *, is_sealed: bool) -> None:
    name = "sealed" if is_sealed else "plain"
    with federation(line, name, fed_encrypt=is_sealed) as peers:
        admin = NatsAdmin(peers)
        for peer in peers:
            messages = admin.messages(peer)
            stored = b"".join(path.read_bytes() for path in peers.cluster.stream_files(peers.before))
            assert len(messages) >= 3, "a rollup, a chunk and a head"
            for text in PLAIN:
                assert any(text in message for message in messages) is not is_sealed
                assert (text in stored) is not is_sealed
