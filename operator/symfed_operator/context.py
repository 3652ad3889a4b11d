"""What every reconcile works with."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import httpx

from symfed_operator.backends.choice import Backends
from symfed_operator.calls import Calls
from symfed_operator.queue import Key
from symfed_operator.records import Records
from symfed_operator.settings import Settings
from symfed_wire.kube import Kube


class Reminders(Protocol):
    """Where a reconcile asks for another one."""

    def add(self, key: Key, after: float = 0.0) -> None:
        """Reconcile this key, at once or after some seconds."""
        ...


def utc_now() -> datetime:
    """The time of conditions and documents."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Context:
    """The ways out of a reconcile.

    `slot_locks`: one peer at a time takes a project and a slot in a namespace. `member_locks`: while a
    federation makes records for its members, none of them is let go, or its record would be nobody's.
    """

    settings: Settings
    kube: Kube
    backends: Backends
    records: Records
    queue: Reminders
    calls: Calls
    http: httpx.AsyncClient
    now: Callable[[], datetime] = utc_now
    slot_locks: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    member_locks: defaultdict[Key, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
