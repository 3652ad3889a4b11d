"""The WebSocket protocol of uvicorn, with memory that a client cannot fill."""

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class BoundedWebSocketProtocol(WebSocketsSansIOProtocol):
    """A client that pings and does not read gets no pongs: they would pile up here without limit."""

    def handle_ping(self) -> None:
        """Answer a ping, unless what was sent before still waits for the client to read."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()  # the pong; RFC 6455 (5.5.3) asks for one to the newest ping alone
