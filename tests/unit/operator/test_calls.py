"""Calls to other operators: repeated until they end, one for each key and purpose."""

import asyncio
from functools import partial

import pytest

from symfed_operator import calls as calls_module
from symfed_operator.calls import AT_ONCE, Calls
from symfed_operator.errors import AdminUnreachableError, InvitationRefusedError
from symfed_operator.queue import Key
from symfed_wire.errors import SymfedError

KEY = Key("peer", "n", "p")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_module, "FIRST_DELAY", 0.0)
    monkeypatch.setattr(calls_module, "LONGEST_DELAY", 0.0)


class Admin:
    """Fails with these errors, one a call, then agrees."""

    def __init__(self, *errors: SymfedError) -> None:
        self.errors = list(errors)
        self.asked = 0
        self.reminded: asyncio.Queue[Key] = asyncio.Queue()

    async def call(self) -> None:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)


async def test_repeated_until_it_ends_well() -> None:
    admin = Admin(AdminUnreachableError("away"), AdminUnreachableError("away"))
    calls = Calls(admin.reminded.put_nowait)
    calls.start(KEY, "join", admin.call)
    assert [await admin.reminded.get(), await admin.reminded.get()] == [KEY, KEY]
    verdict = calls.verdict(KEY, "join")
    assert verdict is not None
    assert (verdict.error, admin.asked) == (None, 3)
    calls.start(KEY, "join", admin.call)
    await calls.close()
    assert admin.asked == 3


async def test_refusal_is_final_until_it_is_forgotten() -> None:
    admin = Admin(InvitationRefusedError("no"))
    calls = Calls(admin.reminded.put_nowait)
    calls.start(KEY, "join", admin.call)
    await admin.reminded.get()
    calls.start(KEY, "join", admin.call)
    assert admin.asked == 1
    calls.forget(KEY, "join")
    assert calls.verdict(KEY, "join") is None
    calls.start(KEY, "join", admin.call)
    await admin.reminded.get()
    assert admin.asked == 2


async def test_purposes_are_apart() -> None:
    admin = Admin()
    calls = Calls(admin.reminded.put_nowait)
    calls.start(KEY, "join", admin.call)
    calls.start(KEY, "leave", admin.call)
    await admin.reminded.get()
    await admin.reminded.get()
    assert admin.asked == 2


async def test_slow_admins_of_one_namespace_delay_no_other() -> None:
    asked: list[Key] = []
    answer = asyncio.Event()

    async def ask_slowly(key: Key) -> None:
        asked.append(key)
        await answer.wait()

    admin = Admin()
    calls = Calls(admin.reminded.put_nowait)
    slow = [Key("peer", "slow", f"p{number}") for number in range(2 * AT_ONCE)]
    for key in slow:
        calls.start(key, "join", partial(ask_slowly, key))
    calls.start(KEY, "join", admin.call)
    assert await admin.reminded.get() == KEY
    assert asked == slow[:AT_ONCE]
    answer.set()
    assert {await admin.reminded.get() for _ in slow} == set(slow)


async def test_a_call_that_is_stopped_gives_its_turn_back() -> None:
    async def never_ends() -> None:
        await asyncio.Event().wait()

    admin = Admin()
    calls = Calls(admin.reminded.put_nowait)
    slow = [Key("peer", KEY.namespace, f"slow{number}") for number in range(AT_ONCE)]
    for key in slow:
        calls.start(key, "join", never_ends)
    calls.start(KEY, "join", admin.call)
    await asyncio.sleep(0)
    calls.forget(slow[0], "join")
    assert await admin.reminded.get() == KEY
    await calls.close()


async def test_a_call_that_breaks_says_so_and_is_repeated(caplog: pytest.LogCaptureFixture) -> None:
    said: list[str] = []

    async def breaks_once() -> None:
        if not said:
            raise ValueError("a bug")

    def remind(key: Key) -> None:
        verdict = calls.verdict(key, "join")
        said.append(str(verdict and verdict.error))
        reminded.put_nowait(key)

    reminded: asyncio.Queue[Key] = asyncio.Queue()
    calls = Calls(remind)
    calls.start(KEY, "join", breaks_once)
    assert [await reminded.get(), await reminded.get()] == [KEY, KEY]
    assert said == ["unexpected error, see the operator's log", "None"]
    assert "ValueError: a bug" in caplog.text


async def test_a_verdict_keeps_nothing_of_the_answer() -> None:
    reminded: asyncio.Queue[Key] = asyncio.Queue()

    async def call() -> None:
        try:
            raise ValueError("what came back")
        except ValueError as error:
            raise InvitationRefusedError("no") from error

    calls = Calls(reminded.put_nowait)
    calls.start(KEY, "join", call)
    await reminded.get()
    verdict = calls.verdict(KEY, "join")
    assert verdict is not None
    assert verdict.error is not None
    assert (verdict.error.__traceback__, verdict.error.__cause__, verdict.error.__context__) == (None,) * 3
