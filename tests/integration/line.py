"""All parts as processes on one machine: API server, NATS, AWS's emulator, operator, gateway, nodes."""

import base64
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import uvicorn
from examples.demo.flow import Customer

from symfed_wire.client import ApiError, Client, ConnectionFailedError
from tests.integration.aws_servers import AwsServer, running
from tests.integration.operator_process import Installation, installed
from tests.integration.pods import PodRunner, ServiceProxy
from tests.integration.servers import ControlPlane, wait_until


@dataclass(frozen=True)
class Line:
    """What a test needs to use the parts, and to look at them when it fails."""

    installation: Installation
    pods: PodRunner
    services: ServiceProxy
    aws: AwsServer
    customers: dict[str, Customer] = field(default_factory=dict)

    @property
    def control_plane(self) -> ControlPlane:
        """The API server."""
        return self.installation.control_plane

    @property
    def url(self) -> str:
        """The gateway's address."""
        return self.installation.gateway_url

    @property
    def nats(self) -> str:
        """The operator's NATS as a `nats_hosts` value."""
        return self.installation.nats.url

    def start_operator(self, **settings: str) -> None:
        """Start the operator, whose members elsewhere reach its NATS by the same address."""
        self.installation.start_operator(SYMFED_NATS_ADVERTISED_HOSTS=self.nats, **settings)

    @contextmanager
    def without_operator(self) -> Iterator[None]:
        """The operator crashes, and comes back after the block."""
        self.installation.kill("operator")
        try:
            yield
        finally:
            self.installation.start_again("operator")

    def new_customer(self, name: str) -> Customer:
        """A customer with a namespace and a key of its own, which the gateway serves."""
        customer = Customer(name, base64.b64encode(secrets.token_bytes(16)).decode())
        path = f"/api/v1/namespaces/{namespace_of(name)}"
        metadata = {"name": namespace_of(name), "labels": {"symfed.dev/customer": name}}
        self.control_plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}, path)
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "symfed-customer"}}
        data = {"stringData": {"secretKey": customer.secret_key}}
        self.control_plane.apply({**secret, **data}, f"{path}/secrets/symfed-customer")
        # Asked too early, the gateway would remember for a while that this customer has no key.
        wait_until(partial(self._may_gateway_read_key, name), f"the gateway may not read {name}'s key")
        wait_until(partial(_is_served, self.url, customer), f"customer {name} is not served at {self.url}")
        self.customers[name] = customer
        return customer

    def _may_gateway_read_key(self, name: str) -> bool:
        wanted = {"namespace": namespace_of(name), "verb": "get", "resource": "secrets"}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": f"system:serviceaccount:{self.installation.namespace}:symfed-gateway",
                "resourceAttributes": {**wanted, "name": "symfed-customer"},
            },
        }
        with self.control_plane.client() as client:
            answer = client.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", json=review)
        return bool(answer.raise_for_status().json()["status"]["allowed"])

    def logs(self) -> str:
        """The last lines of every part."""
        tails = [
            f"--- {log.stem} ---\n" + "\n".join(log.read_text().splitlines()[-60:])
            for log in sorted(self.installation.folder.glob("*.log"))
        ]
        return "\n".join([*tails, self.pods.logs()])


@contextmanager
def started_line(
    folder: Path,
    *,
    operator: Mapping[str, str] | None = None,
    node: Mapping[str, str] | None = None,
) -> Iterator[Line]:
    """Start everything, and stop it in the end. The two mappings are settings of their parts."""
    with ExitStack() as stack:
        control_plane = stack.enter_context(ControlPlane(folder / "kubernetes"))
        control_plane.apply_crds()
        installation = stack.enter_context(installed(control_plane, folder))
        pods = stack.enter_context(PodRunner(control_plane, folder / "pods", node))
        proxy = ServiceProxy(pods)
        stack.enter_context(_served(proxy))
        aws = stack.enter_context(running(AwsServer.ministack(folder / "aws")))
        line = Line(installation, pods, proxy, aws)
        line.start_operator(**(operator or {}))
        installation.start_gateway(SYMFED_NODE_URL=proxy.url_template, SYMFED_AWS_ENDPOINT_URL=aws.url)
        yield line


def namespace_of(customer: str) -> str:
    """Where a customer's objects are."""
    return f"customer-{customer}"


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
