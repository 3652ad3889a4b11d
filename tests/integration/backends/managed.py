"""The NATS that the operator administers, and who has its keys."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from symfed_wire.documents import Signed
from tests.integration.faults.nats_admin import NatsAdmin
from tests.integration.faults.outside import ManagedNats
from tests.integration.faults.peers import Peer, Peers


class AdministeredNats(ManagedNats):
    """`Administered` on the operator's own NATS; see there."""

    def head(self, peers: Peers, peer: Peer) -> Signed:
        return NatsAdmin(peers).head(peer)

    def put_head(self, peers: Peers, peer: Peer, head: Signed) -> None:
        NatsAdmin(peers).put_head(peer, head)

    def drop(self, peers: Peers, peer: Peer) -> None:
        NatsAdmin(peers).purge(peer)

    def contents(self, peers: Peers, peer: Peer) -> list[bytes]:
        return NatsAdmin(peers).messages(peer)

    @contextmanager
    def away(self) -> Iterator[None]:
        nats = self.line.installation.nats
        nats.process.kill()
        try:
            yield
        finally:
            nats.start()

    def lose(self) -> None:
        with self.away():
            for folder in ("accounts", "jetstream"):
                shutil.rmtree(self.line.installation.folder / "nats" / folder)
