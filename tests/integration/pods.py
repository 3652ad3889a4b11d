"""Runs the nodes of StatefulSets as processes where no kubelet is.

What a kubelet, the StatefulSet controller and a Service would do, and no more: mounted Secrets become
files, the pod's ServiceAccount a token, the volume a folder that outlives the process, readiness the
StatefulSet's status. The node itself, the API server and RBAC are the real ones.
"""

import base64
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

from symfed_wire.envelope import envelope
from tests.integration.servers import ControlPlane, free_port

LOOK_SECONDS = 0.2
NODE_PROGRAM = Path(sys.executable).parent / "symfed-node"


@dataclass
class Pod:
    """One node process: the pod of one StatefulSet."""

    namespace: str
    name: str
    generation: int
    folder: Path
    data: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Where the node listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What it printed."""
        return self.folder / "node.log"

    def is_ready(self) -> bool:
        """What the pod's readiness probe asks."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        """End the process as a deleted pod ends."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class PodRunner:
    """Keeps one node process running for each of the operator's StatefulSets."""

    def __init__(
        self, control_plane: ControlPlane, folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._control_plane = control_plane
        self._folder = folder
        self._environment = dict(environment or {})
        self._changes: dict[tuple[str, str], Mapping[str, str]] = {}
        self._unscheduled = set[tuple[str, str]]()
        self._looking = threading.Lock()
        self._pods: dict[tuple[str, str], Pod] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pods", daemon=True)
        self._faults: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join(30)
        for pod in self._pods.values():
            pod.process.terminate()
        for pod in self._pods.values():
            pod.stop()

    def find(self, namespace: str, name: str) -> Pod | None:
        """The pod of a FederationPeer, if it runs."""
        return self._pods.get((namespace, name))

    def volume(self, namespace: str, claim: str) -> Path:
        """The folder that stands for a claim's volume."""
        return self._folder / namespace / "volumes" / claim

    def kill(self, namespace: str, name: str) -> None:
        """Crash a node; it is started again, as a kubelet does it."""
        self._pods[namespace, name].process.kill()

    @contextmanager
    def without(self, namespace: str, name: str) -> Iterator[Pod]:
        """A node killed and not started again in the block; its pod as it was last."""
        with self._looking:
            self._unscheduled.add((namespace, name))
            pod = self._pods.pop((namespace, name))
            pod.process.kill()
            pod.process.wait()
        try:
            yield pod
        finally:
            self._unscheduled.discard((namespace, name))

    @contextmanager
    def changed(self, namespace: str, name: str, **environment: str) -> Iterator[None]:
        """A node killed and started again with more in its environment, and in the end as it was."""
        with self.without(namespace, name):
            self._changes[namespace, name] = environment
        try:
            yield
        finally:
            with self.without(namespace, name):
                del self._changes[namespace, name]

    def logs(self) -> str:
        """The last lines of every node, and what kept this from running them, for a test that failed."""
        nodes = [
            f"--- {namespace}/{name} ---\n" + "\n".join(pod.log.read_text().splitlines()[-40:])
            for (namespace, name), pod in self._pods.items()
        ]
        return "\n".join([*self._faults[-10:], *nodes])

    def _run(self) -> None:
        with self._control_plane.client() as client:
            while not self._ended.wait(LOOK_SECONDS):
                try:
                    with self._looking:
                        self._look(client)
                except (httpx.HTTPError, OSError) as error:  # an API server that restarts is asked again
                    self._faults.append(repr(error))

    def _look(self, client: httpx.Client) -> None:
        answer = client.get("/apis/apps/v1/statefulsets").raise_for_status()
        wanted = {
            (sts["metadata"]["namespace"], sts["metadata"]["name"]): sts
            for sts in answer.json()["items"]
            if "deletionTimestamp" not in sts["metadata"]
        }
        for key in [key for key in self._pods if key not in wanted]:
            self._pods.pop(key).stop()
        for key, sts in wanted.items():
            if key in self._unscheduled:
                continue
            pod = self._pods.get(key)
            if pod and (pod.process.poll() is not None or pod.generation != sts["metadata"]["generation"]):
                self._pods.pop(key).stop()
                pod = None
            if pod is None:
                self._pods[key] = pod = self._start(client, sts)
            self._report(client, sts, is_ready=pod.is_ready())

    def _start(self, client: httpx.Client, sts: dict[str, Any]) -> Pod:
        namespace, name = sts["metadata"]["namespace"], sts["metadata"]["name"]
        spec = sts["spec"]["template"]["spec"]
        folder = self._folder / namespace / name
        folder.mkdir(parents=True, exist_ok=True)
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        for volume in volumes.values():
            if "secret" in volume:
                target = folder / "aws" if volume["name"] == "aws" else folder
                _write_secret(client, namespace, volume["secret"]["secretName"], target)
        claims = [
            v["persistentVolumeClaim"]["claimName"] for v in volumes.values() if "persistentVolumeClaim" in v
        ]
        data = self.volume(namespace, claims[0] if claims else sts["metadata"]["uid"])
        data.mkdir(parents=True, exist_ok=True)
        kubeconfig = folder / "kubeconfig"
        account = spec["serviceAccountName"]
        self._control_plane.write_service_account_kubeconfig(kubeconfig, namespace, account)
        port = free_port()
        container = spec["containers"][0]
        environment = {entry["name"]: entry.get("value", "") for entry in container.get("env", [])}
        environment |= {
            "PATH": "/usr/bin:/bin",
            "KUBECONFIG": str(kubeconfig),
            "SYMFED_NODE_CONFIG": str(folder / "node.json"),
            "SYMFED_NODE_TOKEN": str(folder / "token"),
            "SYMFED_DATA": str(data),
            "SYMFED_LISTEN": f"127.0.0.1:{port}",
            **({"SYMFED_AWS_CREDENTIALS": str(folder / "aws")} if "aws" in volumes else {}),
            **self._environment,
            **self._changes.get((namespace, name), {}),
        }
        with (folder / "node.log").open("ab") as log:
            process = subprocess.Popen([NODE_PROGRAM], env=environment, stdout=log, stderr=subprocess.STDOUT)
        return Pod(namespace, name, sts["metadata"]["generation"], folder, data, port, process)

    def _report(self, client: httpx.Client, sts: dict[str, Any], *, is_ready: bool) -> None:
        generation = sts["metadata"]["generation"]
        status = {
            "observedGeneration": generation,
            "replicas": 1,
            "readyReplicas": int(is_ready),
            "availableReplicas": int(is_ready),
            "currentReplicas": 1,
            "updatedReplicas": 1,
        }
        old = sts.get("status", {})
        if all(old.get(field, 0) == value for field, value in status.items()):
            return
        path = (
            f"/apis/apps/v1/namespaces/{sts['metadata']['namespace']}/statefulsets/{sts['metadata']['name']}"
        )
        client.patch(
            f"{path}/status",
            json={"status": status},
            headers={"Content-Type": "application/merge-patch+json"},
        )


class ServiceProxy:
    """Stands for the Services: `http://127.0.0.1:PORT/NAMESPACE/NAME/…` reaches that peer's node."""

    def __init__(self, pods: PodRunner) -> None:
        self._pods = pods
        self._cuts = 0
        self.port = free_port()

    def cut_next(self) -> None:
        """The next answer of a node is broken off on its way back."""
        self._cuts += 1

    @property
    def url_template(self) -> str:
        """The gateway's setting SYMFED_NODE_URL."""
        return f"http://127.0.0.1:{self.port}/{{namespace}}/{{name}}"

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Forward one request (ASGI)."""
        if scope["type"] != "http":
            return
        _, namespace, name, path = scope["raw_path"].decode().split("/", 3)
        body = b""
        while (message := await receive()).get("more_body") or message.get("body"):
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        pod = self._pods.find(namespace, name)
        if pod is None:
            await _send(send, *_NO_ENDPOINT)
            return
        query = scope["query_string"].decode()
        headers = [(key, value) for key, value in scope["headers"] if key != b"host"]
        async with httpx.AsyncClient(base_url=pod.url, trust_env=False, timeout=60) as client:
            try:
                response = await client.request(
                    scope["method"],
                    f"/{path}" + (f"?{query}" if query else ""),
                    headers=headers,
                    content=body,
                )
            except httpx.ConnectError:  # a node that is starting: the Service has no endpoint yet
                await _send(send, *_NO_ENDPOINT)
                return
            except httpx.TransportError:
                await _break_off(send)
                return
        if self._cuts:
            self._cuts -= 1
            await _break_off(send)
            return
        kept = [(k, v) for k, v in response.headers.raw if k.lower() != b"content-length"]
        await _send(send, response.status_code, kept, response.content)


# Nothing listens there; a Service refuses the connection, which one address for all cannot do. So what a node
# says that does nothing yet: anything else would be a proxy's word, with which a call may have been done.
_NO_ENDPOINT = (503, [(b"retry-after", b"1")], envelope(503, "the node does not listen yet").to_json())


async def _send(send: Any, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _break_off(send: Any) -> None:
    """The server closes the connection under an answer that is not whole."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
    await send({"type": "http.response.body", "body": b"{", "more_body": True})


def _write_secret(client: httpx.Client, namespace: str, name: str, folder: Path) -> None:
    secret = client.get(f"/api/v1/namespaces/{namespace}/secrets/{name}").raise_for_status().json()
    folder.mkdir(exist_ok=True)
    for key, value in secret.get("data", {}).items():
        path = folder / key
        path.touch(mode=0o600)
        path.write_bytes(base64.b64decode(value))
