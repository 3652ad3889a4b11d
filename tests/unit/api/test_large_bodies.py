"""How many large bodies the gateway takes in at a time, and for how long it waits for one."""

import asyncio

import pytest

from symfed_api.large_bodies import LargeBodies


async def test_bodies_wait_while_others_are_held_first_come_first_served() -> None:
    bodies, order = LargeBodies(100), list[str]()
    release = asyncio.Event()

    async def one(name: str, size: int) -> None:
        async with bodies.held(size):
            order.append(name)
            if name == "first":
                await release.wait()

    async with asyncio.TaskGroup() as group:
        for name, size in (("first", 60), ("second", 80), ("third", 10)):
            group.create_task(one(name, size))
            await asyncio.sleep(0)
        assert order == ["first"]
        release.set()
    assert order == ["first", "second", "third"]


async def test_a_body_larger_than_all_there_is_comes_alone() -> None:
    bodies = LargeBodies(100)
    async with bodies.held(1000):
        pass
    async with bodies.held(100):
        pass


async def test_a_body_that_gave_up_waiting_takes_no_room() -> None:
    bodies = LargeBodies(100)
    async with bodies.held(100):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), bodies.held(100):
                pytest.fail("two at once")
    async with asyncio.timeout(1), bodies.held(100):
        pass


async def test_a_body_that_failed_makes_room() -> None:
    bodies = LargeBodies(100)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            async with bodies.held(100):
                raise RuntimeError
