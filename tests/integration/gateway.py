"""A gateway's process with signed callers; its operator and nodes are played by the tests."""

import base64
import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from symfed_wire.bodies import RequestLine, seal_body, seal_body_v2
from symfed_wire.invitation import open_invitation
from symfed_wire.signing import SignedRequest, content_md5, format_date, sign
from tests.integration.servers import ControlPlane, free_port, wait_until

GATEWAY = Path(sys.executable).parent / "symfed-gateway"
OWN_NATS = "nats://symfed-nats.symfed-system.svc:4222,nats://172.30.0.2:30422"
CREATE = {"fed_name": "iris", "sync_sched": "m30", "nats_hosts": "nats://172.30.0.2:30422"}
FEDERATION_KEY = base64.b64encode(bytes(range(16))).decode()
DOCUMENT_KEY = base64.b64encode(bytes(range(32))).decode()
JOIN = {
    "fed_name": "iris",
    "sync_sched": "m30",
    "fed_secret_key": FEDERATION_KEY,
    "fed_rest_url": "http://gateway.example.org/symetry/rest/c1/fedml/p1/createPolicies",
    "fed_req_token": "FEDTOKEN0123456789abcdef",
    "nats_hosts": "nats://172.30.0.2:30422",
}
UUID = "00000000-0000-4000-8000-000000000001"
OTHER_UUID = "00000000-0000-4000-8000-000000000002"
NONCE = "0123456789abcdef"


class NodeHandler(BaseHTTPRequestHandler):
    """A node that says what it was asked; /<namespace>/<name>/... is the node <name> of <namespace>."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer any verb alike."""
        nodes: Nodes = self.server.nodes  # type: ignore[attr-defined]  # set by Nodes
        _, namespace, name, rest = self.path.split("/", 3)
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        nodes.seen.append(
            {
                "call": f"{self.command} /{rest}",
                "name": name,
                "body": body.decode(),
                "request_id": self.headers.get("sym-request-id"),
                "nonce": self.headers.get("sym-nonce"),
            }
        )
        status, text, values = nodes.answer(namespace, name, token, f"/{rest}")
        self.send_response(status)
        if status == 202:
            self.send_header("Location", "/jobs/77")
            self.send_header("sym-job-id", "77")
        content = json.dumps({"statusCode": "X", "statusString": text, "values": values}).encode()
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_DELETE = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Not to the terminal."""


class Nodes:
    """All nodes behind one port."""

    def __init__(self) -> None:
        self.tokens: dict[tuple[str, str], str] = {}
        self.seen: list[dict[str, Any]] = []
        self.starting = 0
        self.stats: dict[str, Any] = {}
        self.may_answer = threading.Event()
        self.may_answer.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), NodeHandler)
        self._server.nodes = self  # type: ignore[attr-defined]  # for the handler
        self.url = f"http://127.0.0.1:{self._server.server_port}/{{namespace}}/{{name}}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, namespace: str, name: str, token: str, path: str) -> tuple[int, str, dict[str, Any]]:
        """What a node answers."""
        if token != self.tokens.get((namespace, name)):
            return 401, "Wrong token", {}
        if self.starting > 0:
            self.starting -= 1
            return 503, "Starting", {}
        self.may_answer.wait(30)
        if "/syncStats" in path:
            return 200, "OK", {"fedSyncStats": self.stats}
        if path == "/jobs":
            return 200, "OK", {"jobinfoList": [{"jobId": name}]}
        if path.endswith("/info"):
            return 200, "OK", {"smlInfo": {"pid": name}}
        return (202, "Job Created", {}) if "/build" in path else (200, f"learnt by {name}", {})

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Tenant:
    """A customer with its namespace; calls are signed as real clients sign them."""

    control_plane: ControlPlane
    url: str
    id: str
    namespace: str
    secret_key: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(16)).decode())

    def call(
        self,
        verb: str,
        path: str,
        query: str = "",
        *,
        sealed: dict[str, Any] | None = None,
        plain: str = "",
        nonce: str = "",
        request_id: str = "",
    ) -> httpx.Response:
        """A signed call; `sealed` is a map to encrypt, in the second form when there is a nonce."""
        full = f"/symetry/rest/{self.id}{path}"
        date = format_date(datetime.now(UTC))
        body = plain
        if sealed is not None and nonce:
            line = RequestLine(verb, full, query, date)
            body = seal_body_v2(json.dumps(sealed), self.secret_key, line)
        elif sealed is not None:
            body = seal_body(json.dumps(sealed), self.secret_key)
        md5 = content_md5(body.encode())
        signed = SignedRequest(verb, date, self.id, full, query, body, md5, nonce)
        headers = {"Authorization": sign(signed, self.secret_key), "sym-date": date, "Content-MD5": md5}
        headers |= {"sym-nonce": nonce} if nonce else {}
        headers |= {"sym-request-id": request_id} if request_id else {}
        url = f"{self.url}{full}" + (f"?{query}" if query else "")
        response = httpx.request(
            verb,
            url,
            content=body or None,
            headers=[(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
            timeout=30,
            trust_env=False,
        )
        answer = response.json()
        assert set(answer) == {"statusCode", "statusString", "values"}
        return response

    def create(self, pid: str = "p1", **changes: Any) -> httpx.Response:
        """`fedml/create`."""
        return self.call("POST", "/fedml/create", f"pid={pid}&persist=true", sealed=CREATE | changes)

    # --- the operator's part ---

    def api(
        self, verb: str, path: str, body: dict[str, Any] | None = None, kind: str = "json"
    ) -> httpx.Response:
        """A call of the API server with an administrator's rights."""
        with self.control_plane.client() as client:
            content_type = "application/merge-patch+json" if verb == "PATCH" else f"application/{kind}"
            return client.request(verb, path, json=body, headers={"Content-Type": content_type})

    def path(self, kind: str, name: str = "") -> str:
        """Path of an object or a collection of this namespace."""
        base = "/api/v1" if kind in ("secrets", "configmaps") else "/apis/symfed.dev/v1alpha1"
        return f"{base}/namespaces/{self.namespace}/{kind}" + (f"/{name}" if name else "")

    def object(self, kind: str, name: str) -> dict[str, Any]:
        """An object of this namespace; empty when it is not there."""
        answer = self.api("GET", self.path(kind, name))
        return {} if answer.status_code == 404 else dict(answer.raise_for_status().json())

    def has(self, kind: str, name: str) -> bool:
        """Whether an object of this namespace is there."""
        return bool(self.object(kind, name))

    def names(self, kind: str) -> list[str]:
        """Names of all objects of a kind."""
        return [item["metadata"]["name"] for item in self.api("GET", self.path(kind)).json()["items"]]

    def put_secret(self, name: str, data: dict[str, str]) -> None:
        """A Secret of the operator's."""
        self.api("DELETE", self.path("secrets", name))
        metadata = {"name": name, "namespace": self.namespace}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
        self.api("POST", self.path("secrets"), body).raise_for_status()

    def set_condition(
        self, kind: str, name: str, type_: str, status: str, reason: str, message: str = ""
    ) -> None:
        """A condition as the operator wrote it an hour ago."""
        condition = {"type": type_, "status": status, "reason": reason, "message": message}
        condition["lastTransitionTime"] = f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
        self.set_status(kind, name, conditions=[condition])

    def set_status(self, kind: str, name: str, **status: Any) -> None:
        """Part of an object's status."""
        self.api("PATCH", f"{self.path(kind, name)}/status", {"status": status}).raise_for_status()

    def make_federation_ready(self) -> None:
        """What the operator does once the federation's accounts are there."""
        self.put_secret("iris-federation", {"secretKey": FEDERATION_KEY, "documentKey": DOCUMENT_KEY})
        self.set_condition("federations", "iris", "Ready", "True", "Ready")

    def invitation(self) -> dict[str, Any]:
        """A new invitation of project p1, opened."""
        answer = self.call(
            "POST", "/fedml/p1/getEncrypted", sealed={"passwd": "passwd", "fed_rest_host": self.url}
        )
        assert answer.status_code == 200, answer.text
        return open_invitation(answer.json()["values"]["fedInfoEncrypted"], "passwd")

    def make_project(self, pid: str, nodes: Nodes) -> None:
        """A plain project with its node."""
        created = self.call("POST", "/projects", f"pid={pid}", plain="{}")
        assert created.status_code == 201, created.text
        self.give_node(pid, nodes)

    def give_node(self, pid: str, nodes: Nodes) -> None:
        """What the operator does once a peer's node is there."""
        self.put_secret(f"{pid}-token", {"token": pid})
        nodes.tokens[self.namespace, pid] = pid


NewTenant = Callable[..., Tenant]


@dataclass(frozen=True)
class RunningGateway:
    """The gateway's process, its address and log."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


@contextmanager
def started_gateway(
    control_plane: ControlPlane, nodes: Nodes, folder: Path, **changes: str
) -> Iterator[RunningGateway]:
    """The console script, with deadlines that a test can wait for."""
    listen = f"127.0.0.1:{free_port()}"
    environment = {
        "PATH": os.environ["PATH"],
        "KUBECONFIG": str(control_plane.kubeconfig),
        "SYMFED_LISTEN": listen,
        "SYMFED_NATS_HOSTS": OWN_NATS,
        "SYMFED_NATS_ADVERTISED_HOSTS": "nats://172.30.0.2:30422",
        "SYMFED_NODE_URL": nodes.url,
        "SYMFED_WAIT_SECONDS": "2",
        "SYMFED_VERDICT_SECONDS": "1",
        "SYMFED_GRANT_SECONDS": "0.5",
        **changes,
    }
    log = folder / "gateway.log"
    with log.open("wb") as file:
        process = subprocess.Popen([GATEWAY], env=environment, stdout=file, stderr=subprocess.STDOUT)
    try:
        wait_until(partial(is_ready, f"http://{listen}"), f"the gateway is not ready: {log.read_text()}")
        yield RunningGateway(f"http://{listen}", process, log)
    finally:
        process.terminate()
        process.wait(20)


def is_ready(url: str) -> bool:
    """Whether a gateway knows its customers."""
    try:
        return httpx.get(f"{url}/readyz", trust_env=False).is_success
    except httpx.TransportError:
        return False


def text_of(answer: httpx.Response) -> tuple[int, str]:
    """Status and text of an answer."""
    return answer.status_code, answer.json()["statusString"]
