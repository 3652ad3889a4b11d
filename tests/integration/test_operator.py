"""The operator as a process, with the chart's own rights, against a real API server, NATS and gateway."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from symfed_operator.leader import LEASES
from symfed_wire.kube import (
    CONFIG_MAPS,
    EVENTS,
    FEDERATIONS,
    NAMESPACES,
    PEERS,
    PODS,
    ROLES,
    SECRETS,
    STATEFUL_SETS,
    VOLUME_CLAIMS,
    JsonObject,
    Kube,
)
from symfed_wire.names import JOB_LABEL, invitation_claim, job_record
from symfed_wire.node_config import NodeConfig
from tests.integration.operator_process import (
    Customer,
    Installation,
    document_of,
    invite,
    join,
    new_customer,
    running_installation,
)
from tests.integration.servers import ControlPlane, free_port


@pytest.fixture(scope="module")
def installation(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """NATS, operator and gateway, for the tests of this file."""
    with running_installation(control_plane, tmp_path_factory.mktemp("operator")) as running:
        yield running


@pytest.fixture
async def customers(installation: Installation, kube: Kube) -> tuple[Customer, Customer]:
    """Two customers with namespaces of their own."""
    return await new_customer(installation, kube), await new_customer(installation, kube)


async def test_hosted_member_gets_its_node(customers: tuple[Customer, Customer]) -> None:
    admin, _ = customers
    await admin.create_federation("fed1")
    await admin.create_peer("admin1", federationRef={"name": "fed1"})
    await admin.condition(FEDERATIONS, "fed1", "Ready", "True")
    await admin.condition(PEERS, "admin1", "Joined", "True", "Granted")
    await admin.condition(PEERS, "admin1", "NodeReady", "False", "Starting")
    config = NodeConfig.model_validate_json(await admin.secret("admin1-node", "node.json"))
    assert config.membership is not None
    assert config.membership.admin
    assert config.membership.nats is not None
    assert config.membership.nats.hosts == (admin.installation.nats.url,)
    assert (config.slot, config.customer) == (1, admin.namespace)
    peer = await admin.peer("admin1")
    assert (peer.status.uuid, peer.status.slot) == (config.uuid, 1)
    assert await admin.secret("admin1-token", "token")
    status: JsonObject = {"status": {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1}}
    await admin.kube.patch(
        STATEFUL_SETS, admin.namespace, "admin1", status, manager="tests", subresource="status"
    )
    await admin.condition(PEERS, "admin1", "Ready", "True")
    federation = await admin.federation("fed1")
    assert federation.status.members == 1
    assert (federation.status.account_id or "").startswith("A")
    member = (await document_of(admin, "fed1")).active_members()[0]
    assert (member.uuid, member.admin, member.name) == (config.uuid, True, "admin1")


async def test_join_by_invitation_and_leave(customers: tuple[Customer, Customer]) -> None:
    admin, other = customers
    await admin.create_federation("fed2")
    await admin.create_peer("admin2", federationRef={"name": "fed2"})
    await admin.condition(FEDERATIONS, "fed2", "Ready", "True")
    await join(other, "joined2", await invite(admin, "fed2", "admin2"))
    await other.condition(PEERS, "joined2", "Joined", "True", "Granted")
    await other.condition(PEERS, "joined2", "NodeReady", "False", "Starting")
    config = NodeConfig.model_validate_json(await other.secret("joined2-node", "node.json"))
    assert config.membership is not None
    assert not config.membership.admin
    assert config.membership.nats is not None
    assert config.membership.nats.hosts == ("nats://nats.example.org:4222",)
    remote = f"remote-{config.uuid}"
    await admin.condition(PEERS, remote, "Granted", "True")
    document = await document_of(admin, "fed2")
    assert {member.name for member in document.active_members()} == {"admin2", "joined2"}
    assert set(document.keys[0].sealed_for) == {member.uuid for member in document.members}

    volume = f"joined2-{config.object_uid[:8]}"
    assert await other.kube.find(VOLUME_CLAIMS, other.namespace, volume)
    await other.kube.delete(PEERS, other.namespace, "joined2")
    await other.gone(PEERS, "joined2")
    await admin.gone(PEERS, remote)
    await other.gone(SECRETS, f"peer-{config.object_uid}", other.installation.namespace)
    after = await document_of(admin, "fed2")
    assert after.version > document.version
    removed = after.member(config.uuid)
    assert removed is not None
    assert removed.state == "removed"
    assert [key.generation for key in after.keys] == [1, 2]
    assert {uuid for key in after.keys for uuid in key.sealed_for} == {m.uuid for m in after.active_members()}
    assert await admin.kube.find(SECRETS, admin.namespace, f"{remote}-grant") is None


async def test_refused_invitation_is_final(customers: tuple[Customer, Customer]) -> None:
    admin, other = customers
    await admin.create_federation("fed3")
    await admin.create_peer("admin3", federationRef={"name": "fed3"})
    await admin.condition(FEDERATIONS, "fed3", "Ready", "True")
    invitation = await invite(admin, "fed3", "admin3")
    await admin.kube.delete(CONFIG_MAPS, admin.namespace, invitation_claim(str(invitation["fed_req_token"])))
    await join(other, "joined3", invitation)
    await other.condition(PEERS, "joined3", "Joined", "False", "InvitationRefused")
    await other.condition(PEERS, "joined3", "Ready", "False", "InvitationRefused")
    assert await other.kube.find(STATEFUL_SETS, other.namespace, "joined3") is None
    await other.kube.delete(PEERS, other.namespace, "joined3")
    await other.gone(PEERS, "joined3")


async def test_silent_admin_is_asked_again(customers: tuple[Customer, Customer]) -> None:
    admin, other = customers
    await admin.create_federation("fed4")
    await admin.create_peer("admin4", federationRef={"name": "fed4"})
    invitation = await invite(admin, "fed4", "admin4")
    url = f"http://127.0.0.1:{free_port()}/symetry/rest/c/fedml/p/createPolicies"
    await join(other, "joined4", {**invitation, "fed_rest_url": url})
    await other.condition(PEERS, "joined4", "Joined", "False", "AdminUnreachable")


async def test_deleting_a_federation_frees_everything(customers: tuple[Customer, Customer]) -> None:
    admin, _ = customers
    await admin.create_federation("fed5")
    await admin.create_peer("admin5", federationRef={"name": "fed5"})
    await admin.condition(PEERS, "admin5", "Joined", "True")
    federation, peer = await admin.federation("fed5"), await admin.peer("admin5")
    await admin.kube.delete(FEDERATIONS, admin.namespace, "fed5")
    waiting = await admin.condition(FEDERATIONS, "fed5", "Ready", "False", "HasMembers")
    assert "admin5" in waiting.message
    await admin.create_peer("late5", federationRef={"name": "fed5"})
    said = await admin.condition(PEERS, "late5", "Joined", "False", "AwaitingAdmin")
    assert said.message.startswith("Federation fed5: HasMembers: deletion waits for the members: ")
    for name in ("late5", "admin5"):
        await admin.kube.delete(PEERS, admin.namespace, name)
        await admin.gone(PEERS, name)
    await admin.gone(FEDERATIONS, "fed5")
    uid, system = peer.metadata.uid, admin.installation.namespace
    for name in (f"fed-{federation.metadata.uid}", f"member-{uid}", f"peer-{uid}"):
        assert await admin.kube.find(SECRETS, system, name) is None


async def test_what_is_refused_says_why(customers: tuple[Customer, Customer]) -> None:
    admin, _ = customers
    await admin.create_federation("sum", secureSum=True)
    await admin.condition(FEDERATIONS, "sum", "Ready", "False", "NotSupported")
    await admin.create_federation("outside", nats={"hosts": ["nats://127.0.0.1:1"]})
    await admin.condition(FEDERATIONS, "outside", "Ready", "False", "Unreachable")
    await admin.condition(FEDERATIONS, "outside", "Secure", "False")
    await admin.create_peer("first", project="p1")
    await admin.condition(PEERS, "first", "NodeReady", "False", "Starting")
    await admin.create_peer("second", project="p1")
    await admin.condition(PEERS, "second", "Ready", "False", "NameTaken")
    assert (await admin.peer("first")).status.slot == 1
    await admin.create_peer("third")
    await admin.condition(PEERS, "third", "NodeReady", "False", "Starting")
    assert (await admin.peer("third")).status.slot == 2


async def test_pending_pod_says_why(customers: tuple[Customer, Customer]) -> None:
    admin, _ = customers
    await admin.create_peer("gpu6", compute={"type": "gpu"})
    await admin.condition(PEERS, "gpu6", "NodeReady", "False", "Starting")
    found = await admin.kube.get(STATEFUL_SETS, admin.namespace, "gpu6")
    template = found["spec"]["template"]  # type: ignore[index, call-overload]  # JSON of the API server
    container = template["spec"]["containers"][0]  # type: ignore[index, call-overload]  # the same
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "1"}  # type: ignore[index, call-overload]
    labels = template["metadata"]["labels"]  # type: ignore[index, call-overload]  # the same
    pod: JsonObject = {
        "metadata": {"name": "gpu6-0", "labels": labels},
        "spec": {"containers": [{"name": "node", "image": "symfed-node:test"}]},
    }
    await admin.kube.create(PODS, admin.namespace, pod)
    condition: JsonObject = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "Insufficient nvidia.com/gpu",
    }
    status: JsonObject = {"status": {"conditions": [condition]}}
    await admin.kube.patch(PODS, admin.namespace, "gpu6-0", status, manager="tests", subresource="status")
    said = await admin.condition(PEERS, "gpu6", "NodeReady", "False", "Unschedulable")
    assert said.message == "Insufficient nvidia.com/gpu"


async def test_gateway_role_names_its_secrets(customers: tuple[Customer, Customer]) -> None:
    admin, _ = customers
    await admin.create_federation("fed7")
    await admin.create_peer("local7")

    async def readable() -> list[str] | None:
        role = await admin.kube.find(ROLES, admin.namespace, "symfed-gateway")
        names = role["rules"][0]["resourceNames"] if role else []  # type: ignore[index, call-overload]
        return sorted(str(name) for name in names) if len(names) == 3 else None  # type: ignore[arg-type, union-attr]

    names = await admin.until("the gateway's Role names three Secrets", readable)
    assert names == ["fed7-federation", "local7-token", "symfed-customer"]


async def test_two_namespaces_of_one_customer_serve_nobody(customers: tuple[Customer, Customer]) -> None:
    admin, other = customers
    await admin.there(ROLES, "symfed-gateway")
    await other.there(ROLES, "symfed-gateway")
    labels: JsonObject = {"metadata": {"labels": {"symfed.dev/customer": admin.namespace}}}
    await admin.kube.patch(NAMESPACES, None, other.namespace, labels, manager="tests")
    await other.gone(ROLES, "symfed-gateway")
    touched: JsonObject = {"metadata": {"annotations": {"example.org/touched": "yes"}}}
    await admin.kube.patch(NAMESPACES, None, admin.namespace, touched, manager="tests")
    await admin.gone(ROLES, "symfed-gateway")
    for customer in customers:
        events = await customer.kube.list_all(EVENTS, customer.namespace)
        assert "CustomerTaken" in {event["reason"] for event in events}


async def test_expired_invitations_are_swept(customers: tuple[Customer, Customer]) -> None:
    admin, _ = customers
    await admin.create_federation("fed8")
    past = datetime.now(UTC) - timedelta(minutes=1)
    expired = await invite(admin, "fed8", "admin8", past)
    good = await invite(admin, "fed8", "admin8")
    await admin.create_peer("admin8", federationRef={"name": "fed8"})
    await admin.gone(CONFIG_MAPS, invitation_claim(str(expired["fed_req_token"])))
    kept = invitation_claim(str(good["fed_req_token"]))
    assert await admin.kube.find(CONFIG_MAPS, admin.namespace, kept)


async def test_old_records_of_jobs_are_swept(customers: tuple[Customer, Customer]) -> None:
    admin, _ = customers
    now = datetime.now(UTC)
    for number, age in ((1, timedelta(minutes=61)), (2, timedelta(minutes=59))):
        metadata: JsonObject = {"name": job_record(number), "labels": {JOB_LABEL: "true"}}
        data: JsonObject = {"started": (now - age).isoformat()}
        await admin.kube.create(CONFIG_MAPS, admin.namespace, {"metadata": metadata, "data": data})
    await admin.create_peer("sweeping")  # whose event makes the operator look
    await admin.gone(CONFIG_MAPS, job_record(1))
    assert await admin.kube.find(CONFIG_MAPS, admin.namespace, job_record(2))


async def test_killed_operator_goes_on_with_the_same_identities(customers: tuple[Customer, Customer]) -> None:
    admin, _ = customers
    await admin.create_federation("fed9")
    await admin.create_peer("admin9", federationRef={"name": "fed9"})
    running = admin.installation.processes["operator"]
    running.kill()
    running.wait()
    admin.installation.start_operator()
    await admin.condition(PEERS, "admin9", "Joined", "True")
    before = await document_of(admin, "fed9")
    running = admin.installation.processes["operator"]
    running.kill()
    running.wait()
    admin.installation.start_operator()
    await admin.create_peer("second9", federationRef={"name": "fed9"})
    await admin.condition(PEERS, "second9", "Joined", "True")
    after = await document_of(admin, "fed9")
    assert after.version == before.version + 1
    assert [m.uuid for m in before.members] == [m.uuid for m in after.members if m.admin]


async def test_stopped_operator_gives_its_lease_back(customers: tuple[Customer, Customer]) -> None:
    admin, _ = customers
    await admin.there(ROLES, "symfed-gateway")  # it leads
    installation = admin.installation
    running = installation.processes["operator"]
    running.terminate()
    assert await asyncio.to_thread(running.wait, 20) == 0
    lease = await admin.kube.get(LEASES, installation.namespace, "symfed-operator")
    assert "holderIdentity" not in lease["spec"]  # type: ignore[operator]  # a mapping by its schema
    installation.start_operator()
    await admin.create_peer("local10")
    await admin.condition(PEERS, "local10", "NodeReady", "False", "Starting")
