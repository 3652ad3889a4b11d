"""When an exchange is due. Pure: the clock is the caller's."""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, Self

from symfed_wire.errors import MalformedError
from symfed_wire.federation_map import SCHEDULE

_UNITS: Final = {"m": 60, "h": 3600, "d": 86400}


class Task(Enum):
    """The parts of an exchange."""

    DOCUMENT = "look for a newer federation document"
    READ = "read the members' snapshots"
    PUBLISH = "publish the own snapshot when it has changed"
    ASK = "ask the others to publish"


EVERYTHING_BUT_ASK: Final = frozenset({Task.DOCUMENT, Task.READ, Task.PUBLISH})
EVERYTHING: Final = frozenset(Task)
LOOK: Final = frozenset({Task.DOCUMENT, Task.READ})


def parse_schedule(text: str) -> int:
    """Seconds of a schedule such as `m30`, `h3`, `d7`. Raises MalformedError."""
    match = SCHEDULE.fullmatch(text)
    if match is None:
        raise MalformedError(f"schedule {text!r}: it must be m, h or d and a number from 1 to 9999")
    return _UNITS[match[1]] * int(match[2])


@dataclass(frozen=True)
class Timetable:
    """The next exchange and the next look for what no wake-up told of; all in seconds."""

    interval: float
    poll: float
    next_exchange: float
    next_poll: float

    @classmethod
    def starting(cls, now: float, interval: float, poll: float) -> Self:
        """A timetable on which everything is due at once."""
        return cls(interval, poll, next_exchange=now, next_poll=now)

    def wait(self, now: float) -> float:
        """How long until something is due."""
        return max(0.0, min(self.next_exchange, self.next_poll) - now)

    def due(self, now: float) -> frozenset[Task]:
        """What is due."""
        if now >= self.next_exchange:
            return EVERYTHING_BUT_ASK
        return LOOK if now >= self.next_poll else frozenset()

    def after(self, now: float, done: frozenset[Task]) -> Self:
        """The timetable once `done` is done; a missed exchange is made up for once, not several times."""
        next_exchange = now + self.interval if done >= EVERYTHING_BUT_ASK else self.next_exchange
        next_poll = now + self.poll if done >= LOOK else self.next_poll
        return replace(self, next_exchange=next_exchange, next_poll=next_poll)

    def with_interval(self, now: float, interval: float) -> Self:
        """The timetable under a new schedule, which counts from now."""
        if interval == self.interval:
            return self
        return replace(self, interval=interval, next_exchange=min(self.next_exchange, now + interval))


def backoff_seconds(failures: int) -> float:
    """How long to wait after so many failures in a row: 1, 2, 4, … at most 60."""
    return float(min(60, 2 ** min(failures - 1, 10)))
