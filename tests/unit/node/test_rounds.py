"""What an exchange does, with the members' stored snapshots in memory."""

import asyncio
import base64
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from symfed_node.answers import sync_stats
from symfed_node.errors import ExploreForbiddenError, NoRowsError
from symfed_node.exchange import loop
from symfed_node.exchange.base import ExchangeError, OnWake, Outgoing, ReplacedError, Sign, Wake
from symfed_node.exchange.condition import Exchanging
from symfed_node.exchange.heads import IdentityInUseError, SnapshotTooLargeError
from symfed_node.exchange.keys import PeerKeys
from symfed_node.exchange.loop import Exchanger
from symfed_node.exchange.rounds import Rounds
from symfed_node.exchange.schedule import LOOK
from symfed_node.exchange.store import ExchangeStore
from symfed_node.exploration import PEER, Exploration
from symfed_node.journal import Journal
from symfed_node.modelstore import ModelStore
from symfed_node.project import Project
from symfed_node.statistics.accumulate import accumulate, choose_shift
from symfed_node.statistics.doubledouble import FloatArray
from symfed_node.statistics.forget import without
from symfed_node.statistics.merge import add
from symfed_node.statistics.moments import means
from symfed_node.statistics.state import Feature, Statistics
from symfed_wire.documents import (
    FEDERATION_CONTEXT,
    HEAD_CONTEXT,
    FederationDocument,
    FederationSettings,
    Member,
    SignatureError,
    Signed,
    SnapshotHead,
    sign_document,
)
from symfed_wire.frames import ExploreContext, MLContext
from symfed_wire.join import NatsGrant
from symfed_wire.node_config import Membership, PeerSecrets
from symfed_wire.sealing import ChunkSealer

PEERS = tuple(f"00000000-0000-4000-8000-00000000000{n}" for n in (1, 2, 3))
ONE, TWO, THREE = PEERS
FEDERATION_KEY = Ed25519PrivateKey.from_private_bytes(bytes([9] * 32))


def secrets_of(peer: str) -> PeerSecrets:
    seed = base64.b64encode(bytes([PEERS.index(peer) + 1] * 32)).decode()
    return PeerSecrets(identity_seed=seed, sealing_seed=seed, nats_writer_seed="", nats_reader_seed="")


def public(key: Ed25519PrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def document(version: int = 1, removed: str = "") -> FederationDocument:
    keys = [Ed25519PrivateKey.from_private_bytes(bytes([n + 1] * 32)) for n in range(3)]
    return FederationDocument(
        federation="f",
        name="iris",
        version=version,
        issued="2026-01-02T00:00:00Z",
        settings=FederationSettings(schedule="m1"),
        members=tuple(
            Member(
                uuid=peer,
                name=f"peer {peer[-1]}",
                admin=peer == ONE,
                state="removed" if peer == removed else "active",
                identity_key=public(key),
                sealing_key=public(key),
            )
            for peer, key in zip(PEERS, keys, strict=True)
        ),
    )


def signed(of: FederationDocument, key: Ed25519PrivateKey = FEDERATION_KEY) -> Signed:
    return sign_document(of, FEDERATION_CONTEXT, key)


@dataclass
class Shelf:
    """What the backend of everybody stores."""

    document: Signed = field(default_factory=lambda: signed(document()))
    heads: dict[str, Signed] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    unreachable: set[str] = field(default_factory=set)
    replaced: int = 0
    """so many reads of a body come too late"""


class InMemory:
    """A `Backend` over a shelf, for one peer."""

    def __init__(self, shelf: Shelf, peer: str) -> None:
        self._shelf = shelf
        self._peer = peer
        self.is_open = True
        self.request_timeout = 0.0
        self.impaired = ""

    async def open(self, on_wake: OnWake) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def document(self) -> Signed | None:
        return self._shelf.document

    async def head(self, member: Member) -> Signed | None:
        if member.uuid in self._shelf.unreachable:
            raise ExchangeError("no answer")
        return self._shelf.heads.get(member.uuid)

    async def body(self, member: Member, head: SnapshotHead, sealer: ChunkSealer | None) -> bytes:
        if self._shelf.replaced:
            self._shelf.replaced -= 1
            raise ReplacedError("too late")
        return self._shelf.bodies[member.uuid]

    async def confirm(self, own: Member, head: SnapshotHead) -> None:
        if own.uuid not in self._shelf.bodies:
            raise ReplacedError("the body is gone")

    async def put(self, outgoing: Outgoing, sign: Sign) -> Signed:
        head = sign(outgoing.draft.model_copy(update={"first": 1}))
        self._shelf.heads[self._peer] = head
        self._shelf.bodies[self._peer] = outgoing.body
        return head

    async def ask(self) -> None:
        """Nobody is there to hear it."""


def rounds_of(peer: str, shelf: Shelf, folder: Path, backend: InMemory | None = None) -> Rounds:
    grant = NatsGrant(
        hosts=(), writer_jwt="", reader_jwt="", stream="", data="", head="", get="", heads="", ask=""
    )
    membership = Membership(
        federation="f",
        admin=peer == ONE,
        document_key=public(FEDERATION_KEY),
        document=signed(document()),
        nats=grant,
    )
    keys = PeerKeys(peer, secrets_of(peer))
    return Rounds(peer, membership, keys, ExchangeStore(folder / peer), backend or InMemory(shelf, peer))


def project_in(folder: Path) -> Project:
    journal = Journal(folder / "journal", checkpoint_bytes=1 << 20)
    return Project(journal, ModelStore(folder / "models"), created=1)


def exchanger_of(rounds: Rounds, shelf: Shelf, peer: str, folder: Path) -> Exchanger:
    return Exchanger(project_in(folder), rounds, InMemory(shelf, peer), poll_seconds=1, report=print)


def rows(
    count: int = 20,
    names: str = "ab",
    kind: str = "C",
    seed: int = 1,
    shift: FloatArray | None = None,
) -> Statistics:
    """The first `count` of the rows that a seed gives."""
    values = np.random.default_rng(seed).normal(size=(count, len(names))).T
    if shift is None:
        shift = choose_shift(np.random.default_rng(seed).normal(size=(50, len(names))).T)
    return accumulate(values, [Feature(name, kind) for name in names], shift)


async def published(peer: str, shelf: Shelf, folder: Path, stats: Statistics) -> Rounds:
    rounds = rounds_of(peer, shelf, folder)
    await rounds.read_members()
    await rounds.publish(stats)
    return rounds


def head_of(peer: str, shelf: Shelf) -> SnapshotHead:
    return SnapshotHead.model_validate_json(base64.b64decode(shelf.heads[peer].payload))


async def test_all_peers_have_the_same_sum(tmp_path: Path) -> None:
    shelf = Shelf()
    everybody = [
        await published(peer, shelf, tmp_path, rows(20 + n, "abc"[: 2 + n], seed=n))
        for n, peer in enumerate((THREE, TWO))
    ]
    digests = set()
    for rounds in everybody:
        await rounds.read_members()
        federated = await rounds.merge(None)
        assert federated is not None
        assert federated.stats.rows == 41
        assert rounds.behind == {ONE: "has published nothing yet"}
        digests.add(federated.digest)
    assert len(digests) == 1


async def test_nothing_is_merged_before_an_own_snapshot(tmp_path: Path) -> None:
    shelf = Shelf()
    await published(ONE, shelf, tmp_path, rows())
    two = await published(TWO, shelf, tmp_path, rows(6))
    assert two.cannot_publish == "6 rows may not be published: at least 7 are needed"
    assert await two.merge(None) is None
    await two.publish(None)
    assert two.cannot_publish == "no rows have been learnt yet"
    await two.publish(rows(7))
    assert two.cannot_publish == ""
    federated = await two.merge(None)
    assert federated is not None
    assert federated.stats.rows == 27


async def test_a_change_of_few_rows_waits(tmp_path: Path) -> None:
    shelf = Shelf()
    one = await published(ONE, shelf, tmp_path, rows(20))
    await one.publish(rows(20))
    assert one.waiting_rows == 0
    await one.publish(rows(26))
    assert one.waiting_rows == 6
    assert head_of(ONE, shelf).epoch == 1
    await one.publish(rows(27))
    assert one.waiting_rows == 0
    assert (head_of(ONE, shelf).epoch, head_of(ONE, shelf).rows) == (2, 27)


async def test_rows_forgotten_count_as_a_change_also_after_a_restart(tmp_path: Path) -> None:
    """Five rows go and five others come: the number of rows tells nothing, their histograms do."""
    shelf = Shelf()
    await published(ONE, shelf, tmp_path, rows(30))
    replaced = add(without(rows(30), rows(5)), rows(5, seed=2, shift=rows(30).shift))
    again = rounds_of(ONE, shelf, tmp_path)
    again.restore()
    await again.read_members()
    await again.publish(replaced)
    assert (head_of(ONE, shelf).epoch, again.waiting_rows) == (2, 0)
    assert len(list((tmp_path / ONE / "published").iterdir())) == 1


async def test_a_restored_volume_knows_only_the_number_of_rows_behind_the_stored_head(tmp_path: Path) -> None:
    shelf = Shelf()
    await published(ONE, shelf, tmp_path, rows(30))
    for file in (tmp_path / ONE / "published").iterdir():
        file.unlink()
    one = rounds_of(ONE, shelf, tmp_path)
    await one.read_members()
    await one.publish(add(without(rows(30), rows(5)), rows(5, seed=2, shift=rows(30).shift)))
    assert (head_of(ONE, shelf).epoch, one.waiting_rows) == (1, 0)


async def test_a_damaged_file_of_what_was_published_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = Shelf()
    one = await published(ONE, shelf, tmp_path, rows(30))
    for file in (tmp_path / ONE / "published").iterdir():
        file.write_bytes(b"PK damaged")
    await one.publish(rows(33))
    assert (head_of(ONE, shelf).epoch, one.waiting_rows) == (1, 3)
    assert "is damaged and not used" in caplog.text


async def test_the_last_snapshot_stays_when_too_many_rows_are_forgotten(tmp_path: Path) -> None:
    shelf = Shelf()
    one = await published(ONE, shelf, tmp_path, rows(20))
    text = "rows may not be published: at least 7 are needed; the last snapshot stays, of 20 rows"
    for kept in (6, 0):
        await one.publish(without(rows(20), rows(20 - kept)))
        assert one.cannot_publish == f"{kept} {text}"
        assert (head_of(ONE, shelf).epoch, head_of(ONE, shelf).rows) == (1, 20)
    await one.publish(rows(30))
    assert one.cannot_publish == ""
    assert head_of(ONE, shelf).rows == 30


async def test_an_empty_volume_goes_on_above_the_stored_epoch(tmp_path: Path) -> None:
    shelf = Shelf()
    for number in range(3):
        await published(ONE, shelf, tmp_path / f"volume {number}", rows(20 + 10 * number))
        assert head_of(ONE, shelf).epoch == number + 1


async def test_nothing_is_published_before_the_own_stored_head_is_known(tmp_path: Path) -> None:
    shelf = Shelf(unreachable={ONE})
    one = rounds_of(ONE, shelf, tmp_path)
    with pytest.raises(ExchangeError, match="no answer"):
        await one.read_members()
    with pytest.raises(ExchangeError, match="no answer"):
        await one.publish(rows())
    assert shelf.heads == {}
    shelf.unreachable.clear()
    await one.publish(rows())
    assert head_of(ONE, shelf).epoch == 1


async def test_a_failed_put_uses_its_epoch_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()
    one = await published(ONE, shelf, tmp_path, rows(20))

    async def fail(self: InMemory, outgoing: Outgoing, sign: Sign) -> Signed:
        raise ExchangeError("no answer")

    with monkeypatch.context() as broken:
        broken.setattr(InMemory, "put", fail)
        with pytest.raises(ExchangeError):
            await one.publish(rows(30))
    await one.publish(rows(40))
    assert head_of(ONE, shelf).epoch == 4  # 2 is used up, and 3 would overwrite the stored head's chunks


async def test_a_lost_answer_of_a_put_lets_no_change_of_few_rows_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf()
    one = await published(ONE, shelf, tmp_path, rows(20))
    real = InMemory.put

    async def put_without_answer(self: InMemory, outgoing: Outgoing, sign: Sign) -> Signed:
        await real(self, outgoing, sign)
        raise ExchangeError("no answer")

    with monkeypatch.context() as broken:
        broken.setattr(InMemory, "put", put_without_answer)
        with pytest.raises(ExchangeError):
            await one.publish(rows(30))
    assert head_of(ONE, shelf).rows == 30
    await one.publish(rows(33))
    assert (head_of(ONE, shelf).rows, one.waiting_rows) == (30, 3)
    await one.publish(rows(37))
    assert head_of(ONE, shelf).rows == 37


def restored(shelf: Shelf, heads: dict[str, Signed], bodies: dict[str, bytes]) -> None:
    """The backend as it was some time ago."""
    shelf.heads, shelf.bodies = dict(heads), dict(bodies)


@pytest.mark.parametrize("now", [40, 43, 60])
async def test_an_own_head_below_the_published_one_is_put_again(tmp_path: Path, now: int) -> None:
    """As after the backend's restoration from a backup, with no, few and enough rows learnt since."""
    shelf = Shelf()
    one = await published(ONE, shelf, tmp_path, rows(20))
    old = dict(shelf.heads), dict(shelf.bodies)
    await one.publish(rows(40))
    two = await published(TWO, shelf, tmp_path, rows(30))
    await two.merge(None)
    restored(shelf, *old)
    await one.read_members()
    assert one.has_lost_own
    assert "epoch 1 is below 2, which was merged before" in one.log.errors[-1]
    await one.publish(rows(now))
    head = head_of(ONE, shelf)
    assert head.epoch == 4  # above 2; and 3 would overwrite the chunks of the stored one
    assert head.rows == (60 if now == 60 else 40)  # too few rows are never told apart
    assert one.waiting_rows == now - head.rows
    await two.read_members()
    assert two.behind.get(ONE) is None
    merged = await two.merge(None)
    assert merged is not None
    assert merged.members[ONE].epoch == 4


async def test_a_node_that_runs_stops_when_another_one_publishes_as_its_peer(tmp_path: Path) -> None:
    """The one that was started last goes on, so two never take turns."""
    shelf = Shelf()
    first = await published(ONE, shelf, tmp_path / "first", rows(20))
    second = await published(ONE, shelf, tmp_path / "second", rows(50, seed=3))
    for look in (first.read_members(), first.publish(rows(90))):
        with pytest.raises(IdentityInUseError, match="another node publishes as this peer: epoch 2"):
            await look
    await second.read_members()
    assert (head_of(ONE, shelf).epoch, head_of(ONE, shelf).rows) == (2, 50)
    restarted = await published(ONE, shelf, tmp_path / "first", rows(90))
    assert (head_of(ONE, shelf).epoch, head_of(ONE, shelf).rows) == (3, 90)
    with pytest.raises(IdentityInUseError, match="epoch 3"):
        await second.read_members()
    await restarted.read_members()


async def test_a_second_digest_of_the_own_epoch_stops_a_node_until_its_restart(tmp_path: Path) -> None:
    shelf = Shelf()
    one = await published(ONE, shelf, tmp_path, rows(20))
    shelf.heads.clear()
    await published(ONE, shelf, tmp_path / "another", rows(50, seed=3))
    with pytest.raises(IdentityInUseError, match="epoch 1"):
        await one.read_members()
    restarted = rounds_of(ONE, shelf, tmp_path)
    restarted.restore()
    await restarted.read_members()
    assert "two nodes run with the identity of this peer" in restarted.log.errors[-1]
    await restarted.publish(rows(20))
    assert (head_of(ONE, shelf).epoch, head_of(ONE, shelf).rows) == (2, 20)


async def test_an_own_snapshot_whose_chunks_are_gone_is_put_again(tmp_path: Path) -> None:
    shelf = Shelf()
    await published(ONE, shelf, tmp_path, rows(20))
    await published(ONE, shelf, tmp_path / "another", rows(30, seed=3))
    shelf.replaced = 1
    one = rounds_of(ONE, shelf, tmp_path)
    one.restore()
    await one.read_members()
    assert one.has_lost_own
    await one.publish(rows(20))
    assert (head_of(ONE, shelf).epoch, head_of(ONE, shelf).rows) == (3, 20)


async def test_a_snapshot_of_which_the_head_alone_is_left_is_put_again(tmp_path: Path) -> None:
    """Who has read it does not notice; a member that comes later cannot read it."""
    shelf = Shelf()
    one = await published(ONE, shelf, tmp_path, rows(20))
    del shelf.bodies[ONE]
    await one.read_members()
    assert one.has_lost_own
    await one.publish(rows(20))
    assert (head_of(ONE, shelf).epoch, head_of(ONE, shelf).rows) == (2, 20)
    await one.read_members()
    assert not one.has_lost_own


async def test_an_older_volume_says_which_rows_it_lacks(tmp_path: Path) -> None:
    shelf = Shelf()
    await published(ONE, shelf, tmp_path / "lost", rows(50))
    one = await published(ONE, shelf, tmp_path / "restored", rows(20))
    words = "epoch 1 of this peer has 50 rows and the project 20: the volume is new or an older copy"
    assert words in one.log.errors[-1]
    assert words in one.older_volume
    assert (head_of(ONE, shelf).epoch, head_of(ONE, shelf).rows) == (2, 20)
    await one.publish(rows(50))
    assert one.older_volume == ""
    await one.publish(rows(40))  # what was forgotten since then is not missing
    assert one.older_volume == ""


async def test_a_forged_own_head_is_replaced(tmp_path: Path) -> None:
    shelf = Shelf()
    one = await published(ONE, shelf, tmp_path, rows(20))
    shelf.heads[ONE] = sign_document(head_of(ONE, shelf), HEAD_CONTEXT, FEDERATION_KEY)
    await one.read_members()
    assert one.log.errors[-1].endswith(
        "the own stored snapshot is refused: the symfed/head/v1 document is not signed by the expected key"
    )
    await one.publish(rows(20))
    assert (head_of(ONE, shelf).epoch, head_of(ONE, shelf).rows) == (3, 20)  # the slot that nobody reads


async def test_an_empty_volume_does_not_replace_a_forged_head(tmp_path: Path) -> None:
    """It does not know which epochs the others have seen."""
    shelf = Shelf()
    await published(ONE, shelf, tmp_path, rows(20))
    shelf.heads[ONE] = sign_document(head_of(ONE, shelf), HEAD_CONTEXT, FEDERATION_KEY)
    one = rounds_of(ONE, shelf, tmp_path / "empty")
    with pytest.raises(SignatureError):
        await one.read_members()
    with pytest.raises(SignatureError):
        await one.publish(rows(30))


async def test_a_change_of_exploration_is_published_although_no_rows_changed(tmp_path: Path) -> None:
    shelf = Shelf()
    one = await published(ONE, shelf, tmp_path, rows(20))
    first = head_of(ONE, shelf)
    exchanger = exchanger_of(one, shelf, ONE, tmp_path)
    for epoch, allow in enumerate((False, True, True, False), start=1):
        exchanger.set_explore(allow)
        await one.publish(rows(23))  # three new rows are too few to be told apart
        head = head_of(ONE, shelf)
        assert (head.explore, head.epoch) == (allow, {1: 1, 2: 2, 3: 2, 4: 3}[epoch])
        assert (head.rows, head.sha256) == (20, first.sha256)
    exchanger.set_explore(True)
    await one.publish(rows(60))
    assert (head_of(ONE, shelf).explore, head_of(ONE, shelf).rows) == (True, 60)


async def test_until_the_own_object_has_told_exploration_stays_as_published(tmp_path: Path) -> None:
    shelf = Shelf()
    one = await published(ONE, shelf, tmp_path, rows(20))
    one.allows_explore = True
    await one.publish(rows(20))
    again = rounds_of(ONE, shelf, tmp_path)
    again.restore()
    await again.read_members()
    await again.publish(rows(20))
    assert (head_of(ONE, shelf).explore, head_of(ONE, shelf).epoch) == (True, 2)
    await again.publish(rows(40))
    assert head_of(ONE, shelf).explore


async def test_a_lost_own_snapshot_is_put_again_at_once(tmp_path: Path) -> None:
    """As after the backend's restart with an empty disk; no exchange is due, only a look."""
    shelf = Shelf()
    one = await published(ONE, shelf, tmp_path, rows(20))
    await one.merge(None)
    restored(shelf, {}, {})
    exchanger = exchanger_of(one, shelf, ONE, tmp_path)
    await exchanger.once(LOOK)
    head = head_of(ONE, shelf)
    assert (head.epoch > 1, head.rows) == (True, 20)
    await exchanger.once(LOOK)
    assert head_of(ONE, shelf) == head


async def test_a_removal_is_followed_although_nothing_can_be_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf()
    await published(TWO, shelf, tmp_path, rows(30))
    await published(THREE, shelf, tmp_path, rows(40))
    one = await published(ONE, shelf, tmp_path, rows(20))
    project = project_in(tmp_path)
    exchanger = Exchanger(project, one, InMemory(shelf, ONE), poll_seconds=1, report=print)
    await exchanger.once()

    def sum_of() -> set[str]:
        federated = project.federated
        assert federated is not None
        return set(federated.members)

    assert sum_of() == {ONE, TWO, THREE}

    async def fail(self: Rounds, local: Statistics | None) -> None:
        raise ExchangeError("no answer")

    with monkeypatch.context() as broken:
        broken.setattr(Rounds, "publish", fail)
        shelf.document = signed(document(2, removed=TWO))
        with pytest.raises(ExchangeError):
            await exchanger.once()
    assert sum_of() == {ONE, THREE}
    shelf.unreachable = {ONE}
    shelf.document = signed(document(3, removed=THREE))
    with pytest.raises(ExchangeError):
        await exchanger.once()
    assert sum_of() == {ONE, TWO}


async def test_a_snapshot_that_the_others_would_refuse_is_not_put(tmp_path: Path) -> None:
    small = document(2)
    settings = small.settings.model_copy(update={"stream_max_bytes": 4000})
    shelf = Shelf(document=signed(small.model_copy(update={"settings": settings})))
    one = rounds_of(ONE, shelf, tmp_path)
    await one.update_document()
    with pytest.raises(SnapshotTooLargeError, match=r"has \d+ bytes and may have 2000"):
        await one.publish(rows(30, "abcdefghijkl"))
    assert shelf.heads == {}


async def test_a_replaced_snapshot_is_read_again_and_a_bad_one_named(tmp_path: Path) -> None:
    shelf = Shelf()
    await published(ONE, shelf, tmp_path, rows())
    shelf.replaced = 2
    two = rounds_of(TWO, shelf, tmp_path)
    await two.read_members()
    assert two.behind == {THREE: "has published nothing yet"}
    shelf.bodies[THREE] = b"no snapshot"
    shelf.heads[THREE] = PeerKeys(THREE, secrets_of(THREE)).sign_head(
        head_of(ONE, shelf).model_copy(update={"peer": THREE})
    )
    await two.read_members()
    await two.read_members()
    assert two.behind[THREE].startswith("the snapshot is no Arrow stream")
    assert two.log.receive_errors == 1  # what repeats is counted and logged once
    assert len(two.log.errors) == 1


async def test_a_second_digest_keeps_the_first_one(tmp_path: Path) -> None:
    shelf = Shelf()
    await published(ONE, shelf, tmp_path, rows())
    two = await published(TWO, shelf, tmp_path, rows(seed=2))
    before = await two.merge(None)
    shelf.heads.pop(ONE)
    await published(ONE, shelf, tmp_path / "another", rows(seed=3))
    await two.read_members()
    assert "second digest" in two.behind[ONE]
    assert await two.merge(before) is before


async def test_a_restart_gives_the_same_sum_from_the_disk(tmp_path: Path) -> None:
    shelf = Shelf()
    await published(ONE, shelf, tmp_path, rows(names="xab"))
    two = await published(TWO, shelf, tmp_path, rows(seed=2))
    federated = await two.merge(None)
    assert federated is not None
    again = rounds_of(TWO, Shelf(), tmp_path).restore()
    assert again is not None
    assert again.digest == federated.digest
    assert again.stats.names == federated.stats.names == ("x", "a", "b")
    (tmp_path / TWO / "snapshots" / ONE).write_bytes(b"damaged")
    third = rounds_of(TWO, shelf, tmp_path)
    assert third.restore() is not None
    await third.read_members()
    restored = await third.merge(None)
    assert restored is not None
    assert restored.digest == federated.digest


async def test_a_peer_that_is_left_out_keeps_the_sum_over_a_restart(tmp_path: Path) -> None:
    shelf = Shelf()
    await published(ONE, shelf, tmp_path, rows())
    two = await published(TWO, shelf, tmp_path, rows(30, kind="B"))
    assert rounds_of(TWO, shelf, tmp_path).restore() is None  # nothing was merged yet
    federated = await two.merge(None)
    assert federated is not None
    assert list(federated.members) == [ONE]
    again = rounds_of(TWO, Shelf(), tmp_path).restore()
    assert again is not None
    assert (again.digest, again.left_out) == (federated.digest, federated.left_out)


async def test_a_damaged_document_on_the_disk_is_named_and_taken_anew(tmp_path: Path) -> None:
    shelf = Shelf(document=signed(document(3)))
    assert await rounds_of(ONE, shelf, tmp_path).update_document()
    (tmp_path / ONE / "document.json").write_bytes(b"{\xff")
    one = rounds_of(ONE, shelf, tmp_path)
    assert "the document on the disk was refused: not a signed document" in one.log.errors[-1]
    assert one.document.version == 1
    assert await one.update_document()


async def test_a_new_document_drops_the_removed_member(tmp_path: Path) -> None:
    shelf = Shelf()
    one = await published(ONE, shelf, tmp_path, rows())
    two = await published(TWO, shelf, tmp_path, rows(30))
    await one.read_members()
    both = await one.merge(None)
    assert both is not None
    shelf.document = signed(document(2, removed=TWO))
    assert await one.update_document()
    assert not one.is_removed
    alone = await one.merge(both)
    assert alone is not None
    assert list(alone.members) == [ONE]
    assert not (tmp_path / ONE / "snapshots" / TWO).exists()
    await two.merge(None)
    assert await two.update_document()
    assert two.is_removed
    kept = rounds_of(TWO, shelf, tmp_path).restore()
    assert kept is not None
    assert list(kept.members) == [ONE, TWO]


async def test_what_can_be_read_only_after_the_wake_up_is_read_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(InMemory):
        async def open(self, on_wake: OnWake) -> None:
            self.is_open, self.on_wake = True, on_wake
            opened.set()

        async def document(self) -> Signed | None:
            asked.set()
            return await super().document()

    monkeypatch.setattr(loop, "AGAIN_SECONDS", 0.3)
    opened, asked, taken = asyncio.Event(), asyncio.Event(), asyncio.Event()
    shelf = Shelf()
    backend = Late(shelf, ONE)
    backend.is_open = False
    one = rounds_of(ONE, shelf, tmp_path, backend)

    def report(_: Exchanging) -> None:
        if one.document.version == 2:
            taken.set()

    exchanger = Exchanger(project_in(tmp_path), one, backend, poll_seconds=1000, report=report)
    running = asyncio.create_task(exchanger.run())
    async with asyncio.timeout(10):
        for event in (opened, asked):
            await event.wait()
        asked.clear()
        backend.on_wake(Wake.DOCUMENT)
        await asked.wait()  # too early: there is nothing yet
        shelf.document = signed(document(2))
        await taken.wait()
    running.cancel()


async def test_requests_have_the_time_that_the_document_gives_them(tmp_path: Path) -> None:
    shelf = Shelf()
    backend = InMemory(shelf, ONE)
    one = rounds_of(ONE, shelf, tmp_path, backend)
    assert backend.request_timeout == 30
    changed = document(2)
    settings = changed.settings.model_copy(update={"request_timeout_seconds": 7})
    shelf.document = signed(changed.model_copy(update={"settings": settings}))
    assert await one.update_document()
    assert backend.request_timeout == 7
    rounds_of(ONE, shelf, tmp_path, again := InMemory(shelf, ONE))
    assert again.request_timeout == 7


async def test_bad_and_older_documents_are_refused(tmp_path: Path) -> None:
    shelf = Shelf(document=signed(document(3)))
    one = rounds_of(ONE, shelf, tmp_path)
    assert await one.update_document()
    shelf.document = signed(document(2, removed=TWO))
    assert not await one.update_document()
    shelf.document = signed(document(9), key=Ed25519PrivateKey.generate())
    assert not await one.update_document()
    assert "not signed by the expected key" in one.log.errors[-1]
    assert one.document.version == 3
    assert rounds_of(ONE, shelf, tmp_path).document.version == 3  # kept on the disk


async def test_a_type_conflict_is_the_conditions_reason(tmp_path: Path) -> None:
    shelf = Shelf()
    await published(ONE, shelf, tmp_path, rows())
    two = rounds_of(TWO, shelf, tmp_path)
    exchanger = exchanger_of(two, shelf, TWO, tmp_path)
    assert (await exchanger.once()).reason == "TooFewRows"
    await two.publish(rows(names="ab", kind="B"))
    found = await exchanger.once()
    assert found.reason == "SchemaMismatch"
    assert found.message == f"peer 2 ({TWO}): feature 'a' has type B where C is expected"
    exchanger.set_pulse(False)
    assert (await exchanger.once()).reason == "Paused"


async def test_a_peer_is_explored_alone_when_it_allows_that(tmp_path: Path) -> None:
    shelf = Shelf()
    one = await published(ONE, shelf, tmp_path, rows(20, "ab"))
    two = rounds_of(TWO, shelf, tmp_path)
    two.allows_explore = True
    await two.publish(rows(30, "ba", seed=2))
    await one.read_members()
    project = project_in(tmp_path)
    project.set_federated(await one.merge(None))
    explored = Exploration(project, ONE, one)

    def mean(peer: str, name: str = "a") -> float:
        entry = MLContext(input_attribute_names=(name,), extra_parameters={PEER: peer})
        [figures] = explored.explore("uni", ExploreContext((entry,)), use_local=False)
        return figures["mean"]

    assert mean(TWO) == pytest.approx(means(rows(30, "ba", seed=2))[1])
    assert mean(ONE) == pytest.approx(means(rows(20, "ab"))[0])  # the own uuid needs no leave
    by_index = MLContext(input_attributes=("0",), extra_parameters={PEER: TWO})
    [density] = explored.densities(ExploreContext((by_index,)), use_local=False)
    assert (density.name, round(density.rows.sum())) == ("a", 30)
    with pytest.raises(NoRowsError, match=rf"peer 3 \({THREE}\) has published nothing yet"):
        mean(THREE)
    with pytest.raises(ExploreForbiddenError, match="no active member of the federation has the uuid 'x'"):
        mean("x")
    two.allows_explore = False
    await two.publish(rows(30, "ba", seed=2))
    await one.read_members()
    with pytest.raises(ExploreForbiddenError, match=rf"peer 2 \({TWO}\) does not allow that others") as error:
        mean(TWO)
    assert error.value.status == 403
    shelf.document = signed(document(2, removed=TWO))
    await one.update_document()
    with pytest.raises(ExploreForbiddenError, match="no active member"):
        mean(TWO)


async def test_a_feature_that_the_explored_peer_lacks_is_named(tmp_path: Path) -> None:
    shelf = Shelf()
    await published(ONE, shelf, tmp_path, rows(20, "abc"))
    two = await published(TWO, shelf, tmp_path, rows(30, "ab"))
    project = project_in(tmp_path)
    project.set_federated(await two.merge(None))
    entry = MLContext(input_attribute_names=("a", "c"), extra_parameters={PEER: TWO})
    with pytest.raises(NoRowsError, match="no row has a value of c"):
        Exploration(project, TWO, two).explore("bi", ExploreContext((entry,)), use_local=False)


async def test_sync_stats_name_every_member(tmp_path: Path) -> None:
    shelf = Shelf()
    await published(ONE, shelf, tmp_path, rows())
    two = await published(TWO, shelf, tmp_path, rows(30))
    project = project_in(tmp_path)
    project.set_federated(await two.merge(None))
    federated = project.federated
    assert federated is not None
    made = datetime.fromisoformat(head_of(ONE, shelf).created)
    stats = sync_stats(project, two, made + timedelta(seconds=90))
    assert stats["merged"] == {"epoch": 2, "digest": federated.digest, "rows": 50}
    assert (stats["sndCount"], stats["rcvCount"], stats["rcvError"]) == (1, 1, 0)
    peers = stats["peers"]
    assert isinstance(peers, dict)
    digest = head_of(ONE, shelf).sha256
    assert peers[ONE] == {"name": "peer 1", "epoch": 1, "digest": digest, "rows": 20, "ageSeconds": 90}
    assert peers[THREE] == {"name": "peer 3", "epoch": 0, "digest": None, "rows": 0, "ageSeconds": None}
