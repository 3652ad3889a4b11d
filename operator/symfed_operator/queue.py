"""One work queue for all kinds: a key waits once, and is in one worker at a time.

`Schedule` decides and takes the time as an argument; `WorkQueue` adds waiting.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from symfed_wire.resources import FederationPeer, ObjectMeta

FIRST_DELAY = 0.5
LONGEST_DELAY = 120.0
_JITTER = 0.1


@dataclass(frozen=True)
class Key:
    """One thing to reconcile; a customer is a namespace, and its name is that namespace's."""

    kind: Literal["federation", "peer", "customer"]
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def customer_key(namespace: str) -> Key:
    """The key of a customer's namespace."""
    return Key("customer", namespace, namespace)


def peer_key(meta: ObjectMeta) -> Key:
    """The key of a FederationPeer."""
    return Key("peer", meta.namespace, meta.name)


def federation_key(peer: FederationPeer) -> Key | None:
    """The key of the Federation in its namespace that a peer belongs to."""
    reference = peer.spec.federation_ref
    return Key("federation", peer.metadata.namespace, reference.name) if reference else None


def jitter() -> float:
    """A factor that keeps objects of one moment from coming back at one moment."""
    return random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - spreads load, guards nothing


class Schedule:
    """When each key is due. A key that is added while it runs is run again afterwards.

    At most `at_once` keys of a namespace run at a time, so that what is slow there delays nobody else.
    """

    def __init__(self, at_once: int, factor: Callable[[], float] = jitter) -> None:
        self._at_once = at_once
        self._factor = factor
        self._due: dict[Key, float] = {}
        self._running: dict[Key, float] = {}
        self._failures: dict[Key, int] = {}

    def add(self, key: Key, due: float) -> None:
        """The key is due then, or earlier if it was."""
        self._due[key] = min(due, self._due.get(key, due))

    def take(self, now: float) -> Key | None:
        """The key that is due longest, which runs from now on; None when there is none."""
        waiting = self._waiting()
        key = min(waiting, key=waiting.__getitem__, default=None)
        if key is None or waiting[key] > now:
            return None
        del self._due[key]
        self._running[key] = now
        return key

    def next_due(self) -> float | None:
        """When there is something to take; None when never."""
        return min(self._waiting().values(), default=None)

    def succeeded(self, key: Key, now: float, again_after: float | None) -> None:
        """The key's run ended well; it is due again after that time, give or take 10 %."""
        self._failures.pop(key, None)
        del self._running[key]
        if again_after is not None:
            self.add(key, now + again_after * self._factor())

    def failed(self, key: Key, now: float) -> float:
        """The key's run failed: exponential back-off, capped, for ever. Returns the delay."""
        count = self._failures[key] = self._failures.get(key, 0) + 1
        # The exponent is bounded: 2**1100 is no float, and a key may fail for weeks.
        delay = min(FIRST_DELAY * 2.0 ** min(count - 1, 30), LONGEST_DELAY) * self._factor()
        del self._running[key]
        self.add(key, now + delay)
        return delay

    def running_longer_than(self, seconds: float, now: float) -> list[Key]:
        """Keys whose run makes no progress."""
        return [key for key, start in self._running.items() if now - start > seconds]

    def _waiting(self) -> dict[Key, float]:
        running = Counter(key.namespace for key in self._running)
        return {
            key: due
            for key, due in self._due.items()
            if key not in self._running and running[key.namespace] < self._at_once
        }


class WorkQueue:
    """A `Schedule` on the clock of the running event loop; `at_once`: see there."""

    def __init__(self, at_once: int) -> None:
        self._schedule = Schedule(at_once)
        self._changed = asyncio.Event()

    def add(self, key: Key, after: float = 0.0) -> None:
        """Reconcile this key, at once or after some seconds."""
        self._schedule.add(key, _now() + after)
        self._changed.set()

    async def get(self) -> Key:
        """Wait for the next key; it must be given back by `succeeded` or `failed`."""
        while True:
            self._changed.clear()
            key = self._schedule.take(_now())
            if key is not None:
                return key
            due = self._schedule.next_due()
            try:
                async with asyncio.timeout_at(due):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def succeeded(self, key: Key, again_after: float | None) -> None:
        """The run ended well."""
        self._schedule.succeeded(key, _now(), again_after)
        self._changed.set()

    def failed(self, key: Key) -> float:
        """The run failed. Returns the seconds until the next one."""
        delay = self._schedule.failed(key, _now())
        self._changed.set()
        return delay

    def running_longer_than(self, seconds: float) -> list[Key]:
        """Keys whose run makes no progress."""
        return self._schedule.running_longer_than(seconds, _now())


def _now() -> float:
    return asyncio.get_running_loop().time()
