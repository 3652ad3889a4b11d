"""When an exchange is due."""

import pytest

from symfed_node.exchange.schedule import (
    EVERYTHING_BUT_ASK,
    LOOK,
    Timetable,
    backoff_seconds,
    parse_schedule,
)
from symfed_wire.errors import MalformedError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("m1", 60), ("m30", 1800), ("h3", 10800), ("d7", 604800), ("d9999", 863913600)],
)
def test_schedules(text: str, seconds: int) -> None:
    assert parse_schedule(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "m0", "m01", "s5", "m10000", "1m", "m1 ", "M1", "h-1", "h1.5"])
def test_what_is_no_schedule(text: str) -> None:
    with pytest.raises(MalformedError, match="it must be m, h or d and a number from 1 to 9999"):
        parse_schedule(text)


def test_everything_is_due_at_the_start_and_then_in_its_turn() -> None:
    timetable = Timetable.starting(100.0, interval=60.0, poll=25.0)
    assert timetable.due(100.0) == EVERYTHING_BUT_ASK
    timetable = timetable.after(101.0, EVERYTHING_BUT_ASK)
    assert timetable.wait(101.0) == 25.0
    assert timetable.due(120.0) == frozenset()
    assert timetable.due(126.0) == LOOK
    timetable = timetable.after(126.0, LOOK)
    assert timetable.next_exchange == 161.0
    assert timetable.due(400.0) == EVERYTHING_BUT_ASK
    assert timetable.wait(400.0) == 0.0
    assert timetable.after(400.0, EVERYTHING_BUT_ASK).next_exchange == 460.0  # made up for once


def test_a_new_schedule_counts_from_now() -> None:
    timetable = Timetable.starting(0.0, interval=86400.0, poll=120.0).after(0.0, EVERYTHING_BUT_ASK)
    assert timetable.with_interval(10.0, 60.0).next_exchange == 70.0
    assert timetable.with_interval(10.0, 7 * 86400.0).next_exchange == 86400.0
    assert timetable.with_interval(10.0, 86400.0) is timetable


def test_pauses_grow_up_to_a_minute() -> None:
    assert [backoff_seconds(n) for n in (1, 2, 3, 6, 7, 10_000)] == [1, 2, 4, 32, 60, 60]
