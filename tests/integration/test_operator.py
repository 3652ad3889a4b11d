"""The operator as a process, with the chart's own rights, against a real API server, NATS and gateway."""

import asyncio
import base64
import os
import re
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
import yaml

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
    KubeConfig,
    Resource,
)
from symfed_wire.node_config import NodeConfig
from symfed_wire.resources import Condition, Federation, FederationPeer, find_condition, invitation_claim
from tests.integration.servers import ControlPlane, NatsServer, free_port
from tests.integration.test_nats_backend import ConfiguredServer

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
        nats = stack.enter_context(ConfiguredServer(folder / "symfed-nats-config-nats.conf", folder / "nats"))
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

    async def create_federation(self, name: str, **spec: object) -> None:
        """A Federation on managed NATS."""
        body: JsonObject = {
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "name": name,
                "schedule": "m1",
                "nats": {"managed": {}},
                "deletionPolicy": "Delete",
                **spec,
            },  # type: ignore[dict-item]  # JSON by construction
        }
        await self.kube.create(FEDERATIONS, self.namespace, body)

    async def create_peer(self, name: str, **spec: object) -> None:
        """A hosted FederationPeer."""
        body: JsonObject = {
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"project": name, "deletionPolicy": "Delete", **spec},  # type: ignore[dict-item]  # JSON by construction
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
