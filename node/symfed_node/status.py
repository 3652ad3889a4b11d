"""The node and its own FederationPeer: what it is told there, and the condition that it writes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final, Protocol

from pydantic import ValidationError

from symfed_node.exchange.condition import Exchanging
from symfed_wire.documents import describe_faults
from symfed_wire.kube import PEERS, JsonObject, Kube, WatchEvent
from symfed_wire.kube_errors import ConflictError, KubeError
from symfed_wire.names import ERROR_LOG_CLEARED, IGNORED_KEYS, SYNC_REQUESTED
from symfed_wire.node_config import NodeConfig
from symfed_wire.resources import Condition, FederationPeer, find_condition, set_condition

log = logging.getLogger(__name__)

CONDITION: Final = "Exchanging"
MANAGER: Final = "symfed-node"
_PAUSE_SECONDS: Final = (1.0, 2.0, 5.0, 10.0, 30.0)


class Listener(Protocol):
    """Who acts on what the object says."""

    def request_sync(self) -> None:
        """Somebody wants an exchange now."""

    def set_pulse(self, pulse: bool) -> None:
        """Whether to take part in the schedule."""

    def set_explore(self, allow: bool) -> None:
        """Whether the others may explore this peer's statistics alone."""

    def note_ignored_keys(self, keys: str) -> None:
        """The map that made the object had keys that nobody knows."""

    def clear_errors(self) -> None:
        """Somebody has read the error log and wants it empty."""


class OwnPeer:
    """Watches one FederationPeer and keeps its condition Exchanging as reported."""

    def __init__(self, kube: Kube, config: NodeConfig, listener: Listener) -> None:
        self._kube = kube
        self._config = config
        self._listener = listener
        self._peer: FederationPeer | None = None
        self._reported: Exchanging | None = None
        self._changed = asyncio.Event()
        self._sync_requested = ""
        self._errors_cleared: str | None = None
        """what the object said last of it; None before it was seen"""

    def report(self, exchanging: Exchanging) -> None:
        """The condition from now on; it is written soon, and only when it differs."""
        self._reported = exchanging
        self._changed.set()

    async def run(self) -> None:
        """Watch and write until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(endlessly("watching the own FederationPeer", self._watch))
            group.create_task(endlessly("writing the condition Exchanging", self._write))

    async def _watch(self) -> None:
        selector = f"metadata.name={self._config.name}"
        async for event in self._kube.watch(PEERS, self._config.namespace, fields=selector):
            self._see(event)

    def _see(self, event: WatchEvent) -> None:
        try:
            peer = FederationPeer.model_validate(event.object)
        except ValidationError as error:
            log.warning("the own FederationPeer cannot be read: %s", describe_faults(error))
            return
        if event.type == "DELETED" or peer.metadata.uid != self._config.object_uid:
            self._peer = None  # another object of this name is not ours to write
            return
        self._peer = peer
        self._changed.set()
        self._listener.set_pulse(peer.spec.pulse)
        self._listener.set_explore(peer.spec.allow_peers_explore)
        self._tell_of_errors(peer.metadata.annotations)
        requested = peer.metadata.annotations.get(SYNC_REQUESTED, "")
        if requested != self._sync_requested:
            self._sync_requested = requested
            self._listener.request_sync()

    def _tell_of_errors(self, annotations: Mapping[str, str]) -> None:
        """Ignored keys until they are cleared once; a value that is there at the start clears nothing."""
        cleared, before = annotations.get(ERROR_LOG_CLEARED, ""), self._errors_cleared
        self._errors_cleared = cleared
        if before is None:
            if not cleared and (keys := annotations.get(IGNORED_KEYS, "")):
                self._listener.note_ignored_keys(keys)
        elif cleared != before:
            self._listener.clear_errors()

    async def _write(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            condition = self._difference()
            if condition is None:
                continue
            try:
                await self._kube.apply(PEERS, self._body(condition), manager=MANAGER, subresource="status")
            except ConflictError:
                log.info("the own FederationPeer is gone: nothing is reported any more")
                self._peer = None
            except KubeError:
                self._changed.set()
                raise

    def _difference(self) -> Condition | None:
        """The condition to write, or None when the object says it already."""
        peer, reported = self._peer, self._reported
        if peer is None or reported is None:
            return None
        wanted = Condition(
            type=CONDITION,
            status="True" if reported.is_so else "False",
            reason=reported.reason,
            message=reported.message,
            observed_generation=peer.metadata.generation,
        )
        found = find_condition(peer.status.conditions, CONDITION)
        now = datetime.now(UTC)
        stamped = find_condition(set_condition(peer.status.conditions, wanted, now), CONDITION)
        return None if stamped == found else stamped

    def _body(self, condition: Condition) -> JsonObject:
        # The uid, because applying to a name that has just gone would make the object anew.
        return {
            "metadata": {
                "name": self._config.name,
                "namespace": self._config.namespace,
                "uid": self._config.object_uid,
            },
            "status": {"conditions": [condition.to_json()]},
        }


async def endlessly(what: str, work: Callable[[], Awaitable[None]]) -> None:
    """Repeat `work` when it fails, with growing pauses."""
    failures = 0
    while True:
        started = asyncio.get_running_loop().time()
        try:
            await work()
        except Exception as error:  # no answer of the API server may end learning and answering
            if asyncio.get_running_loop().time() - started > _PAUSE_SECONDS[-1]:
                failures = 0
            pause = _PAUSE_SECONDS[min(failures, len(_PAUSE_SECONDS) - 1)]
            failures += 1
            trace = None if isinstance(error, KubeError) else error
            log.warning(
                "%s: %s: %s; again in %.0f s", what, type(error).__name__, error, pause, exc_info=trace
            )
            await asyncio.sleep(pause)
