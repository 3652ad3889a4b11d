"""Room in memory for large bodies: so many bytes at a time, and the others wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class LargeBodies:
    """Room for so many bytes, first come, first served."""

    def __init__(self, room_bytes: int) -> None:
        self._room = room_bytes
        self._free = room_bytes
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def held(self, size: int) -> AsyncIterator[None]:
        """Room for one body; waits for it as long as the caller lets it. A larger one takes all there is."""
        needed = min(size, self._room)
        async with self._turn:
            while self._free < needed:
                self._freed.clear()
                await self._freed.wait()
            self._free -= needed
        try:
            yield
        finally:
            self._free += needed
            self._freed.set()
