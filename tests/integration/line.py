"""All parts as processes on one machine: API server, NATS, operator, gateway, nodes, two customers."""

import base64
import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvicorn
from examples.demo.flow import Customer, Surroundings

from symfed_wire.client import ApiError, Client, ConnectionFailedError
from tests.integration.operator_process import Installation, installed
from tests.integration.pods import PodRunner, ServiceProxy
from tests.integration.servers import ControlPlane, wait_until


@dataclass(frozen=True)
class Line:
    """What a test needs to use the parts, and to look at them when it fails."""

    installation: Installation
    pods: PodRunner
    surroundings: Surroundings

    def logs(self) -> str:
        """The last lines of every part."""
        tails = [
            f"--- {log.stem} ---\n" + "\n".join(log.read_text().splitlines()[-60:])
            for log in sorted(self.installation.folder.glob("*.log"))
        ]
        return "\n".join([*tails, self.pods.logs()])


@contextmanager
def started_line(folder: Path) -> Iterator[Line]:
    """Start everything, and stop it in the end."""
    with ExitStack() as stack:
        control_plane = stack.enter_context(ControlPlane(folder / "kubernetes"))
        control_plane.apply_crds()
        installation = stack.enter_context(installed(control_plane, folder))
        pods = stack.enter_context(PodRunner(control_plane, folder / "pods"))
        proxy = ServiceProxy(pods)
        stack.enter_context(_served(proxy))
        customers = (_make_customer(control_plane, "c1"), _make_customer(control_plane, "c2"))
        nats, url = installation.nats.url, installation.gateway_url
        installation.start_operator(SYMFED_NATS_ADVERTISED_HOSTS=nats)
        installation.start_gateway(SYMFED_NODE_URL=proxy.url_template)
        for customer in customers:
            # The gateway may read a customer's key once the operator has written its Role there.
            wait_until(partial(_is_served, url, customer), f"customer {customer.name} is not served at {url}")
        yield Line(installation, pods, Surroundings(url, nats, customers))


def _make_customer(control_plane: ControlPlane, customer: str) -> Customer:
    namespace = f"customer-{customer}"
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    control_plane.apply(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": namespace, "labels": {"symfed.dev/customer": customer}},
        },
        f"/api/v1/namespaces/{namespace}",
    )
    control_plane.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "symfed-customer"},
            "stringData": {"secretKey": key},
        },
        f"/api/v1/namespaces/{namespace}/secrets/symfed-customer",
    )
    return Customer(customer, key)


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


def _is_served(url: str, customer: Customer) -> bool:
    try:
        with Client(url, customer.name, customer.secret_key, patience=0) as client:
            client.projects()
    except (ApiError, ConnectionFailedError):
        return False
    return True
