"""Tasks end, also those that drop a cancellation."""

import asyncio

import pytest

from symfed_operator import tasks


async def drop(count: int) -> None:
    """Goes on after so many cancellations."""
    for _ in range(count):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue
    await asyncio.Event().wait()


async def fail() -> None:
    raise ValueError


async def test_all_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "AGAIN_SECONDS", 0.01)
    running = [asyncio.create_task(task) for task in (drop(0), drop(2), fail())]
    await asyncio.sleep(0)  # they begin
    async with asyncio.timeout(5):
        await tasks.end(running)
    assert [task.cancelled() for task in running] == [True, True, False]
    assert isinstance(running[2].exception(), ValueError)
