"""Nodes as real processes on a real NATS: what they forget, and what they tell of features."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symfed_wire.frames import MLContext
from tests.integration.node_world import NAMES, PARTS, ROWS, SECONDS, NodeProcess, World, new_world
from tests.integration.servers import wait_until

EACH = [MLContext(input_attributes=(str(index),)) for index in range(len(NAMES))]


@pytest.fixture
async def world(programs: None, tmp_path: Path) -> AsyncIterator[World]:
    """A federation whose nodes are not started yet."""
    async with new_world(tmp_path) as made:
        yield made


def wait_for_rows(node: NodeProcess, rows: int) -> None:
    wait_until(lambda: bool(node.merged()["rows"] == rows), f"{rows} rows are not merged", SECONDS)


def figures(node: NodeProcess, *contexts: MLContext, local: bool = False) -> list[dict[str, Any]]:
    answer = node.explore("uni", *contexts, local=local)
    assert answer.is_success, answer.text
    found: list[dict[str, Any]] = answer.json()["values"]["KSVDMap"]["values"]
    return found


async def test_all_peers_tell_the_same_figures_of_the_pooled_rows(world: World) -> None:
    data = np.array(ROWS)
    with world.running(0, 1, 2) as nodes:
        for node, part in zip(nodes, PARTS, strict=True):
            node.learn(ROWS[part])
        nodes[0].ask()
        for node in nodes:
            wait_for_rows(node, 150)
        found = [figures(node, *EACH) for node in nodes]
        pairs = [
            node.explore("bi", MLContext(input_attributes=("0", "3"))).json()["values"]["KSVDMap"]
            for node in nodes
        ]
        local = figures(nodes[0], *EACH, local=True)
        peer = MLContext(
            input_attributes=("0",),
            extra_parameters={"fed_peer_uuid_for_explore": nodes[1].config.uuid},
        )
        refused, own = nodes[0].explore("uni", peer), figures(nodes[1], peer)
    assert found[0] == found[1] == found[2]
    assert pairs[0] == pairs[1] == pairs[2]
    np.testing.assert_allclose([each["mean"] for each in found[0]], data.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose([each["variance"] for each in found[0]], data.var(axis=0), rtol=1e-13)
    np.testing.assert_allclose([each["median"] for each in found[0]], np.median(data, axis=0), rtol=0.1)
    assert [each["min"] for each in local] == data[PARTS[0]].min(axis=0).tolist()
    [pair] = pairs[0]["values"]
    assert pair["linCorr"] == pytest.approx(np.corrcoef(data[:, 0], data[:, 3])[0, 1], rel=1e-13)
    assert refused.status_code == 403
    assert "does not allow that others explore it alone" in refused.json()["statusString"]
    assert own[0]["count"] == 50.0


async def test_forgotten_rows_leave_the_federation_as_if_they_had_never_been_there(world: World) -> None:
    """With the same digest on both, over a kill in between, and with a repeat that forgets nothing more."""
    with world.running(0, 1) as nodes:
        for node, part in zip(nodes, PARTS[:2], strict=True):
            node.learn(ROWS[part])
        nodes[0].ask()
        for node in nodes:
            wait_for_rows(node, 110)
        before = nodes[0].merged()["digest"]
        nodes[0].learn(ROWS[PARTS[2]])
        nodes[0].ask()
        for node in nodes:
            wait_for_rows(node, 150)
        for _ in range(2):
            answer = nodes[0].forget(ROWS[PARTS[2]], request="forget 1")
            assert answer.json()["values"] == {"forgotten": 40, "skipped": 0}
            nodes[0].kill()
            nodes[0].start()
        nodes[0].ask()
        for node in nodes:
            wait_for_rows(node, 110)
        assert {node.merged()["digest"] for node in nodes} == {before}
        again = nodes[0].forget(ROWS[PARTS[2]])
        assert again.status_code == 400
        assert (
            "not all of these rows were learnt, or some were forgotten before" in again.json()["statusString"]
        )


async def test_the_last_snapshot_stays_when_all_rows_are_forgotten(world: World) -> None:
    with world.running(0, 1) as nodes:
        for node, part in zip(nodes, PARTS[:2], strict=True):
            node.learn(ROWS[part])
        nodes[0].ask()
        for node in nodes:
            wait_for_rows(node, 110)
        assert nodes[0].forget(ROWS[PARTS[0]]).is_success
        nodes[0].ask()
        said = "0 rows may not be published: at least 9 are needed; the last snapshot stays, of 60 rows"
        wait_until(partial(_has_logged, nodes[0], said), "it does not say that its snapshot stays", SECONDS)
        assert nodes[1].merged()["rows"] == 110


def _has_logged(node: NodeProcess, text: str) -> bool:
    return text in node.log.read_text()
