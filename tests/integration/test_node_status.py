"""A node and its own FederationPeer on a real API server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import JsonValue

from symfed_node.exchange.condition import PAUSED, Exchanging
from symfed_node.status import MANAGER, OwnPeer
from symfed_wire.kube import PEERS, JsonObject, Kube, Resource
from symfed_wire.names import ERROR_LOG_CLEARED, IGNORED_KEYS, SYNC_REQUESTED
from symfed_wire.node_config import NodeConfig, PeerSecrets
from symfed_wire.resources import Condition, FederationPeer, find_condition

SECONDS = 20.0
CURRENT = Exchanging(True, "Current", "")
UNREACHABLE = Exchanging(False, "BackendUnreachable", "NATS at nats://x cannot be reached: refused")


class Told:
    """What the object told its node, in order."""

    def __init__(self) -> None:
        self._said = asyncio.Queue[str]()
        self._pulse: bool | None = None
        self._explore: bool | None = None

    def request_sync(self) -> None:
        self._said.put_nowait("sync")

    def set_pulse(self, pulse: bool) -> None:
        if pulse != self._pulse:
            self._pulse = pulse
            self._said.put_nowait(f"pulse {pulse}")

    def set_explore(self, allow: bool) -> None:
        if allow != self._explore:
            self._explore = allow
            self._said.put_nowait(f"explore {allow}")

    def note_ignored_keys(self, keys: str) -> None:
        self._said.put_nowait(f"ignored {keys}")

    def clear_errors(self) -> None:
        self._said.put_nowait("clear")

    async def next(self) -> str:
        async with asyncio.timeout(SECONDS):
            return await self._said.get()


@asynccontextmanager
async def own_peer(kube: Kube, config: NodeConfig) -> AsyncIterator[tuple[OwnPeer, Told]]:
    told = Told()
    peer = OwnPeer(kube, config, told)
    task = asyncio.create_task(peer.run())
    try:
        yield peer, told
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def config_of(peer: FederationPeer) -> NodeConfig:
    return NodeConfig(
        customer="c1",
        project="p1",
        namespace=peer.metadata.namespace,
        name=peer.metadata.name,
        object_uid=peer.metadata.uid,
        slot=1,
        uuid="00000000-0000-4000-8000-000000000001",
        secrets=PeerSecrets(identity_seed="", sealing_seed="", nats_writer_seed="", nats_reader_seed=""),
    )


async def create(kube: Kube, namespace: str, **annotations: JsonValue) -> FederationPeer:
    body: JsonObject = {"metadata": {"name": "p1", "annotations": annotations}, "spec": {"project": "p1"}}
    return FederationPeer.model_validate(await kube.create(PEERS, namespace, body))


async def condition_after(kube: Kube, namespace: str, reason: str) -> Condition:
    """Waits, by a watch, until the object says so."""
    async with asyncio.timeout(SECONDS):
        async for event in kube.watch(PEERS, namespace):
            conditions = FederationPeer.model_validate(event.object).status.conditions
            found = find_condition(conditions, "Exchanging")
            if found is not None and found.reason == reason:
                return found
    raise AssertionError("a watch does not end")


async def patch(kube: Kube, namespace: str, **body: Any) -> None:
    await kube.patch(PEERS, namespace, "p1", body, manager="tests")


async def test_the_condition_is_written_on_a_difference_only(
    kube: Kube, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[JsonObject] = []
    real = kube.apply

    async def counted(resource: Resource, body: JsonObject, *, manager: str, subresource: str) -> JsonObject:
        written.append(body)
        return await real(resource, body, manager=manager, subresource=subresource)

    monkeypatch.setattr(kube, "apply", counted)
    config = config_of(await create(kube, namespace))
    async with own_peer(kube, config) as (peer, told):
        peer.report(UNREACHABLE)
        found = await condition_after(kube, namespace, "BackendUnreachable")
        assert (found.status, found.message) == ("False", UNREACHABLE.message)
        assert found.observed_generation == 1
        for number in range(3):  # the object changes and so does nothing that the condition says
            await patch(kube, namespace, metadata={"annotations": {SYNC_REQUESTED: str(number)}})
            peer.report(UNREACHABLE)
            while await told.next() != "sync":
                pass
        peer.report(CURRENT)
        assert (await condition_after(kube, namespace, "Current")).status == "True"
    assert len(written) == 2
    after: Any = await kube.get(PEERS, namespace, "p1")
    managers = {entry["manager"]: entry for entry in after["metadata"]["managedFields"]}
    assert managers[MANAGER]["subresource"] == "status"
    assert managers[MANAGER]["operation"] == "Apply"


async def test_it_reacts_to_pulse_and_to_a_sync_request(kube: Kube, namespace: str) -> None:
    config = config_of(await create(kube, namespace))
    async with own_peer(kube, config) as (peer, told):
        assert await told.next() == "pulse True"
        assert await told.next() == "explore False"
        await patch(kube, namespace, metadata={"annotations": {SYNC_REQUESTED: "2026-01-02T00:00:00Z"}})
        assert await told.next() == "sync"
        await patch(kube, namespace, metadata={"annotations": {"other": "x"}})
        await patch(kube, namespace, spec={"pulse": False})
        assert await told.next() == "pulse False"
        peer.report(PAUSED)
        found = await condition_after(kube, namespace, "Paused")
        assert found.observed_generation == 2
        await patch(kube, namespace, metadata={"annotations": {SYNC_REQUESTED: "2026-01-02T00:00:01Z"}})
        assert await told.next() == "sync"


async def test_it_reacts_to_exploration_and_to_a_cleared_error_log(kube: Kube, namespace: str) -> None:
    config = config_of(await create(kube, namespace, **{IGNORED_KEYS: "a,b"}))
    async with own_peer(kube, config) as (_, told):
        assert [await told.next() for _ in range(3)] == ["pulse True", "explore False", "ignored a,b"]
        await patch(kube, namespace, spec={"allowPeersExplore": True})
        assert await told.next() == "explore True"
        for moment in ("2026-01-02T00:00:00Z", "2026-01-02T00:00:01Z"):
            await patch(kube, namespace, metadata={"annotations": {ERROR_LOG_CLEARED: moment}})
            assert await told.next() == "clear"
    async with own_peer(kube, config) as (_, told):  # started again: nothing is cleared, nothing comes back
        await patch(kube, namespace, metadata={"annotations": {SYNC_REQUESTED: "now"}})
        said = [await told.next() for _ in range(3)]
        assert said == ["pulse True", "explore True", "sync"]


async def test_another_object_of_the_same_name_is_left_alone(kube: Kube, namespace: str) -> None:
    config = config_of(await create(kube, namespace))
    async with own_peer(kube, config) as (peer, _):
        peer.report(CURRENT)
        await condition_after(kube, namespace, "Current")
        await kube.delete(PEERS, namespace, "p1")
        anew = await create(kube, namespace)
        assert anew.metadata.uid != config.object_uid
        peer.report(UNREACHABLE)
        # A write of its own node shows that the old one has had its chance before.
        async with own_peer(kube, config_of(anew)) as (own, _):
            own.report(CURRENT)
            assert (await condition_after(kube, namespace, "Current")).status == "True"
        found: Any = await kube.get(PEERS, namespace, "p1")
        assert [c["reason"] for c in found["status"]["conditions"]] == ["Current"]


@pytest.mark.parametrize("reason", ["PeerBehind", "TooFewRows", "SchemaMismatch", "Removed"])
async def test_every_reason_is_accepted(kube: Kube, namespace: str, reason: str) -> None:
    config = config_of(await create(kube, namespace))
    async with own_peer(kube, config) as (peer, _):
        peer.report(Exchanging(reason == "PeerBehind", reason, "x" * 1001))
        assert len((await condition_after(kube, namespace, reason)).message) == 1001
