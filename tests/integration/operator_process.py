"""The operator and a gateway as processes with the chart's own rights, and what tests do with customers."""

import asyncio
import base64
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import JsonValue

from symfed_wire.documents import FEDERATION_CONTEXT, FederationDocument, verify_document
from symfed_wire.join import JoinAnswer
from symfed_wire.kube import CONFIG_MAPS, FEDERATIONS, NAMESPACES, PEERS, SECRETS, JsonObject, Kube, Resource
from symfed_wire.names import invitation_claim
from symfed_wire.resources import Condition, Federation, FederationPeer, find_condition
from tests.integration.leftovers import remove_leftovers
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
    environments: dict[str, dict[str, str]] = field(default_factory=dict)
    killed: set[str] = field(default_factory=set)

    def start(self, part: str, environment: dict[str, str]) -> None:
        """Start `operator` or `gateway`."""
        self.environments[part] = environment
        kubeconfig = self.folder / f"{part}.kubeconfig"
        self.control_plane.write_service_account_kubeconfig(kubeconfig, self.namespace, f"symfed-{part}")
        self.environments[part] = {"PATH": "/usr/bin:/bin", "KUBECONFIG": str(kubeconfig), **environment}
        with self.log(part).open("ab") as log:
            self.processes[part] = subprocess.Popen(
                [PROGRAMS / f"symfed-{part}"],
                env=self.environments[part],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.killed.discard(part)

    def start_operator(self, **changes: str) -> None:
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
                **changes,
            },
        )

    def start_gateway(self, **changes: str) -> None:
        """Start the gateway, to which joins and leaves go."""
        listen = self.gateway_url.removeprefix("http://")
        self.start(
            "gateway",
            {
                "SYMFED_LISTEN": listen,
                "SYMFED_NATS_HOSTS": self.nats.url,
                "SYMFED_EXTERNAL_URL": self.gateway_url,
                **changes,
            },
        )

    def kill(self, part: str) -> None:
        """End a part as a crash does; it stays down until it is started."""
        self.killed.add(part)
        self.processes[part].kill()
        self.processes[part].wait()

    @contextmanager
    def changed(self, part: str, **changes: str) -> Iterator[None]:
        """A part killed and started again with a changed environment, and in the end as it was."""
        before = self.environments[part]
        self.kill(part)
        self.start(part, before | changes)
        try:
            yield
        finally:
            self.kill(part)
            self.start(part, before)

    def start_again(self, part: str) -> None:
        """Start a part that has ended, as it was started before."""
        self.processes[part].wait(SECONDS)
        self.start(part, self.environments[part])

    def start_ended(self) -> None:
        """Start what has ended by itself, as a Deployment does."""
        for part, process in list(self.processes.items()):
            if part not in self.killed and process.poll() is not None:
                self.start(part, self.environments[part])

    def stop_operator(self) -> None:
        """Stop the operator as a pod's end does."""
        self.processes["operator"].terminate()
        self.processes["operator"].wait(20)

    def log(self, part: str) -> Path:
        """What a part printed."""
        return self.folder / f"{part}.log"

    def stop(self) -> None:
        """Stop both."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(20)


@contextmanager
def running_installation(control_plane: ControlPlane, folder: Path) -> Iterator[Installation]:
    """An installation with operator and gateway started; members elsewhere could not reach its NATS."""
    with installed(control_plane, folder) as installation:
        installation.start_operator()
        installation.start_gateway()
        yield installation


@contextmanager
def installed(control_plane: ControlPlane, folder: Path) -> Iterator[Installation]:
    """A namespace with the chart's accounts and rights, and NATS with its bootstrap; no part runs yet."""
    remove_leftovers(control_plane)
    namespace = f"system-{secrets.token_hex(4)}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    control_plane.apply(dict(body), f"/api/v1/namespaces/{namespace}")
    for part in ("operator", "gateway"):
        for item in chart_objects(part, namespace):
            control_plane.apply(item, path_of(item))
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
    with NatsServer(folder / "symfed-nats-config-nats.conf", folder / "nats") as nats:
        url = f"http://127.0.0.1:{free_port()}"
        running = Installation(control_plane, namespace, folder, nats, url)
        try:
            yield running
        finally:
            running.stop()


async def new_customer(installation: Installation, kube: Kube) -> "Customer":
    """A customer with a namespace and a key of its own."""
    name = f"customer-{secrets.token_hex(4)}"
    labels: JsonObject = {"symfed.dev/customer": name}
    await kube.create(NAMESPACES, None, {"metadata": {"name": name, "labels": labels}})
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    body: JsonObject = {"metadata": {"name": "symfed-customer"}, "stringData": {"secretKey": key}}
    await kube.create(SECRETS, name, body)
    return Customer(installation, kube, name)


def chart_objects(part: str, namespace: str) -> list[dict[str, object]]:
    """The objects of the chart's `rbac.yaml` of a part; its few template lines carry only labels."""
    text = (TEMPLATES / part / "rbac.yaml").read_text().replace("{{ .Release.Namespace }}", namespace)
    plain = re.sub(r"(?m)^ *(labels:|\{\{-.*\}\})\n", "", text)
    return [document for document in yaml.safe_load_all(plain) if document]


def path_of(item: dict[str, object]) -> str:
    """The path of a ServiceAccount or an object of RBAC."""
    metadata, kind = item["metadata"], str(item["kind"])
    assert isinstance(metadata, dict)
    version = str(item["apiVersion"])
    group = "/api/v1" if version == "v1" else f"/apis/{version}"
    scope = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{group}{scope}/{kind.lower()}s/{metadata['name']}"


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
        self, resource: Resource, name: str, kind: str, status: str, reason: str = "", words: str = ""
    ) -> Condition:
        """Wait for a condition with this status, and if given with this reason and these words."""

        async def read() -> Condition | None:
            if resource is FEDERATIONS:
                found = find_condition((await self.federation(name)).status.conditions, kind)
            else:
                found = find_condition((await self.peer(name)).status.conditions, kind)
            if found is None or found.status != status or reason not in ("", found.reason):
                return None
            return found if words in found.message else None

        return await self.until(f"{resource.kind} {name}: {kind}={status} {reason} {words}".rstrip(), read)

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
