"""Something that takes connections as a NATS server does, on loopback; a test says what it does with them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

GREETING: Final = b'INFO {"server_id":"x","version":"2.14.9","max_payload":1048576,"headers":true} \r\n'

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve, greeting: bytes = GREETING) -> AsyncIterator[str]:
    """Its address. Each connection is greeted, served, and ended."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        try:
            await serve(reader, writer)
        except ConnectionError:
            pass  # the client has ended it
        finally:
            writer.close()

    async with await asyncio.start_server(take, "127.0.0.1") as server:
        yield f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
