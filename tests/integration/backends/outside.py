"""What an administrator of a backend can do to a federation there: look, forge, lose, and be away."""

from contextlib import AbstractContextManager
from typing import Protocol

from symfed_wire.documents import Signed
from tests.integration.faults.outside import Outside
from tests.integration.faults.peers import Peer, Peers


class Administered(Outside, Protocol):
    """A backend and its administrator, who has all rights on what it stores, and no key of a member."""

    def head(self, peers: Peers, peer: Peer) -> Signed:
        """A peer's stored head."""

    def put_head(self, peers: Peers, peer: Peer, head: Signed) -> None:
        """A head in the place of the peer's own."""

    def drop(self, peers: Peers, peer: Peer) -> None:
        """All that a peer has stored is gone: its head and what it points to."""

    def contents(self, peers: Peers, peer: Peer) -> list[bytes]:
        """Everything that a peer has stored."""

    def away(self) -> AbstractContextManager[None]:
        """It answers nobody in the block."""

    def lose(self) -> None:
        """It forgets all that it stores, and goes on."""


def uuid_of(peers: Peers, peer: Peer) -> str:
    """A peer's uuid."""
    return str(peers.cluster.peer(peer.namespace, peer.pid)["status"]["uuid"])


def federation_uid(peers: Peers) -> str:
    """The uid of the Federation object."""
    return str(peers.cluster.get(peers.cluster.federation_path(peers.name))["metadata"]["uid"])
