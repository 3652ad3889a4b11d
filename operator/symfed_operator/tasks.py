"""Tasks that must end."""

import asyncio
from collections.abc import Iterable

AGAIN_SECONDS = 5.0


async def end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until all have ended; what they raise stays with them.

    Libraries drop a cancellation now and then, and a worker that goes on would work beside the next leader's.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN_SECONDS)
