"""Nodes as real processes on a real NATS: they learn, exchange, merge, crash and come back."""

import base64
import secrets
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest
import statsmodels.api as sm

from symfed_wire.documents import (
    KeyGeneration,
)
from symfed_wire.sealing import seal_to
from tests.integration.external_nats import TLS
from tests.integration.node_steps import learn_parts, wait_for_rows
from tests.integration.node_world import PARTS, ROWS, SECONDS, NodeProcess, World, new_world
from tests.integration.servers import wait_until


@pytest.fixture(params=[None, TLS], ids=["managed", "external"])
async def world(programs: None, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """A federation whose nodes are not started yet."""
    async with new_world(tmp_path, request.param) as made:
        yield made


def _is_longer(numbers: list[int], length: int) -> bool:
    return len(numbers) > length


async def test_three_nodes_build_the_model_of_the_pooled_rows(world: World) -> None:
    with world.running(0, 1, 2) as nodes:
        learn_parts(nodes)
        assert [node.merged()["epoch"] for node in nodes] == [0, 0, 0]
        nodes[0].ask()
        digest = wait_for_rows(nodes, 150)
        assert nodes[1].merged()["epoch"] == nodes[2].merged()["epoch"] >= 3
        models = [node.build() for node in nodes]
        local = nodes[0].build(use_local=True)
        predicted = [node.predict([*ROWS, ["", 3.0, None, ""]]) for node in nodes]
        assert f"computing with numpy {np.__version__}: this is a cpu node" in nodes[0].log.read_text()

    assert any(b"symfed.snapshot" in path.read_bytes() for path in stored_messages(world))
    tables = [model["extra"]["coefficients"]["data"] for model in models]
    assert tables[0] == tables[1] == tables[2]
    assert local["extra"]["coefficients"]["data"] != tables[0]
    assert all(model["info"]["digest"] == digest for model in models)
    assert models[0]["info"]["peers"].keys() == {peer.uuid for peer in world.peers}
    data = np.array(ROWS)
    pooled = sm.OLS(data[:, 3], sm.add_constant(data[:, :3])).fit()
    expected = np.column_stack(
        [pooled.params, pooled.bse, pooled.tvalues, pooled.pvalues, pooled.conf_int(0.05)]
    )
    found = np.array([row[1:] for row in tables[0]], dtype=float)
    np.testing.assert_allclose(found[:, :3], expected[:, :3], rtol=1e-10)
    np.testing.assert_allclose(found[:, 4:], expected[:, 4:], rtol=1e-10)
    np.testing.assert_allclose(found[:, 3], expected[:, 3], rtol=1e-8)
    assert predicted[0] == predicted[1] == predicted[2]
    np.testing.assert_allclose([float(text) for text in predicted[0][:-1]], pooled.predict(), rtol=1e-12)
    assert models[0]["info"]["rSquared"] == pytest.approx(pooled.rsquared, rel=1e-12)


async def test_what_was_answered_survives_kill_9(world: World) -> None:
    """One thread learns row after row; the node is killed in the middle of it, again and again."""
    with world.running(0) as [node]:
        acknowledged: list[int] = []
        todo = iter(range(120))

        def learn_until_dead() -> None:
            for number in todo:
                try:
                    node.learn([ROWS[number]], request=f"row {number}")
                except httpx.TransportError:
                    unsure.append(number)
                    return
                acknowledged.append(number)

        unsure: list[int] = []
        for _ in range(3):
            enough = len(acknowledged) + 10
            thread = threading.Thread(target=learn_until_dead)
            thread.start()
            wait_until(partial(_is_longer, acknowledged, enough), "it does not learn", SECONDS)
            node.kill()
            thread.join(SECONDS)
            node.start()
            for number in unsure:  # a client repeats what it has no answer for, under the same id
                node.learn([ROWS[number]], request=f"row {number}")
            acknowledged.extend(unsure)
            unsure.clear()
            info = node.http.get(f"{node.path('info')}?useLocal=true").json()["values"]["smlInfo"]
            assert info["params"]["rows"] == len(acknowledged)
        learn_until_dead()
        model = node.build(use_local=True)
    data = np.array(ROWS[:120])
    pooled = sm.OLS(data[:, 3], sm.add_constant(data[:, :3])).fit()
    found = [row[1] for row in model["extra"]["coefficients"]["data"]]
    np.testing.assert_allclose(found, pooled.params, rtol=1e-9)


async def test_a_restart_keeps_the_sum_and_goes_on_at_a_higher_epoch(world: World) -> None:
    with world.running(0, 1, 2) as nodes:
        learn_parts(nodes)
        nodes[0].ask()
        digest = wait_for_rows(nodes, 150)
        second = world.peers[1].uuid
        epoch = nodes[0].stats()["peers"][second]["epoch"]
        model = nodes[1].build()
        assert nodes[1].stop() == 0
        nodes[1].start()
        assert nodes[1].merged()["digest"] == digest
        assert nodes[1].http.get(nodes[1].path("models/m")).json()["values"]["modelInfo"] == model

        nodes[1].learn(ROWS[:20])
        nodes[1].ask()
        wait_for_rows(nodes, 170)
        assert nodes[0].stats()["peers"][second]["epoch"] > epoch

        # The same with an empty volume: the stored head tells where to go on.
        epoch = nodes[0].stats()["peers"][second]["epoch"]
        nodes[1].kill()
        fresh = world.node(1, "second-anew")
        try:
            fresh.start()
            wait_for_rows([fresh], 170)
            fresh.learn(ROWS[:30])
            fresh.ask()
            wait_for_rows([nodes[0], fresh, nodes[2]], 130)
            assert nodes[0].stats()["peers"][second]["epoch"] > epoch
        finally:
            fresh.close()


async def test_a_removed_member_leaves_the_sum_of_all_others(world: World) -> None:
    with world.running(0, 1, 2) as nodes:
        learn_parts(nodes)
        nodes[0].ask()
        before = wait_for_rows(nodes, 150)
        members = [
            member.model_copy(update={"state": "removed"}) if member.name == "second" else member
            for member in world.document.members
        ]
        document = world.document.model_copy(update={"version": 2, "members": tuple(members)})
        await world.publish(document)
        wait_for_rows([nodes[0], nodes[2]], 100)
        wait_until(lambda: "Removed" in nodes[1].log.read_text(), "the removed node does not notice", SECONDS)
        assert nodes[1].merged()["digest"] == before
        # The cut comes after the document; the removed node goes on serving, also after a restart.
        await world.operator.remove(world.peers[1].uuid)
        nodes[1].kill()
        nodes[1].start()
        assert nodes[1].merged()["digest"] == before
        assert nodes[1].learn(ROWS[:1]) == {"learned": 1, "skipped": 0}


async def test_nodes_find_each_other_again_after_nats_was_away(world: World) -> None:
    with world.running(0, 1, 2) as nodes:
        learn_parts(nodes)
        nodes[0].ask()
        wait_for_rows(nodes, 150)
        world.server.stop()
        nodes[2].learn(ROWS[:25])
        nodes[2].ask()
        wait_until(
            lambda: "BackendUnreachable" in nodes[2].log.read_text(), "the node does not notice", SECONDS
        )
        world.server.start()
        wait_for_rows(nodes, 175)


def epochs_of(node: NodeProcess) -> dict[str, int]:
    return {peer: stats["epoch"] for peer, stats in node.stats()["peers"].items()}


async def test_snapshots_that_nats_has_lost_are_put_again(world: World) -> None:
    """Nothing has changed at the peers and no exchange is due; a peer that comes then finds them all."""
    with world.running(0, 1) as nodes:
        for node, part in zip(nodes, PARTS, strict=False):
            node.learn(ROWS[part])
        nodes[0].ask()
        wait_for_rows(nodes, 110)
        before = epochs_of(nodes[0])
        await world.lose_the_store()

        def have_put_again(node: NodeProcess) -> bool:
            return all(epoch > before[peer] for peer, epoch in epochs_of(node).items() if before[peer])

        for node in nodes:
            wait_until(partial(have_put_again, node), "the snapshots are not put again", SECONDS)
        with world.running(2) as [third]:
            third.learn(ROWS[PARTS[2]])
            third.ask()
            wait_for_rows([*nodes, third], 150)


async def test_sealed_snapshots_are_read_by_members(world: World) -> None:
    """With encryption the stored chunks are not the snapshot; members open them with the federation key."""
    federation_key = secrets.token_bytes(16)
    sealed = {
        member.uuid: seal_to(
            federation_key,
            base64.b64decode(member.sealing_key),
            f"symfed/federation-key/v1|{world.operator.uid}|1|{member.uuid}",
        )
        for member in world.document.members
    }
    settings = world.document.settings.model_copy(update={"encrypt": True})
    keys = (KeyGeneration(generation=1, sealed_for=sealed),)
    await world.publish(world.document.model_copy(update={"version": 2, "settings": settings, "keys": keys}))
    with world.running(0, 1, 2) as nodes:
        learn_parts(nodes)
        nodes[1].ask()
        wait_for_rows(nodes, 150)
    assert not any(b"symfed.snapshot" in path.read_bytes() for path in stored_messages(world))


def stored_messages(world: World) -> list[Path]:
    found = list((world.folder / "nats-data").rglob("*.blk"))
    assert found
    return found
