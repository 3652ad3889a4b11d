"""What a WebSocket's client can pile up in the gateway without reading."""

import asyncio
from typing import Any

import uvicorn
from fastapi import FastAPI, WebSocket
from uvicorn.server import ServerState

from symfed_api.ws_protocol import BoundedWebSocketProtocol

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
PING = b"\x89\x82\0\0\0\0hi"
PONG = b"\x8a\x02hi"


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def get_extra_info(self, _: str, default: Any = None) -> Any:
        """Nothing is known of the peer."""
        return default

    def write(self, data: Any) -> None:
        """Keep it."""
        self.written += bytes(data)

    def is_closing(self) -> bool:
        """It stays open."""
        return False

    def close(self) -> None:
        """It stays open."""


async def test_pings_of_a_client_that_does_not_read_get_no_pongs() -> None:
    app, accepted = FastAPI(), asyncio.Event()

    @app.websocket("/ws")
    async def wait(websocket: WebSocket) -> None:
        await websocket.accept()
        accepted.set()
        await websocket.receive()

    state, transport = ServerState(), Transport()
    protocol = BoundedWebSocketProtocol(uvicorn.Config(app, log_config=None), state, {})
    protocol.connection_made(transport)
    protocol.data_received(HANDSHAKE)
    await asyncio.wait_for(accepted.wait(), 10)
    protocol.data_received(PING)
    assert transport.written.endswith(PONG)

    before = transport.written
    protocol.pause_writing()
    protocol.data_received(PING * 100)
    assert transport.written == before
    protocol.resume_writing()
    assert transport.written == before
    protocol.data_received(PING)
    assert transport.written == before + PONG

    protocol.connection_lost(None)
    await asyncio.gather(*state.tasks)
