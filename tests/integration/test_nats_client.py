"""What symfed's client of NATS does beside the library's: nothing overtakes, and who is cancelled ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from nats.aio.msg import Msg

from symfed_wire.nats_client import CautiousClient
from tests.integration.fake_nats import listening


class Server:
    """Answers PINGs and requests, and notes what it is told, command by command."""

    def __init__(self) -> None:
        self.told = list[bytes]()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            command, *arguments = line.split()
            self.told.append(command)
            if command == b"PING":
                writer.write(b"PONG\r\n")
            if command == b"PUB":
                await reader.readline()
                writer.write(b"MSG %s 1 2\r\nok\r\n" % arguments[1])


@asynccontextmanager
async def connected(client: CautiousClient) -> AsyncIterator[Server]:
    server = Server()
    async with listening(server.serve) as address:
        await client.connect(address)
        server.told.clear()
        yield server
        await client.close()


async def test_a_flush_comes_after_what_was_to_be_written() -> None:
    """Else a node's subscription could miss what another one says right after it was made."""
    client = CautiousClient()
    async with connected(client) as server:
        await client.subscribe("a")
        await client.subscribe("b")
        await client.flush()
        assert server.told == [b"SUB", b"SUB", b"PING"]


class CancelledByTheAnswer(CautiousClient):
    """Its caller is cancelled in the moment in which an answer comes."""

    caller: asyncio.Task[Msg]

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, header: bytes) -> None:
        await super()._process_msg(sid, subject, reply, data, header)
        self.caller.cancel()


async def test_a_request_that_is_cancelled_together_with_its_answer_ends() -> None:
    client = CancelledByTheAnswer()
    async with connected(client):
        client.caller = asyncio.create_task(client.request("question", timeout=5))
        with pytest.raises(asyncio.CancelledError):
            await client.caller
