"""Calls to other operators: tasks beside the workers, so that joins cannot starve reconciles."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from symfed_operator.errors import AwaitingAdminError, CallBrokenError, InvitationRefusedError
from symfed_operator.queue import Key, jitter
from symfed_wire.errors import SymfedError

FIRST_DELAY = 1.0
LONGEST_DELAY = 60.0
AT_ONCE = 4  # attempts of one namespace

Purpose = Literal["join", "leave"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Verdict:
    """How the last attempt ended; `error` is None when it ended well."""

    error: SymfedError | None

    @property
    def is_final(self) -> bool:
        """No further attempt is made."""
        return self.error is None or isinstance(self.error, InvitationRefusedError)


class Calls:
    """At most one call a key and purpose, repeated with growing pauses until it ends well or is refused.

    A namespace has a few attempts at once, so that admins who answer slowly delay nobody else's peers.
    `remind` is called with the key after each attempt that says something new.
    """

    def __init__(self, remind: Callable[[Key], None]) -> None:
        self._remind = remind
        self._tasks: dict[tuple[Key, Purpose], asyncio.Task[None]] = {}
        self._verdicts: dict[tuple[Key, Purpose], Verdict] = {}
        self._turns: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))

    def start(self, key: Key, purpose: Purpose, call: Callable[[], Awaitable[None]]) -> None:
        """Begin, unless it is under way or has ended."""
        name = (key, purpose)
        if name not in self._tasks:
            self._tasks[name] = asyncio.create_task(self._repeat(key, purpose, call))

    def verdict(self, key: Key, purpose: Purpose) -> Verdict | None:
        """How the last attempt ended; None before the first one has."""
        return self._verdicts.get((key, purpose))

    def forget(self, key: Key, purpose: Purpose) -> None:
        """Stop the call and forget how it went."""
        self._verdicts.pop((key, purpose), None)
        task = self._tasks.pop((key, purpose), None)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Stop all calls."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _repeat(self, key: Key, purpose: Purpose, call: Callable[[], Awaitable[None]]) -> None:
        delay = FIRST_DELAY
        while True:
            async with self._turns[key.namespace]:
                verdict = await _attempt(call, f"{key}: {purpose}")
            before = self._verdicts.get((key, purpose))
            self._verdicts[key, purpose] = verdict
            if before is None or verdict.is_final or str(before.error) != str(verdict.error):
                self._remind(key)
            if verdict.is_final:
                return
            _log.info("%s: %s: %s; again in %.0f s", key, purpose, verdict.error, delay)
            wanted = verdict.error.retry_after if isinstance(verdict.error, AwaitingAdminError) else 0.0
            await asyncio.sleep(min(max(delay, wanted), LONGEST_DELAY) * jitter())
            delay = min(delay * 2, LONGEST_DELAY)


async def _attempt(call: Callable[[], Awaitable[None]], what: str) -> Verdict:
    try:
        await call()
    except SymfedError as error:
        # The verdict is kept for long; its frames and causes would keep the admin's whole answer with it.
        error.__cause__ = error.__context__ = None
        return Verdict(error.with_traceback(None))
    except Exception:  # noqa: BLE001 - who waits for a verdict would wait for ever
        _log.exception("%s: unexpected error", what)
        return Verdict(CallBrokenError("unexpected error, see the operator's log"))
    return Verdict(None)
