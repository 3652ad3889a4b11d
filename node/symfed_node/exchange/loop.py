"""When an exchange happens: on the schedule, when somebody asks, when a wake-up or the operator says so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import monotonic
from typing import Final

from symfed_node.exchange.base import Backend, RefusedError, Wake
from symfed_node.exchange.condition import PAUSED, REFUSED, REMOVED, Exchanging, after_exchange
from symfed_node.exchange.rounds import Rounds
from symfed_node.exchange.schedule import (
    EVERYTHING,
    EVERYTHING_BUT_ASK,
    LOOK,
    Task,
    Timetable,
    backoff_seconds,
    parse_schedule,
)
from symfed_node.federated import Federated
from symfed_node.project import Project
from symfed_wire.errors import SymfedError

log = logging.getLogger(__name__)

DEBOUNCE_SECONDS: Final = 0.1  # several wake-ups that come together are one look
AGAIN_SECONDS: Final = 1.0  # a wake-up may come before what it tells of can be read
_REFUSALS: Final = 2  # in a row, before the peer counts as removed

_AFTER_WAKE: Final = {
    Wake.DOCUMENT: LOOK,
    Wake.HEAD: frozenset({Task.READ}),
    Wake.ASK: frozenset({Task.PUBLISH}),
    Wake.CLOSED: LOOK,
}


class Exchanger:
    """Runs the rounds of one node for ever."""

    def __init__(
        self,
        project: Project,
        rounds: Rounds,
        backend: Backend,
        *,
        poll_seconds: float,
        report: Callable[[Exchanging], None],
    ) -> None:
        self._project = project
        self._backend = backend
        self._report = report
        self._poll = poll_seconds
        self._wanted = EVERYTHING_BUT_ASK
        self._event = asyncio.Event()
        self._again: asyncio.TimerHandle | None = None
        self._pulse = True
        self._refusals = 0
        self.rounds = rounds

    @property
    def is_pulsing(self) -> bool:
        """Whether it takes part in the schedule."""
        return self._pulse

    def request_sync(self) -> None:
        """Publish now, and ask the others to."""
        self._want(EVERYTHING)

    def set_pulse(self, pulse: bool) -> None:
        """Whether to take part; a change acts at once."""
        if pulse != self._pulse:
            self._pulse = pulse
            self._want(EVERYTHING_BUT_ASK)

    def set_explore(self, allow: bool) -> None:
        """Whether the others may explore this peer; a change is published at once."""
        if allow != self.rounds.allows_explore:
            self.rounds.allows_explore = allow
            self._want(frozenset({Task.PUBLISH}))

    def note_ignored_keys(self, keys: str) -> None:
        """Name keys that nobody knows in the error log."""
        self.rounds.log.error("keys", f"the map that made this project had keys that are not known: {keys}")

    def clear_errors(self) -> None:
        """Empty the error log."""
        self.rounds.log.clear_errors()

    async def run(self) -> None:
        """Exchange until cancelled. A failure is reported, and tried again with growing pauses."""
        timetable = Timetable.starting(monotonic(), self._interval(), self._poll)
        failures = 0
        try:
            while True:
                await self._wait(timetable.wait(monotonic()))
                tasks = self._take() | timetable.due(monotonic())
                try:
                    self._report(await self.once(tasks))
                    failures = 0
                except Exception as error:  # noqa: BLE001 - one bad round must not end learning and answering
                    failures += 1
                    self._want(tasks)
                    self._report(self._failed(error))
                    await asyncio.sleep(backoff_seconds(failures))
                    continue
                now = monotonic()
                timetable = timetable.with_interval(now, self._interval()).after(now, tasks)
        finally:
            await self._backend.close()

    async def once(self, tasks: frozenset[Task] = EVERYTHING_BUT_ASK) -> Exchanging:
        """One exchange; the condition after it. Raises what the backend raises."""
        rounds = self.rounds
        if not self._backend.is_open:
            await self._backend.open(self._wake)
            tasks |= LOOK  # what no wake-up could tell while there was no connection
        self._refusals = 0
        if Task.DOCUMENT in tasks and await rounds.update_document():
            tasks |= EVERYTHING_BUT_ASK
        if rounds.is_removed:
            return REMOVED
        if not self._pulse:
            return PAUSED
        try:
            if Task.READ in tasks:
                await rounds.read_members()
            if Task.PUBLISH in tasks or rounds.has_lost_own:
                await rounds.publish(self._project.local)
            if Task.ASK in tasks:
                await self._backend.ask()
        except Exception:
            await self._merge()  # what was read counts, and so does a removal, although the own part failed
            raise
        federated = await self._merge()
        rounds.log.well("exchange")
        return after_exchange(
            names=rounds.names,
            cannot_publish=rounds.cannot_publish,
            left_out=federated.left_out if federated else {},
            behind=rounds.behind,
            waiting_rows=rounds.waiting_rows,
            older_volume=rounds.older_volume,
            impaired=self._backend.impaired,
        )

    async def _merge(self) -> Federated | None:
        federated = await self.rounds.merge(self._project.federated)
        self._project.set_federated(federated)
        return federated

    def _failed(self, error: Exception) -> Exchanging:
        self._refusals = self._refusals + 1 if isinstance(error, RefusedError) else 0
        if isinstance(error, SymfedError):
            self.rounds.log.error("exchange", str(error))
        else:
            log.error("the exchange failed", exc_info=error)
            self.rounds.log.error("exchange", f"{type(error).__name__} (see the node's log)")
        if self.rounds.is_removed:
            return REMOVED
        if self._refusals >= _REFUSALS:
            return REFUSED
        reason = error.reason if isinstance(error, SymfedError) else "InternalError"
        text = str(error) if isinstance(error, SymfedError) else f"{type(error).__name__}: see the node's log"
        return Exchanging(False, reason, text)

    def _wake(self, wake: Wake) -> None:
        self._want(_AFTER_WAKE[wake])
        if wake in (Wake.DOCUMENT, Wake.HEAD):
            if self._again is not None:
                self._again.cancel()
            self._again = asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._want, LOOK)

    def _want(self, tasks: frozenset[Task]) -> None:
        self._wanted |= tasks
        self._event.set()

    def _take(self) -> frozenset[Task]:
        tasks, self._wanted = self._wanted, frozenset[Task]()
        self._event.clear()
        return tasks

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return
        await asyncio.sleep(DEBOUNCE_SECONDS)

    def _interval(self) -> float:
        return parse_schedule(self.rounds.document.settings.schedule)
