"""The watch of the own FederationPeer bears whatever the API server does."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from symfed_node import main, status
from symfed_node.exchange.condition import Exchanging
from symfed_node.status import OwnPeer
from symfed_wire.kube import JsonObject, Kube, Resource, WatchEvent
from symfed_wire.kube_config import KubeConfig
from symfed_wire.kube_errors import KubeError
from symfed_wire.node_config import NodeConfig, PeerSecrets

CONFIG = NodeConfig(
    customer="c1",
    project="p1",
    namespace="ns",
    name="p1",
    object_uid="u",
    slot=5,
    uuid="00000000-0000-4000-8000-000000000001",
    secrets=PeerSecrets(identity_seed="", sealing_seed="", nats_writer_seed="", nats_reader_seed=""),
)
PEER: JsonObject = {"metadata": {"name": "p1", "namespace": "ns", "uid": "u"}, "spec": {"project": "p1"}}
SECONDS = 20.0


class Listener:
    """Takes note of nothing."""

    def request_sync(self) -> None:
        """Nobody exchanges here."""

    def set_pulse(self, pulse: bool) -> None:
        """Nobody exchanges here."""

    def set_explore(self, allow: bool) -> None:
        """Nobody exchanges here."""

    def note_ignored_keys(self, keys: str) -> None:
        """Nobody exchanges here."""

    def clear_errors(self) -> None:
        """Nobody exchanges here."""


class BrokenKube(Kube):
    """An API server that fails in one way after the other, and then works."""

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.written = asyncio.Event()

    async def watch(self, *arguments: Any, **named: Any) -> AsyncIterator[WatchEvent]:
        if self.faults:
            raise self.faults.pop(0)
        yield WatchEvent("ADDED", PEER)
        await asyncio.Event().wait()

    async def apply(
        self, resource: Resource, body: JsonObject, *, manager: str, subresource: str = ""
    ) -> JsonObject:
        self.written.set()
        return body


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries again at once."""
    monkeypatch.setattr(status, "_PAUSE_SECONDS", (0.0,))


async def test_a_broken_watch_is_taken_up_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    kube = BrokenKube(KubeError("HTTP 500"), ValueError("no JSON"), KeyError("metadata"), OSError("token"))
    peer = OwnPeer(kube, CONFIG, Listener())
    peer.report(Exchanging(True, "Current", ""))
    task = asyncio.create_task(peer.run())
    async with asyncio.timeout(SECONDS):
        await kube.written.wait()
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert "watching the own FederationPeer: KubeError: HTTP 500; again in 0 s" in caplog.text
    assert "watching the own FederationPeer: ValueError: no JSON" in caplog.text


async def test_an_api_server_that_cannot_be_asked_at_all_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    kube_config = KubeConfig(server="https://127.0.0.1:1", ca_file=str(tmp_path / "none.crt"))
    task = asyncio.create_task(main._watch(kube_config, CONFIG, Listener(), main._Report()))
    async with asyncio.timeout(SECONDS):
        while caplog.text.count("the API server: FileNotFoundError") < 2:
            await asyncio.sleep(0)
            assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
