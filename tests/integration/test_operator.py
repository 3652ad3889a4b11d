"""The operator as a process, with the chart's own rights, against a real API server, NATS and gateway."""

import asyncio
import base64
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
import yaml
from pydantic import JsonValue

from symfed_wire.documents import FEDERATION_CONTEXT, FederationDocument, verify_document
from symfed_wire.join import JoinAnswer
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
    Resource,
)
from symfed_wire.node_config import NodeConfig
from symfed_wire.resources import Condition, Federation, FederationPeer, find_condition, invitation_claim
from tests.integration.servers import ControlPlane, NatsServer, free_port

PROGRAMS = Path(sys.executable).parent
TEMPLATES = Path(__file__).parents[2] / "helm" / "symfed" / "templates"
SECONDS = 45.0
Found = TypeVar("Found")


@dataclass
class Installation:
    """The operator and a gateway, running with ServiceAccounts that have the chart's rights."""

    control_plane: ControlPlane
    namespace: str
    folder: Path
    nats: NatsServer
    gateway_url: str
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, part: str, environment: dict[str, str]) -> None:
        """Start `operator` or `gateway`."""
        kubeconfig = self.folder / f"{part}.kubeconfig"
        self.control_plane.write_service_account_kubeconfig(kubeconfig, self.namespace, f"symfed-{part}")
        with self.log(part).open("ab") as log:
            self.processes[part] = subprocess.Popen(
                [PROGRAMS / f"symfed-{part}"],
                env={"PATH": "/usr/bin:/bin", "KUBECONFIG": str(kubeconfig), **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def start_operator(self) -> None:
        """Start the operator; its lease is short, so that a successor need not wait long."""
        self.start(
            "operator",
            {
                "SYMFED_NAMESPACE": self.namespace,
                "SYMFED_NATS_INTERNAL_HOSTS": self.nats.url,
                "SYMFED_NATS_ADVERTISED_HOSTS": "nats://nats.example.org:4222",
                "SYMFED_NATS_OPERATOR_FILE": str(self.folder / "symfed-nats-operator-signing-seed"),
                "SYMFED_NATS_SYSTEM_CREDS": str(self.folder / "symfed-nats-system-user.creds"),
                "SYMFED_NODE_IMAGE": "symfed-node:test",
                "SYMFED_GATEWAY_SERVICE_ACCOUNT": f"{self.namespace}/symfed-gateway",
                "SYMFED_HEALTH_LISTEN": f"127.0.0.1:{free_port()}",
                "SYMFED_LEASE_SECONDS": "3",
                "SYMFED_LOG_LEVEL": "DEBUG",
            },
        )

    def start_gateway(self) -> None:
        """Start the gateway, to which joins and leaves go."""
        listen = self.gateway_url.removeprefix("http://")
        self.start(
            "gateway",
            {
                "SYMFED_LISTEN": listen,
                "SYMFED_NATS_HOSTS": self.nats.url,
                "SYMFED_EXTERNAL_URL": self.gateway_url,
            },
        )

    def log(self, part: str) -> Path:
        """What a part printed."""
        return self.folder / f"{part}.log"

    def stop(self) -> None:
        """Stop both."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(20)


def _chart_objects(part: str, namespace: str) -> list[dict[str, object]]:
    """The objects of the chart's `rbac.yaml` of a part; its few template lines carry only labels."""
    text = (TEMPLATES / part / "rbac.yaml").read_text().replace("{{ .Release.Namespace }}", namespace)
    plain = re.sub(r"(?m)^ *(labels:|\{\{-.*\}\})\n", "", text)
    return [document for document in yaml.safe_load_all(plain) if document]


def _path(item: dict[str, object]) -> str:
    """The path of a ServiceAccount or an object of RBAC."""
    metadata, kind = item["metadata"], str(item["kind"])
    assert isinstance(metadata, dict)
    version = str(item["apiVersion"])
    group = "/api/v1" if version == "v1" else f"/apis/{version}"
    scope = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{group}{scope}/{kind.lower()}s/{metadata['name']}"


@pytest.fixture(scope="module")
def installation(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """A namespace with the chart's accounts and rights, NATS with its bootstrap, operator and gateway."""
    folder, namespace = tmp_path_factory.mktemp("operator"), f"system-{secrets.token_hex(4)}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    control_plane.apply(dict(body), f"/api/v1/namespaces/{namespace}")
    for part in ("operator", "gateway"):
        for item in _chart_objects(part, namespace):
            control_plane.apply(item, _path(item))
    environment = {"KUBECONFIG": str(control_plane.kubeconfig), "SYMFED_NATS_DATA": str(folder / "nats")}
    subprocess.run(
        [PROGRAMS / "symfed-operator", "bootstrap-nats"],
        env={**os.environ, **environment, "SYMFED_NAMESPACE": namespace},
        check=True,
    )
    with control_plane.client() as client:
        for name in ("symfed-nats-operator", "symfed-nats-system", "symfed-nats-config"):
            secret = client.get(f"/api/v1/namespaces/{namespace}/secrets/{name}").raise_for_status().json()
            for key, value in secret["data"].items():
                (folder / f"{name}-{key}").write_bytes(base64.b64decode(value))
    with ExitStack() as stack:
        nats = stack.enter_context(NatsServer(folder / "symfed-nats-config-nats.conf", folder / "nats"))
        url = f"http://127.0.0.1:{free_port()}"
        running = Installation(control_plane, namespace, folder, nats, url)
        stack.callback(running.stop)
        running.start_operator()
        running.start_gateway()
        yield running


@dataclass(frozen=True)
class Customer:
    """A customer's namespace and what a test does there."""

    installation: Installation
    kube: Kube
    namespace: str

    async def create_federation(self, name: str, **spec: JsonValue) -> None:
        """A Federation on managed NATS."""
        body: JsonObject = {
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "name": name,
                "schedule": "m1",
                "nats": {"managed": {}},
                "deletionPolicy": "Delete",
                **spec,
            },
        }
        await self.kube.create(FEDERATIONS, self.namespace, body)

    async def create_peer(self, name: str, **spec: JsonValue) -> None:
        """A hosted FederationPeer."""
        body: JsonObject = {
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"project": name, "deletionPolicy": "Delete", **spec},
        }
        await self.kube.create(PEERS, self.namespace, body)

    async def federation(self, name: str) -> Federation:
        """The Federation as it is now."""
        return Federation.model_validate(await self.kube.get(FEDERATIONS, self.namespace, name))

    async def peer(self, name: str) -> FederationPeer:
        """The FederationPeer as it is now."""
        return FederationPeer.model_validate(await self.kube.get(PEERS, self.namespace, name))

    async def until(self, what: str, read: Callable[[], Awaitable[Found | None]]) -> Found:
        """Read until there is something; a failure ends with the operator's log."""
        deadline = asyncio.get_running_loop().time() + SECONDS
        while (found := await read()) is None:
            if asyncio.get_running_loop().time() > deadline:
                log = self.installation.log("operator").read_text().splitlines()[-60:]
                raise AssertionError("\n".join([f"not within {SECONDS} s: {what}", *log]))
            await asyncio.sleep(0.1)
        return found

    async def condition(
        self, resource: Resource, name: str, kind: str, status: str, reason: str = ""
    ) -> Condition:
        """Wait for a condition with this status, and reason if given."""

        async def read() -> Condition | None:
            if resource is FEDERATIONS:
                found = find_condition((await self.federation(name)).status.conditions, kind)
            else:
                found = find_condition((await self.peer(name)).status.conditions, kind)
            is_it = found is not None and found.status == status and reason in ("", found.reason)
            return found if is_it else None

        return await self.until(f"{resource.kind} {name}: {kind}={status} {reason}", read)

    async def there(self, resource: Resource, name: str) -> JsonObject:
        """Wait for an object."""

        async def read() -> JsonObject | None:
            return await self.kube.find(resource, self.namespace, name)

        return await self.until(f"{resource.kind} {name}", read)

    async def gone(self, resource: Resource, name: str, namespace: str | None = None) -> None:
        """Wait until an object is not there any more."""

        async def read() -> bool | None:
            return (await self.kube.find(resource, namespace or self.namespace, name)) is None or None

        await self.until(f"{resource.kind} {name} is gone", read)

    async def secret(self, name: str, key: str, namespace: str = "") -> str:
        """Wait for a Secret, and read a text in it."""

        async def read() -> JsonObject | None:
            return await self.kube.find(SECRETS, namespace or self.namespace, name)

        data = (await self.until(f"Secret {name}", read))["data"]
        assert isinstance(data, dict)
        return base64.b64decode(str(data[key])).decode()


@pytest.fixture
async def customers(installation: Installation, kube: Kube) -> tuple[Customer, Customer]:
    """Two customers with namespaces of their own."""
    made = []
    for _ in range(2):
        name = f"customer-{secrets.token_hex(4)}"
        labels: JsonObject = {"symfed.dev/customer": name}
        await kube.create(NAMESPACES, None, {"metadata": {"name": name, "labels": labels}})
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        await kube.create(
            SECRETS, name, {"metadata": {"name": "symfed-customer"}, "stringData": {"secretKey": key}}
        )
        made.append(Customer(installation, kube, name))
    return made[0], made[1]


async def invite(
    admin: Customer, federation: str, project: str, expires: datetime | None = None
) -> JsonObject:
    """What the gateway does for `getEncrypted`; returns the invitation's keys."""
    token = f"FEDTOKEN{secrets.token_hex(8)}"
    until = expires or datetime.now(UTC) + timedelta(hours=2)
    record: JsonObject = {
        "metadata": {"name": invitation_claim(token), "labels": {"symfed.dev/invitation": "true"}},
        "data": {
            "expires": until.isoformat(),
            "federation": federation,
            "uuid": "",
            "digest": "",
            "peerUid": "",
        },
    }
    await admin.kube.create(CONFIG_MAPS, admin.namespace, record)
    base = f"{admin.installation.gateway_url}/symetry/rest/{admin.namespace}"
    return {
        "fed_name": federation,
        "sync_sched": "m1",
        "fed_rest_url": f"{base}/fedml/{project}/createPolicies",
        "fed_req_token": token,
        "fed_secret_key": await admin.secret(f"{federation}-federation", "secretKey"),
        "fed_document_key": await admin.secret(f"{federation}-federation", "documentKey"),
    }


async def join(peer: Customer, name: str, invitation: JsonObject) -> None:
    """What the gateway does for `createJoin`."""
    secret = f"{name}-invitation-12345678"
    await peer.kube.create(SECRETS, peer.namespace, {"metadata": {"name": secret}, "stringData": invitation})
    await peer.create_peer(name, invitationSecretRef={"name": secret})


async def document_of(admin: Customer, name: str) -> FederationDocument:
    """The federation document that the operator keeps."""
    uid = (await admin.federation(name)).metadata.uid
    text = await admin.secret(f"fed-{uid}", "record.json", admin.installation.namespace)
    record = yaml.safe_load(text)
    key = await admin.secret(f"{name}-federation", "documentKey")
    signed = JoinAnswer.model_fields["document"].annotation
    assert signed is not None
    return verify_document(
        signed.model_validate(record["document"]), FEDERATION_CONTEXT, key, FederationDocument
    )


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
    assert (await document_of(admin, "fed2")).version > document.version
    removed = (await document_of(admin, "fed2")).member(config.uuid)
    assert removed is not None
    assert removed.state == "removed"
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
    await admin.kube.delete(PEERS, admin.namespace, "admin5")
    await admin.gone(PEERS, "admin5")
    await admin.gone(FEDERATIONS, "fed5")
    uid, system = peer.metadata.uid, admin.installation.namespace
    for name in (f"fed-{federation.metadata.uid}", f"member-{uid}", f"peer-{uid}"):
        assert await admin.kube.find(SECRETS, system, name) is None


async def test_what_is_refused_says_why(customers: tuple[Customer, Customer]) -> None:
    admin, _ = customers
    await admin.create_federation("sum", secureSum=True)
    await admin.condition(FEDERATIONS, "sum", "Ready", "False", "NotSupported")
    await admin.create_federation("outside", nats={"hosts": ["nats://nats.example.org:4222"]})
    await admin.condition(FEDERATIONS, "outside", "Ready", "False", "NotSupported")
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
