"""The work queue on a clock of the test's own."""

import asyncio
import itertools

from symfed_operator.queue import FIRST_DELAY, LONGEST_DELAY, Key, Schedule, WorkQueue

A, B = Key("peer", "n", "a"), Key("peer", "n", "b")


def _schedule() -> Schedule:
    return Schedule(2, factor=lambda: 1.0)


def test_a_key_waits_once_and_the_one_due_longest_comes_first() -> None:
    schedule = _schedule()
    schedule.add(B, 2)
    schedule.add(A, 1)
    schedule.add(A, 3)
    assert [schedule.take(3), schedule.take(3), schedule.take(3)] == [A, B, None]


def test_a_namespace_has_a_part_of_the_workers() -> None:
    """Its objects may all wait for a server that it names itself and that does not answer."""
    schedule = _schedule()
    slow, more, other = Key("peer", "n", "c"), Key("federation", "n", "d"), Key("peer", "m", "a")
    for due, key in enumerate((A, B, slow, more, other)):
        schedule.add(key, due)
    assert [schedule.take(9), schedule.take(9), schedule.take(9), schedule.take(9)] == [A, B, other, None]
    assert schedule.next_due() is None
    schedule.succeeded(A, 9, again_after=None)
    assert schedule.next_due() == 2
    assert [schedule.take(9), schedule.take(9)] == [slow, None]


def test_nothing_is_taken_before_it_is_due() -> None:
    schedule = _schedule()
    schedule.add(A, 5)
    assert schedule.take(4.9) is None
    assert schedule.next_due() == 5
    assert schedule.take(5) == A
    assert schedule.next_due() is None


def test_a_key_is_in_one_worker_and_runs_again_when_added_meanwhile() -> None:
    schedule = _schedule()
    schedule.add(A, 0)
    assert schedule.take(0) == A
    schedule.add(A, 1)
    assert schedule.take(1) is None
    schedule.succeeded(A, 2, again_after=120)
    assert schedule.take(2) == A


def test_drift_timer_is_the_queues() -> None:
    schedule = _schedule()
    schedule.add(A, 0)
    schedule.take(0)
    schedule.succeeded(A, 10, again_after=120)
    assert schedule.next_due() == 130
    schedule.take(130)
    schedule.succeeded(A, 131, again_after=None)
    assert schedule.next_due() is None


def test_back_off_grows_per_key_is_capped_and_never_ends() -> None:
    schedule = _schedule()
    now, delays = 0.0, []
    schedule.add(A, 0)
    for _ in range(1200):
        assert schedule.take(now) == A
        delays.append(schedule.failed(A, now))
        now += delays[-1]
    assert delays[:4] == [FIRST_DELAY * 2**n for n in range(4)]
    assert delays[-1] == LONGEST_DELAY
    schedule.add(B, now)
    assert schedule.take(now) in (A, B)


def test_success_ends_the_back_off() -> None:
    schedule = _schedule()
    for now in (0.0, 10.0):
        schedule.add(A, now)
        schedule.take(now)
        schedule.failed(A, now)
    schedule.take(100)
    schedule.succeeded(A, 100, None)
    schedule.add(A, 200)
    schedule.take(200)
    assert schedule.failed(A, 200) == FIRST_DELAY


def test_an_event_ends_the_wait_of_a_failed_key() -> None:
    schedule = _schedule()
    schedule.add(A, 0)
    schedule.take(0)
    schedule.failed(A, 0)
    schedule.add(A, 0.1)
    assert schedule.take(0.1) == A


def test_a_worker_without_progress_is_named() -> None:
    schedule = _schedule()
    schedule.add(A, 0)
    schedule.take(0)
    assert schedule.running_longer_than(300, 299) == []
    assert schedule.running_longer_than(300, 301) == [A]
    schedule.succeeded(A, 302, None)
    assert schedule.running_longer_than(300, 900) == []


async def test_workers_share_the_keys_and_wait_for_more() -> None:
    queue = WorkQueue(2)
    taken: list[Key] = []
    keys = [Key("peer", "n", str(number)) for number in range(20)]
    done = asyncio.Event()

    async def worker() -> None:
        while True:
            key = await queue.get()
            taken.append(key)
            if len(taken) == len(keys):
                done.set()
            queue.succeeded(key, None)

    workers = [asyncio.create_task(worker()) for _ in range(3)]
    await asyncio.sleep(0)  # all three wait for something to do
    for key in itertools.chain(keys, keys):
        queue.add(key)
    async with asyncio.timeout(5):
        await done.wait()
    for task in workers:
        task.cancel()
    assert sorted(taken, key=str) == sorted(keys, key=str)
