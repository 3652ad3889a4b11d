"""A server that never ends, or who answers in its place: it costs an operator neither memory nor a worker."""

import asyncio
import json
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from symfed_operator.backends.base import BackendError, UnreachableError
from symfed_operator.backends.nats import external
from symfed_operator.backends.nats.external import SharedAccount
from symfed_operator.backends.nats.external_backend import ExternalNatsBackend
from symfed_wire.documents import Signed
from symfed_wire.node_config import NatsLogin
from tests.integration.external_federation import ExternalFederation

INFO = b'INFO {"server_id":"x","version":"2.14.9","max_payload":1048576,"headers":true} \r\n'
WANTED = ExternalFederation(None, ()).wanted  # type: ignore[arg-type]  # its server is not used
STATE = {"messages": 0, "bytes": 0, "first_seq": 0, "last_seq": 0, "consumer_count": 0}

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def hostile(answer: Answer) -> AsyncIterator[ExternalNatsBackend]:
    """A server that lets everybody in, and then does what it likes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(INFO)
        try:
            while b"PING" not in await reader.readline():
                pass
            writer.write(b"PONG\r\n")
            await answer(reader, writer)
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    address = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield ExternalNatsBackend(SharedAccount((address,), NatsLogin(), "Secret nats"))
    finally:
        server.close()


@pytest.mark.parametrize("start", [b"MSG x 1 9999999999999\r\n", b"INFO {", b"-ERR '", b"nonsense"])
async def test_a_message_without_end_is_not_kept(monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
    monkeypatch.setattr(external, "REQUEST_SECONDS", 1.0)

    async def send(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while True:
            writer.write(b"x" * (1 << 20))
            await writer.drain()

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    async with hostile(send) as backend:
        with pytest.raises(UnreachableError):
            await backend.apply(WANTED)
    assert time.monotonic() - started < 4
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100 << 10  # KiB


async def answer_each(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Callable[[bytes], bytes]
) -> None:
    """Answers each request to JetStream by what it asks."""
    while line := await reader.readline():
        if not line.startswith(b"PUB $JS.API."):
            continue
        _, _, reply, size = line.split()
        text = answer(await reader.readexactly(int(size)))
        writer.write(b"MSG %s 1 %d\r\n%s\r\n" % (reply, len(text), text))


async def list_for_ever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One stream after the other, and none of them the last."""

    def page_of(request: bytes) -> bytes:
        asked = json.loads(request)
        page = {
            "type": "io.nats.jetstream.api.v1.stream_list_response",
            "total": 1 << 30,
            "offset": asked["offset"],
            "limit": 1,
            "streams": [
                {"config": {"name": f"s{asked['offset']}"}, "state": STATE, "created": "2026-01-01T00:00:00Z"}
            ],
        }
        return json.dumps(page).encode()

    await answer_each(reader, writer, page_of)


@pytest.mark.parametrize("text", [b"{}", b"nonsense", b"[]", b'{"config": 1}', b'{"config":{},"state":{}}'])
async def test_an_answer_that_is_none_of_jetstream(text: bytes) -> None:
    async with hostile(lambda reader, writer: answer_each(reader, writer, lambda _: text)) as backend:
        with pytest.raises(BackendError, match="the answer is none of JetStream's"):
            await backend.apply(WANTED)
        with pytest.raises(BackendError, match="the answer is none of JetStream's"):
            await backend.publish_document(WANTED, Signed(payload="", key="", sig=""))


async def test_a_list_of_streams_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    # Many, since a server that answers fast must not win when the end comes together with an answer.
    for seconds in [0.02 + 0.0003 * part for part in range(60)]:
        monkeypatch.setattr(external, "ALL_SECONDS", seconds)
        async with hostile(list_for_ever) as backend, asyncio.timeout(5):
            with pytest.raises(UnreachableError, match=f"not all was answered within {seconds:g} s"):
                await backend.delete(WANTED)
