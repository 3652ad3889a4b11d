"""What happened in an exchange: counters and the last lines, for syncStats, getSyncLog and getErrorLog."""

import logging
from collections import deque
from datetime import UTC, datetime
from typing import Final

log = logging.getLogger(__name__)

KEPT_LINES: Final = 200
LONGEST_LINE: Final = 2000  # a member's snapshot may bring names without end


class SyncLog:
    """Since the node started. An error that repeats is written once."""

    def __init__(self) -> None:
        self.sent = 0
        self.received = 0
        self.receive_errors = 0
        self._events = deque[str](maxlen=KEPT_LINES)
        self._errors = deque[str](maxlen=KEPT_LINES)
        self._standing: dict[str, str] = {}

    @property
    def events(self) -> list[str]:
        """The last lines, oldest first."""
        return list(self._events)

    @property
    def errors(self) -> list[str]:
        """The last errors, oldest first."""
        return list(self._errors)

    def event(self, text: str) -> None:
        """Something that was done."""
        log.info("%s", text)
        self._events.append(f"{_now()} {text}")

    def error(self, about: str, text: str) -> bool:
        """Something that failed; whether that is news about `about`."""
        if len(text) > LONGEST_LINE:
            text = f"{text[:LONGEST_LINE]}…"
        if self._standing.get(about) == text:
            return False
        self._standing[about] = text
        log.warning("%s", text)
        self._errors.append(f"{_now()} {text}")
        return True

    def clear_errors(self) -> None:
        """Forget the errors; one that goes on is written again."""
        self._errors.clear()
        self._standing.clear()

    def well(self, about: str) -> None:
        """What failed works again."""
        self._standing.pop(about, None)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
