"""What the NATS server's administrator can do to a federation: nothing that is believed, or that stays."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from symfed_wire.documents import FEDERATION_CONTEXT, HEAD_CONTEXT, Signed, sign_document
from tests.integration.faults.nats_admin import NatsAdmin, read_head
from tests.integration.faults.peers import SECONDS, Peer, Peers, federation
from tests.integration.line import Line
from tests.integration.servers import wait_until


@dataclass(frozen=True)
class Scene:
    """A federation whose member south is attacked, as north sees it."""

    peers: Peers
    admin: NatsAdmin

    @property
    def north(self) -> Peer:
        """Who is to be deceived."""
        return self.peers[0]

    @property
    def south(self) -> Peer:
        """Whose snapshot is replaced."""
        return self.peers[1]

    def epoch(self) -> int:
        """South's epoch in north's sum."""
        return self.north.stats().peers[self.admin.identity(self.south).uuid].epoch

    def condition(self) -> tuple[str, str, str]:
        """North's condition Exchanging."""
        return self.peers.cluster.condition(self.north.namespace, self.north.pid, "Exchanging")

    def refuses(self, head: Signed, words: str) -> None:
        """North logs the head and keeps its sum; south puts its own again, and all is well."""
        before, epoch = self.north.stats().merged, self.epoch()
        # South might replace it before north looks.
        with self.peers.line.pods.without(self.south.namespace, self.south.pid):
            self.admin.put_head(self.south, head)
            self.wait_for_error(words)
        assert self.north.stats().merged.digest == before.digest or self.epoch() > epoch
        wait_until(lambda: self.epoch() > epoch, "south does not put its snapshot again", SECONDS)
        wait_until(lambda: self.condition()[1] == "Current", f"north says {self.condition()}", SECONDS)
        assert self.north.stats().merged.digest == before.digest

    def wait_for_error(self, words: str) -> None:
        """Until north's error log has these words."""
        what = f"north does not log {words!r}"
        wait_until(lambda: self.peers.is_logged(self.north, words), what, SECONDS)


@pytest.fixture(scope="module")
def scene(line: Line) -> Iterator[Scene]:
    """One federation for all forgeries: each leaves it as it was."""
    with federation(line, "forgeries") as peers:
        yield Scene(peers, NatsAdmin(peers))


def test_a_head_under_an_unknown_key(scene: Scene) -> None:
    head = read_head(scene.admin.head(scene.south))
    forged = head.model_copy(update={"epoch": head.epoch + 10})
    scene.refuses(
        sign_document(forged, HEAD_CONTEXT, Ed25519PrivateKey.generate()),
        "snapshot of forgeries-south",
    )
    assert scene.peers.is_logged(scene.north, "is not signed by the expected key")
    assert scene.peers.is_logged(scene.south, "the own stored snapshot is refused")


def test_a_head_under_another_members_key(scene: Scene) -> None:
    head = read_head(scene.admin.head(scene.south))
    forged = scene.admin.signed_by(scene.north, head.model_copy(update={"epoch": head.epoch + 10}))
    scene.refuses(forged, "is not signed by the expected key")


def test_a_head_of_another_member(scene: Scene) -> None:
    scene.refuses(scene.admin.head(scene.north), "is not signed by the expected key")


def test_an_older_head_again(scene: Scene) -> None:
    older = scene.admin.head(scene.south)
    scene.peers.settle()
    newer = read_head(scene.admin.head(scene.south)).epoch
    scene.refuses(older, f"epoch {read_head(older).epoch} is below {newer}, which was merged before")


def test_a_second_snapshot_under_the_members_own_key(scene: Scene) -> None:
    """Only who has the key can do that, so south believes that a second node runs, until it is restarted."""
    before, epoch = scene.north.stats().merged.digest, scene.epoch()
    head = read_head(scene.admin.head(scene.south)).model_copy(update={"sha256": "0" * 64})
    scene.admin.put_head(scene.south, scene.admin.signed_by(scene.south, head))
    scene.wait_for_error(f"epoch {epoch} has a second digest: two nodes run with the identity of this peer")
    assert scene.north.stats().merged.digest == before

    def condition() -> tuple[str, str, str]:
        return scene.peers.cluster.condition(scene.south.namespace, scene.south.pid, "Exchanging")

    wait_until(lambda: condition()[1] == "IdentityInUse", f"south says {condition()}", SECONDS)
    scene.south.kill()
    wait_until(lambda: scene.epoch() > epoch, "south does not put its snapshot again", SECONDS)
    assert scene.north.stats().merged.digest == before


def test_chunks_of_a_put_that_was_cut_off(scene: Scene) -> None:
    head = read_head(scene.admin.head(scene.south))
    scene.admin.put_chunk(scene.south, (head.epoch + 1) % 2, b"torn")
    with scene.peers.line.pods.without(scene.north.namespace, scene.north.pid) as pod:
        [kept] = pod.data.glob(f"federations/*/snapshots/{head.peer}")
        kept.unlink()
    scene.peers.agree()
    scene.peers.settle()


def test_a_head_whose_chunks_are_gone(scene: Scene) -> None:
    """Who has merged it keeps it; who needs it says so, until the member publishes the next one."""
    before = scene.north.stats().merged.digest
    head = read_head(scene.admin.head(scene.south))
    scene.admin.drop_chunks(scene.south)
    scene.north.client.sync(scene.north.pid)
    assert scene.north.stats().merged.digest == before
    with scene.peers.line.pods.without(scene.north.namespace, scene.north.pid) as pod:
        [kept] = pod.data.glob(f"federations/*/snapshots/{head.peer}")
        kept.unlink()
    scene.wait_for_error(f"message {head.first} is gone")
    wait_until(lambda: scene.condition()[1] == "PeerBehind", f"north says {scene.condition()}", SECONDS)
    scene.peers.settle()
    wait_until(lambda: scene.condition()[1] == "Current", f"north says {scene.condition()}", SECONDS)


def test_a_document_under_another_key(scene: Scene) -> None:
    document = scene.peers.cluster.document(scene.peers.name)
    alone = document.model_copy(update={"version": document.version + 1, "members": document.members[:1]})
    scene.admin.put_document(sign_document(alone, FEDERATION_CONTEXT, Ed25519PrivateKey.generate()))
    check_document(scene, "the stored federation document was refused: the symfed/federation/v1 document")


def test_an_older_document_again(scene: Scene) -> None:
    record = scene.peers.cluster.federation_record(scene.peers.name)
    document = scene.peers.cluster.document(scene.peers.name)
    older = document.model_copy(update={"version": document.version - 1, "members": document.members[:1]})
    scene.admin.put_document(sign_document(older, FEDERATION_CONTEXT, record.document_key_pair))
    words = f"its version {older.version} is below {document.version}, which was taken before"
    check_document(scene, f"the stored federation document was refused: {words}")


def check_document(scene: Scene, words: str) -> None:
    """Both members log it and go on as before; the operator publishes the right one again."""
    before = scene.north.stats().merged.digest
    for peer in scene.peers:
        wait_until(partial(scene.peers.is_logged, peer, words), f"{peer.pid} does not log {words!r}", SECONDS)
    record = scene.peers.cluster.federation_record(scene.peers.name)
    wait_until(lambda: scene.admin.document() == record.document, "the right document is missing", SECONDS)
    assert scene.north.stats().merged.digest == before
