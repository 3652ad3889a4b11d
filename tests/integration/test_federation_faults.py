"""Federations that end, fail or are asked for what cannot be, on a real API server and a real NATS."""

import base64
from collections.abc import Iterator
from uuid import uuid4

import pytest
from pydantic import JsonValue

from symfed_operator.backends.nats.keys import new_user_seed, public_key
from symfed_wire.kube import FEDERATIONS, NAMESPACES, PEERS, SECRETS, JsonObject, Kube
from symfed_wire.names import CUSTOMER_LABEL, RECONCILE, federation_secret, remote_name
from symfed_wire.resources import find_condition
from tests.integration.operator_process import (
    Customer,
    Installation,
    document_of,
    new_customer,
    running_installation,
)
from tests.integration.servers import ControlPlane

KEY = base64.b64encode(bytes(range(32))).decode()
NO_KEY = base64.b64encode(bytes(32)).decode()  # of low order: nothing can be sealed to it


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


async def create_remote(admin: Customer, federation: str, note: str = "", **identity: JsonValue) -> str:
    """A remote member as an administrator may write it, past the gateway. Returns its name."""
    uuid = str(uuid4())
    users: JsonObject = {name: public_key(new_user_seed()) for name in ("writer", "reader")}
    remote: JsonObject = {
        "uuid": uuid,
        "displayName": "elsewhere",
        "identityKey": KEY,
        "sealingKey": KEY,
        "natsUserKeys": users,
        **identity,
    }
    body: JsonObject = {
        "metadata": {"name": remote_name(uuid), "annotations": {RECONCILE: note}},
        "spec": {"federationRef": {"name": federation}, "remote": remote},
    }
    await admin.kube.create(PEERS, admin.namespace, body)
    return remote_name(uuid)


async def label(admin: Customer, customer: str | None) -> None:
    """Make the namespace a customer's, or nobody's."""
    labels: JsonObject = {"metadata": {"labels": {CUSTOMER_LABEL: customer}}}
    await admin.kube.patch(NAMESPACES, None, admin.namespace, labels, manager="tests")


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
    assert waiting.message.startswith("deletion waits for the members: ")
    assert "admin1" in waiting.message
    assert "second1" in waiting.message
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


async def test_a_member_that_nothing_can_be_sealed_to_stops_no_other(admin: Customer) -> None:
    await admin.create_federation("fed2")
    bad = await create_remote(admin, "fed2", sealingKey=NO_KEY)
    good = await create_remote(admin, "fed2")
    await admin.create_peer("admin2", federationRef={"name": "fed2"})
    await admin.condition(PEERS, "admin2", "Joined", "True")
    await admin.condition(PEERS, good, "Granted", "True")
    await admin.condition(PEERS, bad, "Granted", "False", "KeysUnusable")

    async def left_out() -> str | None:
        found = find_condition((await admin.federation("fed2")).status.conditions, "BackendReady")
        is_said = found is not None and found.status == "True" and bad in found.message
        return found.message if found is not None and is_said else None

    said = await admin.until("the federation says whom it leaves out", left_out)
    assert f"left out: FederationPeer {bad}: spec.remote: sealing_key" in said
    await admin.kube.delete(PEERS, admin.namespace, bad)
    await admin.gone(PEERS, bad)


async def test_a_remote_member_gets_nothing_before_its_finalizer(admin: Customer) -> None:
    await admin.create_federation("fed9")
    waiting = await create_remote(admin, "fed9", note="paused")
    await admin.create_peer("admin9", federationRef={"name": "fed9"})
    await admin.condition(PEERS, "admin9", "Joined", "True")
    record = f"member-{(await admin.peer(waiting)).metadata.uid}"
    assert await admin.kube.find(SECRETS, admin.installation.namespace, record) is None
    go_on: JsonObject = {"metadata": {"annotations": {RECONCILE: None}}}
    await admin.kube.patch(PEERS, admin.namespace, waiting, go_on, manager="tests")
    await admin.condition(PEERS, waiting, "Granted", "True")
    await admin.kube.delete(PEERS, admin.namespace, waiting)
    await admin.gone(PEERS, waiting)
    assert await admin.kube.find(SECRETS, admin.installation.namespace, record) is None


async def test_a_federation_needs_a_customers_namespace(admin: Customer) -> None:
    await label(admin, None)
    await admin.create_federation("fed12")
    said = await admin.condition(FEDERATIONS, "fed12", "Ready", "False", "NoCustomer")
    assert said.message.endswith("is no customer's; label it symfed.dev/customer=<customer id>")
    await label(admin, admin.namespace)
    await admin.condition(FEDERATIONS, "fed12", "Ready", "True")


async def test_members_leave_a_federation_that_is_not_served_any_more(admin: Customer) -> None:
    await admin.create_federation("fed10")
    for name in ("admin10", "second10"):
        await admin.create_peer(name, federationRef={"name": "fed10"})
        await admin.condition(PEERS, name, "Joined", "True")
    await label(admin, None)
    await admin.kube.delete(PEERS, admin.namespace, "second10")
    await admin.gone(PEERS, "second10")
    await admin.condition(FEDERATIONS, "fed10", "Ready", "False", "NoCustomer")
    await admin.kube.delete(FEDERATIONS, admin.namespace, "fed10")
    await admin.kube.delete(PEERS, admin.namespace, "admin10")
    await admin.gone(FEDERATIONS, "fed10")


async def test_an_error_that_is_not_the_backends_is_told(admin: Customer) -> None:
    secret = federation_secret("fed11")
    await admin.kube.create(SECRETS, admin.namespace, {"metadata": {"name": secret}})
    await admin.create_federation("fed11")
    said = await admin.condition(FEDERATIONS, "fed11", "BackendReady", "False", "NameTaken")
    assert said.message.startswith(f"Secret {admin.namespace}/{secret} exists and belongs to something else")
    await admin.kube.delete(SECRETS, admin.namespace, secret)
    await admin.condition(FEDERATIONS, "fed11", "Ready", "True")


async def test_without_nats_all_but_federations_goes_on(admin: Customer) -> None:
    installation = admin.installation
    installation.stop_operator()
    missing = str(installation.folder / "no-such-file")
    installation.start_operator(SYMFED_NATS_OPERATOR_FILE=missing, SYMFED_NATS_SYSTEM_CREDS=missing)
    try:
        await admin.create_federation("fed8")
        await admin.create_peer("local8")
        await admin.create_peer("admin8", federationRef={"name": "fed8"})
        said = await admin.condition(FEDERATIONS, "fed8", "Ready", "False", "NotSupported")
        assert "nats.enabled=true" in said.message
        await admin.condition(PEERS, "local8", "NodeReady", "False", "Starting")
        for name in ("admin8", "local8"):
            await admin.kube.delete(PEERS, admin.namespace, name)
            await admin.gone(PEERS, name)
        await admin.kube.delete(FEDERATIONS, admin.namespace, "fed8")
        await admin.gone(FEDERATIONS, "fed8")
    finally:
        installation.stop_operator()
        installation.start_operator()
