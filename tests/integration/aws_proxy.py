"""A proxy before an AWS emulator that notes what is asked, and fails as AWS and networks do."""

import http.client
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.retries.standard import ExponentialBackoff

_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive", "date", "server"}
_HANG_SECONDS: Final = 30.0
_S3: Final = (
    ("POST", "uploads", "CreateMultipartUpload"),
    ("POST", "uploadId", "CompleteMultipartUpload"),
    ("PUT", "uploadId", "UploadPart"),
    ("DELETE", "uploadId", "AbortMultipartUpload"),
    ("POST", "delete", "DeleteObjects"),
    ("GET", "list-type", "ListObjectsV2"),
    ("GET", "", "GetObject"),
    ("HEAD", "", "HeadObject"),
    ("PUT", "", "PutObject"),
)


class Broken(Enum):
    """How a connection fails."""

    REFUSED = auto()
    """the connection is closed before the request goes on"""
    LOST = auto()
    """the request is done, and the answer is lost"""
    CUT = auto()
    """the answer breaks off in the middle"""
    SILENT = auto()
    """nothing comes, for longer than anybody waits"""


@dataclass(frozen=True)
class Refusal:
    """An answer of AWS."""

    status: int
    code: str
    message: str = "its words"


@dataclass(frozen=True)
class Asked:
    """One request, and what was answered."""

    operation: str
    path: str
    owner: str
    status: int
    sent: int
    received: int
    """bytes of the answer's body"""


@dataclass
class _Fault:
    operations: frozenset[str]
    what: Broken | Refusal
    times: int
    path: str = ""
    accepts: Callable[[Message], bool] = lambda headers: False


def shorten_pauses(patch: pytest.MonkeyPatch) -> None:
    """boto3 waits some seconds before it repeats a request; here it does not."""
    patch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0.05)


class AwsProxy:
    """Forwards to one emulator; faults stand until they have been used up, or are mended."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self._faults: list[_Fault] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.released = threading.Event()
        self.asked: list[Asked] = []
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def fail(self, what: Broken | Refusal, *operations: str, times: int = 10**9, path: str = "") -> None:
        """The next `times` requests of each operation, on paths that have `path` in them, fail like this."""
        with self._lock:
            self._faults.extend(_Fault(frozenset({name}), what, times, path) for name in operations)

    def accept_only(self, accepts: Callable[[Message], bool], refusal: Refusal) -> None:
        """Refuse whatever has not the right headers."""
        with self._lock:
            self._faults.append(_Fault(frozenset(), refusal, 10**9, "", accepts))

    def standing(self) -> set[str]:
        """The operations that have a fault before them."""
        with self._lock:
            return {name for fault in self._faults if fault.times > 0 for name in fault.operations}

    def mend(self) -> None:
        """All works again."""
        with self._lock:
            self._faults.clear()

    def count(self, *operations: str) -> int:
        """How often these were asked."""
        return sum(asked.operation in operations for asked in self.asked)

    def fault_of(self, operation: str, path: str, headers: Message) -> Broken | Refusal | None:
        """What befalls a request."""
        with self._lock:
            for fault in self._faults:
                is_meant = operation in fault.operations if fault.operations else not fault.accepts(headers)
                if is_meant and fault.times > 0 and fault.path in path:
                    fault.times -= 1
                    return fault.what
        return None

    def forward(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> http.client.HTTPResponse:
        """The emulator's answer."""
        connection = http.client.HTTPConnection(self._target.hostname or "", self._target.port, timeout=60)
        connection.request(method, path, body, headers)
        return connection.getresponse()

    @contextmanager
    def running(self) -> Iterator["AwsProxy"]:
        """Served in a thread until the block ends."""
        thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        thread.start()
        try:
            yield self
        finally:
            self.released.set()
            self._server.shutdown()
            self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(_Handler):
            def _proxy(self) -> AwsProxy:
                return proxy

        return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def _proxy(self) -> AwsProxy:
        raise NotImplementedError

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the proxy notes what is asked."""

    def do_GET(self) -> None:
        with suppress(ConnectionError):
            self._answer()

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - the names that http.server calls

    def _answer(self) -> None:
        proxy = self._proxy()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        operation = _operation(self.command, self.path, self.headers, body)
        fault = proxy.fault_of(operation, self.path, self.headers)
        if fault is Broken.REFUSED:
            return self._hang_up()
        if fault is Broken.SILENT:
            proxy.released.wait(_HANG_SECONDS)
            return self._hang_up()
        if isinstance(fault, Refusal):
            status, headers, data = fault.status, *_refuse(fault, self.headers, body)
        else:
            # The host is part of the signature, which the emulators do not check.
            answer = proxy.forward(self.command, self.path, dict(self.headers.items()), body)
            data = answer.read()
            status = answer.status
            headers = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP}
        owner = self.headers.get("x-amz-expected-bucket-owner", "")
        proxy.asked.append(Asked(operation, self.path, owner, status, len(body), len(data)))
        if fault is Broken.LOST:
            return self._hang_up()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if fault is Broken.CUT else data)
        if fault is Broken.CUT:
            self._hang_up()
        return None

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)


def _operation(method: str, path: str, headers: Message, body: bytes) -> str:
    """As AWS names it."""
    if target := headers.get("X-Amz-Target"):
        return target.rpartition(".")[2]
    if action := parse_qs(body.decode(errors="replace")).get("Action"):
        return action[0]
    query = urlsplit(path).query
    return next(
        (name for verb, word, name in _S3 if verb == method and re.search(rf"(^|&){word}", query)), "unknown"
    )


def _refuse(refusal: Refusal, headers: Message, body: bytes) -> tuple[dict[str, str], bytes]:
    """The answer in the form of its service."""
    if headers.get("X-Amz-Target"):
        told = {"__type": f"com.amazonaws.sqs#{refusal.code}", "message": refusal.message}
        return {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(told).encode()
    error = f"<Error><Code>{refusal.code}</Code><Message>{refusal.message}</Message></Error>"
    is_sns = b"Action=" in body[:4096]
    xml = f"<ErrorResponse>{error}</ErrorResponse>" if is_sns else error
    return {"Content-Type": "application/xml"}, xml.encode()
