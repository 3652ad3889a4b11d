"""All parts as processes on one machine: API server, NATS, operator, gateway, nodes, two customers."""

import base64
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn
from examples.demo.flow import Customer, Surroundings

from tests.integration.pods import PodRunner, ServiceProxy
from tests.integration.servers import ControlPlane, NatsServer, free_port, wait_until

PROGRAMS = Path(sys.executable).parent
SYSTEM = "symfed-system"


@dataclass(frozen=True)
class Line:
    """What a test needs to use the parts, and to look at them when it fails."""

    control_plane: ControlPlane
    pods: PodRunner
    surroundings: Surroundings
    folder: Path

    def logs(self) -> str:
        """The last lines of every part."""
        tails = [
            f"--- {log.stem} ---\n" + "\n".join(log.read_text().splitlines()[-60:])
            for log in sorted(self.folder.glob("*.log"))
        ]
        return "\n".join([*tails, self.pods.logs()])


@contextmanager
def started_line(folder: Path) -> Iterator[Line]:
    """Start everything, and stop it in the end."""
    with ExitStack() as stack:
        control_plane = stack.enter_context(ControlPlane(folder / "kubernetes"))
        control_plane.apply_crds()
        _make_namespace(control_plane, SYSTEM, {})
        nats = stack.enter_context(_nats(control_plane, folder))
        pods = stack.enter_context(PodRunner(control_plane, folder / "pods"))
        proxy = ServiceProxy(pods)
        stack.enter_context(_served(proxy))
        url = f"http://127.0.0.1:{(gateway_port := free_port())}"
        customers = (_make_customer(control_plane, "c1"), _make_customer(control_plane, "c2"))
        stack.enter_context(
            _part("symfed-operator", ["run"], folder, _operator_environment(control_plane, nats, folder, url))
        )
        stack.enter_context(
            _part(
                "symfed-gateway",
                [],
                folder,
                _gateway_environment(control_plane, nats, proxy, gateway_port, url),
            )
        )
        wait_until(lambda: _is_ready(url), f"the gateway at {url} is not ready")
        yield Line(control_plane, pods, Surroundings(url, nats.url, customers), folder)


def _operator_environment(
    control_plane: ControlPlane, nats: NatsServer, folder: Path, url: str
) -> dict[str, str]:
    return {
        "KUBECONFIG": str(control_plane.kubeconfig),
        "SYMFED_NAMESPACE": SYSTEM,
        "SYMFED_NATS_INTERNAL_HOSTS": nats.url,
        "SYMFED_NATS_ADVERTISED_HOSTS": nats.url,
        "SYMFED_NATS_OPERATOR_FILE": str(folder / "symfed-nats-operator" / "signing-seed"),
        "SYMFED_NATS_SYSTEM_CREDS": str(folder / "symfed-nats-system" / "user.creds"),
        "SYMFED_NODE_IMAGE": "symfed-node:test",
        "SYMFED_GATEWAY_SERVICE_ACCOUNT": f"{SYSTEM}/symfed-gateway",
        "SYMFED_GATEWAY_EXTERNAL_URL": url,
        "SYMFED_HEALTH_LISTEN": f"127.0.0.1:{free_port()}",
    }


def _gateway_environment(
    control_plane: ControlPlane, nats: NatsServer, proxy: ServiceProxy, port: int, url: str
) -> dict[str, str]:
    return {
        "KUBECONFIG": str(control_plane.kubeconfig),
        "SYMFED_LISTEN": f"127.0.0.1:{port}",
        "SYMFED_NATS_HOSTS": nats.url,
        "SYMFED_NODE_URL": proxy.url_template,
        "SYMFED_EXTERNAL_URL": url,
    }


def _nats(control_plane: ControlPlane, folder: Path) -> NatsServer:
    """A NATS server whose operator keys were made in the cluster, as the chart's hook does it."""
    subprocess.run(
        [PROGRAMS / "symfed-operator", "bootstrap-nats"],
        env={
            **os.environ,
            "KUBECONFIG": str(control_plane.kubeconfig),
            "SYMFED_NAMESPACE": SYSTEM,
            "SYMFED_NATS_DATA": str(folder / "nats-data"),
        },
        check=True,
    )
    with control_plane.client() as client:
        for name in ("symfed-nats-operator", "symfed-nats-system", "symfed-nats-config"):
            secret = client.get(f"/api/v1/namespaces/{SYSTEM}/secrets/{name}").raise_for_status().json()
            (folder / name).mkdir()
            for key, value in secret["data"].items():
                (folder / name / key).write_bytes(base64.b64decode(value))
    return NatsServer(folder / "symfed-nats-config" / "nats.conf", folder / "nats")


def _make_namespace(control_plane: ControlPlane, name: str, labels: dict[str, str]) -> None:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    control_plane.apply(body, f"/api/v1/namespaces/{name}")


def _make_customer(control_plane: ControlPlane, customer: str) -> Customer:
    namespace = f"customer-{customer}"
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    _make_namespace(control_plane, namespace, {"symfed.dev/customer": customer})
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "symfed-customer"},
        "stringData": {"secretKey": key},
    }
    control_plane.apply(body, f"/api/v1/namespaces/{namespace}/secrets/symfed-customer")
    return Customer(customer, key)


@contextmanager
def _part(program: str, arguments: list[str], folder: Path, environment: dict[str, str]) -> Iterator[None]:
    with (folder / f"{program}.log").open("ab") as log:
        process = subprocess.Popen(
            [PROGRAMS / program, *arguments],
            env={"PATH": "/usr/bin:/bin", **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _served(proxy: ServiceProxy) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(proxy, port=proxy.port, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, name="services", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(10)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False
