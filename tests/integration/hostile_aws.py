"""Something else than AWS at an address that a customer names, on loopback."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Answer = Callable[[socket.socket], None]

_PART = b"x" * (1 << 20)


def hangs(connection: socket.socket) -> None:
    """A byte of its answer now and then, for ever: no timeout of a read ends it."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        threading.Event().wait(0.05)
        connection.sendall(b"x")


def goes_on(connection: socket.socket) -> None:
    """An answer without end, as fast as it is read."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n")
    while True:
        connection.sendall(_PART)


def says(body: bytes, status: str = "200 OK") -> Answer:
    """One body for everything that is asked."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
    return lambda connection: connection.sendall(head + body)


@contextmanager
def hostile(answer: Answer) -> Iterator[str]:
    """Its address, while it answers so."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    open_now.append(connection)
                    threading.Thread(target=answer_one, args=(connection,), daemon=True).start()

        def answer_one(connection: socket.socket) -> None:
            with suppress(OSError), connection:
                connection.recv(1 << 16)
                answer(connection)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1 << 16):  # what is closed with a request unread is reset
                    pass

        open_now = list[socket.socket]()
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for connection in open_now:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
