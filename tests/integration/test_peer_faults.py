"""What goes wrong with a peer is said in its conditions, and costs nothing else."""

import asyncio
import base64
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import JsonValue

from symfed_operator import events
from symfed_operator.queue import Key
from symfed_wire.kube import (
    NAMESPACES,
    PEERS,
    PODS,
    SECRETS,
    STATEFUL_SETS,
    VOLUME_CLAIMS,
    JsonObject,
    Kube,
    Resource,
)
from symfed_wire.names import RECONCILE
from tests.integration.operator_process import SECONDS, Customer, Installation, join, running_installation
from tests.integration.servers import ControlPlane

STORAGE_CLASSES = Resource("apis/storage.k8s.io/v1", "storageclasses", "StorageClass")
QUOTAS = Resource("api/v1", "resourcequotas", "ResourceQuota")


@pytest.fixture(scope="module")
def installation(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    with running_installation(control_plane, tmp_path_factory.mktemp("peer-faults")) as running:
        yield running


@pytest.fixture
async def customer(installation: Installation, kube: Kube) -> Customer:
    """A customer with a namespace of its own."""
    name = f"customer-{secrets.token_hex(4)}"
    labels: JsonObject = {"symfed.dev/customer": name}
    await kube.create(NAMESPACES, None, {"metadata": {"name": name, "labels": labels}})
    return Customer(installation, kube, name)


async def _change(customer: Customer, name: str, **fields: JsonValue) -> None:
    await customer.kube.patch(PEERS, customer.namespace, name, dict(fields), manager="tests")


async def _touch(customer: Customer, name: str) -> None:
    """Reconcile it now."""
    annotations: JsonObject = {"example.org/touched": secrets.token_hex(4)}
    await _change(customer, name, metadata={"annotations": annotations})


async def _template(customer: Customer, name: str) -> JsonObject:
    body = await customer.kube.get(STATEFUL_SETS, customer.namespace, name)
    return body["spec"]["template"]  # type: ignore[index, call-overload, return-value]  # the API server's JSON


async def test_a_project_stays_with_the_peer_that_is_served(customer: Customer) -> None:
    paused: JsonObject = {RECONCILE: "paused"}
    for name in ("older", "served"):
        body: JsonObject = {
            "metadata": {"name": name, "namespace": customer.namespace, "annotations": paused},
            "spec": {"project": "p1", "deletionPolicy": "Delete"},
        }
        await customer.kube.create(PEERS, customer.namespace, body)
    status: JsonObject = {"status": {"slot": 5}}
    await customer.kube.patch(
        PEERS, customer.namespace, "served", status, manager="symfed-operator", subresource="status"
    )
    for name in ("older", "served"):
        await _change(customer, name, metadata={"annotations": {RECONCILE: None}})
    said = await customer.condition(PEERS, "older", "Ready", "False", "NameTaken")
    assert "FederationPeer served has" in said.message
    await customer.condition(PEERS, "served", "NodeReady", "False", "Starting")
    assert (await customer.peer("served")).status.slot == 5


async def test_a_claim_that_cannot_grow_stops_nothing_else(customer: Customer) -> None:
    storage_class = f"fixed-{secrets.token_hex(4)}"
    await customer.kube.create(
        STORAGE_CLASSES, None, {"metadata": {"name": storage_class}, "provisioner": "example.org/none"}
    )
    storage: JsonObject = {"size": "1Gi", "storageClassName": storage_class}
    await customer.create_peer("grow", storage=storage)
    await customer.condition(PEERS, "grow", "NodeReady", "False", "Starting")
    claim = f"grow-{(await customer.peer('grow')).metadata.uid[:8]}"
    bound: JsonObject = {"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}}
    await customer.kube.patch(
        VOLUME_CLAIMS, customer.namespace, claim, bound, manager="tests", subresource="status"
    )
    node_selector: JsonObject = {"example.org/disk": "big"}
    await _change(
        customer,
        "grow",
        spec={"storage": {"size": "2Gi"}, "podTemplate": {"spec": {"nodeSelector": node_selector}}},
    )
    said = await customer.condition(PEERS, "grow", "NodeReady", "False", "VolumeNotResized")
    assert claim in said.message
    assert "2Gi" in said.message
    assert "allowVolumeExpansion" in said.message
    assert (await _template(customer, "grow"))["spec"]["nodeSelector"] == node_selector  # type: ignore[index, call-overload]

    await customer.kube.patch(
        STORAGE_CLASSES, None, storage_class, {"allowVolumeExpansion": True}, manager="tests"
    )
    await _touch(customer, "grow")
    await customer.condition(PEERS, "grow", "NodeReady", "False", "Starting")


async def test_a_refused_pod_template_is_told_and_can_be_mended(customer: Customer) -> None:
    template: JsonObject = {"metadata": {"labels": {"not a label": "x"}}}
    await customer.create_peer("refused", podTemplate=template)
    said = await customer.condition(PEERS, "refused", "NodeReady", "False", "Invalid")
    assert "not a label" in said.message
    await customer.condition(PEERS, "refused", "Ready", "False", "Invalid")
    await _change(customer, "refused", spec={"podTemplate": None})
    await customer.condition(PEERS, "refused", "NodeReady", "False", "Starting")


async def test_a_quota_that_is_used_up_is_told(customer: Customer) -> None:
    hard: JsonObject = {"persistentvolumeclaims": "0"}
    await customer.kube.create(
        QUOTAS, customer.namespace, {"metadata": {"name": "none"}, "spec": {"hard": hard}}
    )
    status: JsonObject = {"status": {"hard": hard, "used": hard}}  # no controller counts here
    await customer.kube.patch(
        QUOTAS, customer.namespace, "none", status, manager="tests", subresource="status"
    )
    await customer.create_peer("poor")
    said = await customer.condition(PEERS, "poor", "NodeReady", "False", "Forbidden")
    assert "exceeded quota" in said.message


@pytest.mark.parametrize("content", [b"{}", b"\xff\xfe"])
async def test_a_damaged_record_is_told(customer: Customer, content: bytes) -> None:
    await customer.create_peer("damaged")
    await customer.condition(PEERS, "damaged", "NodeReady", "False", "Starting")
    uid, system = (await customer.peer("damaged")).metadata.uid, customer.installation.namespace
    data: JsonObject = {"data": {"record.json": base64.b64encode(content).decode()}}
    await customer.kube.patch(SECRETS, system, f"peer-{uid}", data, manager="tests")
    await _touch(customer, "damaged")
    said = await customer.condition(PEERS, "damaged", "NodeReady", "False", "RecordDamaged")
    assert f"peer-{uid}" in said.message


async def test_a_binary_invitation_is_told(customer: Customer) -> None:
    body: JsonObject = {
        "metadata": {"name": "binary"},
        "data": {"fed_rest_url": base64.b64encode(b"\xff\xfe").decode()},
    }
    await customer.kube.create(SECRETS, customer.namespace, body)
    await customer.create_peer("joining", invitationSecretRef={"name": "binary"})
    said = await customer.condition(PEERS, "joining", "Joined", "False", "InvitationIncomplete")
    assert "fed_rest_url" in said.message


async def test_an_endless_answer_of_an_admin_is_told(customer: Customer) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):  # the operator hangs up
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                writer.write(bytes(65536))
                await writer.drain()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        invitation: JsonObject = {
            "fed_rest_url": f"http://127.0.0.1:{port}/symetry/rest/c/fedml/p/createPolicies",
            "fed_req_token": "FEDTOKEN0123456789abcdef",
            "fed_secret_key": base64.b64encode(bytes(16)).decode(),
        }
        await join(customer, "endless", invitation)
        said = await customer.condition(PEERS, "endless", "Joined", "False", "AdminUnreachable")
    assert "longer than" in said.message


async def test_only_our_pods_and_sets_are_watched(
    control_plane: ControlPlane, kube: Kube, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig))
    ours: JsonObject = {
        "app.kubernetes.io/managed-by": "symfed-operator",
        "app.kubernetes.io/component": "node",
        "app.kubernetes.io/instance": "ours",
    }
    spec: JsonObject = {"containers": [{"name": "c", "image": "i"}]}
    with _requests_logged(control_plane):
        seen: asyncio.Queue[Key] = asyncio.Queue()
        watching = asyncio.create_task(events.watch(seen.put_nowait, lambda: None))
        for name, labels in (("foreign", {}), ("ours", ours)):
            metadata: JsonObject = {"name": name, "labels": labels}
            await kube.create(PODS, namespace, {"metadata": metadata, "spec": spec})
        async with asyncio.timeout(SECONDS):
            while (await seen.get()) != Key("peer", namespace, "ours"):
                pass
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    asked = re.findall(r'"HTTP".*URI="([^"]+)" .*userAgent="kopf/', control_plane.apiserver.log.read_text())
    for path in ("/api/v1/pods", "/apis/apps/v1/statefulsets"):
        queries = [parse_qs(urlsplit(uri).query) for uri in asked if urlsplit(uri).path == path]
        assert queries, path
        selectors = {selector for query in queries for selector in query.get("labelSelector", [""])}
        assert selectors == {"app.kubernetes.io/component=node,app.kubernetes.io/managed-by=symfed-operator"}


@contextmanager
def _requests_logged(control_plane: ControlPlane) -> Iterator[None]:
    """The API server writes each request into its log."""

    def set_verbosity(level: str) -> None:
        with control_plane.client() as client:
            client.put("/debug/flags/v", content=level).raise_for_status()

    set_verbosity("3")
    try:
        yield
    finally:
        set_verbosity("0")
