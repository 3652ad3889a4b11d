"""Federations that end, fail or are asked for what cannot be, on a real API server and a real NATS."""

from collections.abc import Iterator

import pytest

from symfed_wire.kube import FEDERATIONS, NAMESPACES, PEERS, SECRETS, JsonObject, Kube
from tests.integration.operator_process import (
    Customer,
    Installation,
    document_of,
    new_customer,
    running_installation,
)
from tests.integration.servers import ControlPlane


@pytest.fixture(scope="module")
def installation(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """NATS, operator and gateway, for the tests of this file."""
    with running_installation(control_plane, tmp_path_factory.mktemp("operator")) as running:
        yield running


@pytest.fixture
async def admin(installation: Installation, kube: Kube) -> Customer:
    """A customer with a namespace of its own."""
    return await new_customer(installation, kube)


async def test_a_namespace_goes_with_the_federation_in_it(admin: Customer) -> None:
    await admin.create_federation("fed1")
    await admin.create_peer("admin1", federationRef={"name": "fed1"})
    await admin.create_peer("second1", federationRef={"name": "fed1"})
    await admin.condition(PEERS, "admin1", "Joined", "True")
    await admin.condition(PEERS, "second1", "Joined", "True")
    await admin.kube.delete(NAMESPACES, None, admin.namespace)
    # What the namespace controller does, which does not run here; Secrets first is the worst order.
    for secret in await admin.kube.list_all(SECRETS, admin.namespace):
        name = secret["metadata"]["name"]  # type: ignore[index, call-overload]  # JSON of the API server
        await admin.kube.delete(SECRETS, admin.namespace, str(name))
    await admin.kube.delete(FEDERATIONS, admin.namespace, "fed1")
    waiting = await admin.condition(FEDERATIONS, "fed1", "Ready", "False", "HasMembers")
    assert waiting.message == "deletion waits for the members: admin1, second1"
    for name in ("admin1", "second1"):
        await admin.kube.delete(PEERS, admin.namespace, name)
        await admin.gone(PEERS, name)
    await admin.gone(FEDERATIONS, "fed1")
    assert await admin.kube.list_all(SECRETS, admin.namespace) == []


async def test_a_federation_without_room_lets_its_members_go(admin: Customer) -> None:
    await admin.create_federation("fed3")
    for name in ("admin3", "second3"):
        await admin.create_peer(name, federationRef={"name": "fed3"})
        await admin.condition(PEERS, name, "Joined", "True")
    too_much: JsonObject = {"spec": {"nats": {"streamMaxBytes": "1Ti"}}}
    await admin.kube.patch(FEDERATIONS, admin.namespace, "fed3", too_much, manager="tests")
    await admin.condition(FEDERATIONS, "fed3", "BackendReady", "False", "NoCapacity")
    await admin.kube.delete(PEERS, admin.namespace, "second3")
    await admin.gone(PEERS, "second3")
    document = await document_of(admin, "fed3")
    assert {member.name: member.state for member in document.members} == {
        "admin3": "active",
        "second3": "removed",
    }
