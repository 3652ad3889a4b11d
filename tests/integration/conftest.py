"""The servers that integration tests share, and a namespace of its own for each test."""

import secrets
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest

from symfed_wire.kube import NAMESPACES, Kube
from symfed_wire.kube_config import KubeConfig
from tests.cluster.gobuild import ProgramMissingError, can_build, program
from tests.integration.aws_servers import AwsServer, running
from tests.integration.gateway import NewTenant, Nodes, RunningGateway, Tenant, started_gateway
from tests.integration.line import Line, started_line
from tests.integration.operator_process import Installation, installed
from tests.integration.servers import ControlPlane, wait_until

PROGRAMS = ("etcd", "kube-apiserver", "kubectl", "nats-server")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks everything in this folder, so that nobody forgets it."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows what the parts printed with a failure of a test that uses them all."""
    report = yield
    line = getattr(item, "funcargs", {}).get("line")
    if report.failed and isinstance(line, Line):
        report.sections.append(("the parts", line.logs()))
    return report


@pytest.fixture(scope="session")
def programs() -> None:
    """Skips where the programs can neither be found nor built; fails where `make programs` was missed."""
    try:
        for name in PROGRAMS:
            program(name)
    except ProgramMissingError as error:
        if reason := can_build():
            pytest.skip(f"{error}, but {reason}")
        raise


@pytest.fixture(scope="session")
def control_plane(programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """An API server with symfed's CRDs, one for the whole run; tests keep apart by namespaces."""
    with ControlPlane(tmp_path_factory.mktemp("control-plane")) as running:
        running.apply_crds()
        yield running


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsServer]:
    """AWS, once for the whole run; tests keep apart by the names of buckets, topics and queues."""
    with running(AwsServer.ministack(tmp_path_factory.mktemp("ministack"))) as server:
        yield server


@pytest.fixture(scope="session")
def line(programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """All parts, running, once for the whole run; tests keep apart by customers."""
    with started_line(tmp_path_factory.mktemp("line")) as running:
        yield running


@pytest.fixture(scope="module")
def quick_operator(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """An operator that looks often, as nothing tells it of a Secret."""
    with installed(control_plane, tmp_path_factory.mktemp("operator")) as installation:
        installation.start_operator(SYMFED_DRIFT_SECONDS="1")
        yield installation


@pytest.fixture
async def kube(control_plane: ControlPlane) -> AsyncIterator[Kube]:
    """The parts' own client with an administrator's rights; a test each, as it belongs to the test's loop."""
    async with Kube(KubeConfig.from_file(control_plane.kubeconfig)) as client:
        yield client


@pytest.fixture
async def namespace(kube: Kube) -> str:
    """A new namespace. Nothing deletes it: there is no controller, and the server goes with the run."""
    name = f"test-{secrets.token_hex(4)}"
    await kube.create(NAMESPACES, None, {"metadata": {"name": name}})
    return name


@pytest.fixture(scope="session")
def nodes() -> Iterator[Nodes]:
    """The nodes of all peers, for tests of the gateway."""
    running = Nodes()
    yield running
    running.close()


@pytest.fixture(scope="session")
def gateway(
    control_plane: ControlPlane, nodes: Nodes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """One gateway for all tests of it."""
    with started_gateway(control_plane, nodes, tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture
def new_tenant(control_plane: ControlPlane, gateway: RunningGateway) -> NewTenant:
    """Makes customers, each in a namespace of its own, and waits until the gateway serves them."""

    def make(customer: str = "", *, wait: bool = True) -> Tenant:
        customer = customer or f"c{secrets.token_hex(4)}"
        tenant = Tenant(control_plane, gateway.url, customer, f"customer-{secrets.token_hex(4)}")
        metadata = {"name": tenant.namespace, "labels": {"symfed.dev/customer": customer}}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        # The Secret first in time: the gateway remembers for ten seconds that a customer has none.
        bare = namespace | {"metadata": {"name": tenant.namespace}}
        tenant.api("POST", "/api/v1/namespaces", bare).raise_for_status()
        tenant.put_secret("symfed-customer", {"secretKey": tenant.secret_key})
        tenant.api("PATCH", f"/api/v1/namespaces/{tenant.namespace}", namespace).raise_for_status()
        if wait:
            wait_until(
                lambda: tenant.call("GET", "/projects/list").is_success, "the customer is not served", 10
            )
        return tenant

    return make


@pytest.fixture
def tenant(new_tenant: NewTenant) -> Tenant:
    """A customer of this test's own."""
    return new_tenant()
