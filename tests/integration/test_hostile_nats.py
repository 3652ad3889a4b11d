"""A server that never ends, or who answers in its place: it costs an operator neither memory nor a worker."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from symfed_operator.backends.base import BackendError, UnreachableError
from symfed_operator.backends.nats import external
from symfed_operator.backends.nats.external import SharedAccount
from symfed_operator.backends.nats.external_backend import ExternalNatsBackend
from symfed_wire.documents import Signed
from symfed_wire.node_config import NatsLogin
from tests.integration.external_federation import ExternalFederation
from tests.integration.fake_nats import Serve, listening
from tests.integration.memory import memory_below

WANTED = ExternalFederation(None, ()).wanted  # type: ignore[arg-type]  # its server is not used
STATE = {"messages": 0, "bytes": 0, "first_seq": 0, "last_seq": 0, "consumer_count": 0}


@asynccontextmanager
async def hostile(answer: Serve) -> AsyncIterator[ExternalNatsBackend]:
    """A server that lets everybody in, and then does what it likes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while b"PING" not in await reader.readline():
            pass
        writer.write(b"PONG\r\n")
        await answer(reader, writer)

    async with listening(serve) as address:
        yield ExternalNatsBackend(SharedAccount((address,), NatsLogin(), "Secret nats"))


@pytest.mark.parametrize("start", [b"MSG x 1 9999999999999\r\n", b"INFO {", b"-ERR '", b"nonsense"])
async def test_a_message_without_end_is_not_kept(monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
    monkeypatch.setattr(external, "REQUEST_SECONDS", 1.0)

    async def send(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while True:
            writer.write(b"x" * (1 << 20))
            await writer.drain()

    started = time.monotonic()
    async with hostile(send) as backend:
        with memory_below(100 << 20), pytest.raises(UnreachableError):
            await backend.apply(WANTED)
    assert time.monotonic() - started < 4


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
