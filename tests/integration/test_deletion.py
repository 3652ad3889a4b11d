"""What goes and what stays when resources and namespaces are deleted, and what is said while they wait."""

import base64
import subprocess
from collections.abc import Iterator
from functools import partial

import nats.errors
import pytest
from nats.aio.client import Client

from symfed_operator.backends.base import BackendError
from symfed_operator.backends.nats.connection import account_connection
from symfed_operator.backends.nats.keys import sign
from symfed_operator.records import FederationRecord
from symfed_operator.retention import RETAINED_LABEL
from symfed_wire.kube import (
    EVENTS,
    FEDERATIONS,
    NAMESPACES,
    PEERS,
    SECRETS,
    STATEFUL_SETS,
    VOLUME_CLAIMS,
    JsonObject,
    Kube,
)
from symfed_wire.names import RECONCILE
from symfed_wire.node_config import NodeConfig
from symfed_wire.resources import find_condition
from tests.integration.operator_process import (
    PROGRAMS,
    Customer,
    Installation,
    invite,
    join,
    new_customer,
    running_installation,
)
from tests.integration.servers import ControlPlane

POLICIES = ("Retain", "Delete")


@pytest.fixture(scope="module")
def installation(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """NATS, operator and gateway, for the tests of this file."""
    with running_installation(control_plane, tmp_path_factory.mktemp("deletion")) as running:
        yield running


@pytest.fixture
async def customers(installation: Installation, kube: Kube) -> tuple[Customer, Customer]:
    """Two customers with namespaces of their own."""
    return await new_customer(installation, kube), await new_customer(installation, kube)


async def _found(customer: Customer, federation: str, policy: str) -> None:
    """A Federation with its admin's peer `admin`."""
    await customer.create_federation(federation, deletionPolicy=policy)
    await customer.create_peer("admin", federationRef={"name": federation}, deletionPolicy=policy)
    await customer.condition(PEERS, "admin", "Joined", "True")


async def _join(admin: Customer, federation: str, other: Customer) -> str:
    """The peer `joined` of another customer. Returns the name of its remote FederationPeer."""
    await join(other, "joined", await invite(admin, federation, "admin"))
    await other.condition(PEERS, "joined", "Joined", "True", "Granted")
    return f"remote-{(await other.peer('joined')).status.uuid}"


async def _config(customer: Customer, peer: str) -> NodeConfig:
    return NodeConfig.model_validate_json(await customer.secret(f"{peer}-node", "node.json"))


async def _writer(url: str, config: NodeConfig) -> Client:
    """A connection as the peer's node has it."""
    assert config.membership is not None
    assert config.membership.nats is not None
    token = config.membership.nats.writer_jwt or ""
    connection, seed = Client(), config.secrets.nats_writer_seed
    await connection.connect(
        url,
        user_jwt_cb=token.encode,
        signature_cb=lambda nonce: base64.b64encode(sign(seed, nonce.encode())),
        allow_reconnect=False,
    )
    return connection


async def _record(customer: Customer, uid: str) -> FederationRecord:
    text = await customer.secret(f"fed-{uid}", "record.json", customer.installation.namespace)
    return FederationRecord.model_validate_json(text)


async def _stored(customer: Customer, record: FederationRecord, number: int) -> bytes | None:
    """The newest head in a retained member's account."""
    seeds, hosts = record.retained[number], (customer.installation.nats.url,)
    async with account_connection(hosts, seeds.account, seeds.signing, name="test", timeout=3) as connection:
        return (await connection.jetstream().get_last_msg("SNAPSHOT", "head")).data


def _free(installation: Installation, uid: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """What an administrator does in the operator's pod."""
    return subprocess.run(
        [PROGRAMS / "symfed-operator", "free-federation", uid],
        env=installation.environments["operator"] | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_a_retained_federation_keeps_its_snapshots_until_they_are_freed(
    customers: tuple[Customer, Customer],
) -> None:
    admin, other = customers
    await _found(admin, "kept", "Retain")
    remote = await _join(admin, "kept", other)
    uid, system = (await admin.federation("kept")).metadata.uid, admin.installation.namespace
    config, url = await _config(admin, "admin"), admin.installation.nats.url
    writer = await _writer(url, config)
    await writer.jetstream().publish("head", b"a snapshot")
    refused = _free(admin.installation, uid)
    assert refused.returncode == 1
    assert f"Federation {admin.namespace}/kept is still there; delete it first" in refused.stderr

    await admin.kube.delete(FEDERATIONS, admin.namespace, "kept")
    await admin.condition(FEDERATIONS, "kept", "Ready", "False", "HasMembers")
    assert writer.is_connected  # a federation that waits for its members goes on serving them
    for name in ("admin", remote):
        await admin.kube.delete(PEERS, admin.namespace, name)
        await admin.gone(PEERS, name)
    await admin.gone(FEDERATIONS, "kept")
    with pytest.raises(nats.errors.Error, match="Authorization Violation"):
        await _writer(url, config)
    record = await _record(admin, uid)
    assert await _stored(admin, record, 0) == b"a snapshot"
    found = await admin.kube.list_all(SECRETS, system, labels=f"{RETAINED_LABEL}=kept")
    assert [secret["metadata"]["name"] for secret in found] == [f"fed-{uid}"]  # type: ignore[index, call-overload]
    events = await admin.kube.list_all(EVENTS, system, fields="reason=Retained")
    assert f"symfed-operator free-federation {uid}" in str(events[-1]["message"])

    keyless = _free(admin.installation, uid, SYMFED_NATS_OPERATOR_FILE="/nowhere")
    assert keyless.returncode == 1
    assert "free-federation: nothing is freed: the operator has no keys of a NATS system" in keyless.stderr
    assert await _record(admin, uid) == record

    freed = _free(admin.installation, uid)
    assert freed.returncode == 0, freed.stderr
    await admin.gone(SECRETS, f"fed-{uid}", system)
    with pytest.raises(BackendError):
        await _stored(admin, record, 0)
    again = _free(admin.installation, uid)
    assert again.returncode == 1
    assert f"nothing is retained of a federation with the uid {uid}" in again.stderr


async def test_a_policy_that_becomes_delete_frees_what_was_retained(
    customers: tuple[Customer, Customer],
) -> None:
    admin, other = customers
    await _found(admin, "changed", "Retain")
    remote = await _join(admin, "changed", other)
    uid = (await admin.federation("changed")).metadata.uid
    writer = await _writer(admin.installation.nats.url, await _config(admin, "admin"))
    await writer.jetstream().publish("head", b"a snapshot")
    await admin.kube.delete(FEDERATIONS, admin.namespace, "changed")
    await admin.kube.delete(PEERS, admin.namespace, "admin")
    await admin.gone(PEERS, "admin")
    record = await _record(admin, uid)
    assert await _stored(admin, record, 0) == b"a snapshot"
    policy: JsonObject = {"spec": {"deletionPolicy": "Delete"}}
    await admin.kube.patch(FEDERATIONS, admin.namespace, "changed", policy, manager="tests")
    await admin.kube.delete(PEERS, admin.namespace, remote)
    await admin.gone(FEDERATIONS, "changed")
    assert await admin.kube.find(SECRETS, admin.installation.namespace, f"fed-{uid}") is None
    with pytest.raises(BackendError):
        await _stored(admin, record, 0)


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_volume_goes_or_stays_and_the_identity_goes(
    customers: tuple[Customer, Customer], policy: str
) -> None:
    customer, _ = customers
    await customer.create_peer("p", deletionPolicy=policy)
    await customer.condition(PEERS, "p", "NodeReady", "False", "Starting")
    uid = (await customer.peer("p")).metadata.uid
    await customer.kube.delete(PEERS, customer.namespace, "p")
    await customer.gone(PEERS, "p")
    assert await customer.kube.find(SECRETS, customer.installation.namespace, f"peer-{uid}") is None
    name = f"p-{uid[:8]}"
    claim = await customer.kube.find(VOLUME_CLAIMS, customer.namespace, name)
    if policy == "Delete":
        assert claim is None or "deletionTimestamp" in claim["metadata"]  # type: ignore[operator]
        return
    assert claim is not None
    metadata = claim["metadata"]
    assert isinstance(metadata, dict)
    assert "ownerReferences" not in metadata
    assert "deletionTimestamp" not in metadata
    await customer.create_peer("q", storage={"existingClaim": name})
    await customer.condition(PEERS, "q", "NodeReady", "False", "Starting")
    assert name in str(await customer.kube.get(STATEFUL_SETS, customer.namespace, "q"))
    assert await customer.kube.find(VOLUME_CLAIMS, customer.namespace, f"q-{uid[:8]}") is None
    await customer.kube.delete(PEERS, customer.namespace, "q")  # its policy is Delete
    await customer.gone(PEERS, "q")
    kept = await customer.kube.get(VOLUME_CLAIMS, customer.namespace, name)
    assert "deletionTimestamp" not in kept["metadata"]  # type: ignore[operator]  # a mapping by its schema


async def test_while_nats_is_away_the_objects_wait_and_say_so(customers: tuple[Customer, Customer]) -> None:
    admin, other = customers
    await _found(admin, "waits", "Delete")
    remote = await _join(admin, "waits", other)
    admin.installation.nats.stop()
    try:
        for resource, name in ((FEDERATIONS, "waits"), (PEERS, "admin"), (PEERS, remote)):
            await admin.kube.delete(resource, admin.namespace, name)
        url = admin.installation.nats.url
        await admin.condition(FEDERATIONS, "waits", "Ready", "False", "Unreachable", url)
        for name, kind in (("admin", "Joined"), (remote, "Granted")):

            async def says_why(name: str = name, kind: str = kind) -> bool | None:
                found = find_condition((await admin.peer(name)).status.conditions, kind)
                words = "Federation waits removes this member: Unreachable: "
                return (found is not None and found.reason == "Leaving" and words in found.message) or None

            await admin.until(f"{name} says that NATS is away", says_why)
    finally:
        admin.installation.nats.start()
    for resource, name in ((PEERS, "admin"), (PEERS, remote), (FEDERATIONS, "waits")):
        await admin.gone(resource, name)


async def test_an_admin_that_does_not_answer_is_named(customers: tuple[Customer, Customer]) -> None:
    admin, other = customers
    await _found(admin, "silent", "Delete")
    remote = await _join(admin, "silent", other)
    gateway = admin.installation.processes["gateway"]
    gateway.terminate()
    gateway.wait(20)
    try:
        await other.kube.delete(PEERS, other.namespace, "joined")

        async def is_told() -> str | None:
            found = find_condition((await other.peer("joined")).status.conditions, "Joined")
            return found.message if found and found.reason == "Leaving" and "POST" in found.message else None

        said = await other.until("the peer says whom it waits for", is_told)
        assert said.startswith("the admin is being told, until 20")
        assert f"{admin.installation.gateway_url}/symetry/rest/" in said
    finally:
        admin.installation.start_gateway()
    await other.gone(PEERS, "joined")
    await admin.gone(PEERS, remote)


async def test_who_goes_while_it_is_being_granted_leaves(customers: tuple[Customer, Customer]) -> None:
    admin, other = customers
    await _found(admin, "asked", "Delete")
    await _annotate(admin, "asked", "paused")
    await join(other, "joined", await invite(admin, "asked", "admin"))
    remote = f"remote-{await other.until('its uuid', partial(_uuid, other, 'joined'))}"
    await admin.there(PEERS, remote)
    await _delete_with_secrets(other, "joined")
    said = await other.condition(PEERS, "joined", "Joined", "False", "Leaving")
    assert said.message.startswith("the admin is being told")
    admin.installation.kill("operator")
    admin.installation.start_again("operator")
    await _annotate(admin, "asked", None)
    await other.gone(PEERS, "joined")
    await admin.gone(PEERS, remote)


async def _uuid(customer: Customer, peer: str) -> str | None:
    return (await customer.peer(peer)).status.uuid


async def _delete_with_secrets(customer: Customer, peer: str) -> None:
    """As the gateway does it."""
    secret = f"{peer}-invitation-12345678"
    await customer.kube.delete(PEERS, customer.namespace, peer)
    await customer.kube.delete(SECRETS, customer.namespace, secret)


async def test_a_paused_federation_is_named(customers: tuple[Customer, Customer]) -> None:
    admin, _ = customers
    await _found(admin, "paused", "Delete")
    await _annotate(admin, "paused", "paused")
    await admin.kube.delete(PEERS, admin.namespace, "admin")
    said = await admin.condition(PEERS, "admin", "Ready", "False", "Leaving")
    assert said.message.endswith("when its annotation symfed.dev/reconcile is not `paused` any more")
    await _annotate(admin, "paused", None)
    await admin.gone(PEERS, "admin")


async def _annotate(customer: Customer, federation: str, value: str | None) -> None:
    annotations: JsonObject = {"metadata": {"annotations": {RECONCILE: value}}}
    await customer.kube.patch(FEDERATIONS, customer.namespace, federation, annotations, manager="tests")


async def _delete_namespace(customer: Customer) -> None:
    """Delete it, and all Secrets in it, which is the worst order.

    What the namespace controller does with the rest the tests do: it does not run here.
    """
    await customer.kube.delete(NAMESPACES, None, customer.namespace)
    for secret in await customer.kube.list_all(SECRETS, customer.namespace):
        name = secret["metadata"]["name"]  # type: ignore[index, call-overload]  # JSON of the API server
        await customer.kube.delete(SECRETS, customer.namespace, str(name))


async def test_a_namespace_goes_with_a_member_of_somebody_elses_federation(
    customers: tuple[Customer, Customer],
) -> None:
    admin, other = customers
    await _found(admin, "fed", "Delete")
    remote = await _join(admin, "fed", other)
    await _delete_namespace(other)
    touched: JsonObject = {"metadata": {"annotations": {"example.org/touched": "yes"}}}
    await other.kube.patch(PEERS, other.namespace, "joined", touched, manager="tests")
    await other.condition(PEERS, "joined", "Ready", "False", "NamespaceTerminating")
    await other.kube.delete(PEERS, other.namespace, "joined")
    await other.gone(PEERS, "joined")
    await admin.gone(PEERS, remote)  # it left without the Secret of its invitation
    assert await other.kube.list_all(SECRETS, other.namespace) == []


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_namespace_goes_with_a_federation_that_has_members_of_others(
    customers: tuple[Customer, Customer], policy: str
) -> None:
    admin, other = customers
    await _found(admin, "fed", policy)
    remote = await _join(admin, "fed", other)
    federation, peer = await admin.federation("fed"), await admin.peer("admin")
    await _delete_namespace(admin)
    for resource, name in ((PEERS, "admin"), (FEDERATIONS, "fed"), (PEERS, remote)):
        await admin.kube.delete(resource, admin.namespace, name)
    for resource, name in ((PEERS, "admin"), (FEDERATIONS, "fed"), (PEERS, remote)):
        await admin.gone(resource, name)
    assert await admin.kube.list_all(SECRETS, admin.namespace) == []
    system, uid = admin.installation.namespace, federation.metadata.uid
    for name in (f"member-{peer.metadata.uid}", f"peer-{peer.metadata.uid}"):
        assert await admin.kube.find(SECRETS, system, name) is None
    if policy == "Delete":
        assert await admin.kube.find(SECRETS, system, f"fed-{uid}") is None
    else:
        assert len((await _record(admin, uid)).retained) == 2
    await other.kube.delete(PEERS, other.namespace, "joined")
    await other.gone(PEERS, "joined")
