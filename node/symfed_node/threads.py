"""Blocking calls beside the event loop."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import TypeVar

Result = TypeVar("Result")


async def in_thread(function: Callable[[], Result]) -> Result:
    """What `function` gives or raises, in a thread of its own; cancelled, it leaves the thread to itself.

    The thread is a daemon: one that hangs in a long poll does not hold up the end of the process, as that of
    an executor would. Making one takes a tenth of a millisecond.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def work() -> None:
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - whoever waits is told
            outcome = partial(_fail, future, error)
        else:
            outcome = partial(_succeed, future, result)
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(outcome)

    Thread(target=work, daemon=True).start()
    return await future


def _succeed(future: "asyncio.Future[Result]", result: Result) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: "asyncio.Future[Result]", error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
