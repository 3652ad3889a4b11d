"""What resources say of somebody else's NATS, and what is left there when they go; with an operator."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from symfed_wire.kube import FEDERATIONS, PEERS, SECRETS, JsonObject, Kube
from tests.integration.external_nats import PASSWORD, ExternalNats, external_server
from tests.integration.operator_process import Customer, Installation, new_customer

NEW_PASSWORD = "an0ther pass"


@pytest.fixture
async def admin(quick_operator: Installation, kube: Kube) -> Customer:
    """A customer with a namespace of its own."""
    return await new_customer(quick_operator, kube)


@contextmanager
def running(folder: Path) -> Iterator[ExternalNats]:
    """Somebody else's NATS, to which one logs in by password."""
    nats = external_server(folder, PASSWORD)
    with nats.server:
        yield nats


def change_password(nats: ExternalNats, folder: Path) -> None:
    """As its administrator does."""
    config = folder / "external.conf"
    config.write_text(config.read_text().replace(str(PASSWORD.login.password), NEW_PASSWORD))
    nats.server.stop()
    nats.server.start()


async def put_login(admin: Customer, password: str) -> None:
    """The Secret that the spec names, made or changed."""
    body: JsonObject = {"metadata": {"name": "login"}, "stringData": {"user": "fed", "password": password}}
    if await admin.kube.find(SECRETS, admin.namespace, "login") is None:
        await admin.kube.create(SECRETS, admin.namespace, {"type": "Opaque", **body})
    else:
        await admin.kube.patch(SECRETS, admin.namespace, "login", body, manager="tests")


async def create(admin: Customer, nats: ExternalNats, policy: str = "Delete") -> None:
    """A federation and its admin's peer."""
    spec: JsonObject = {
        "hosts": [nats.url],
        "credentialsSecretRef": {"name": "login"},
        "streamMaxBytes": "16Mi",
    }
    await admin.create_federation("fed", nats=spec, deletionPolicy=policy)
    await admin.create_peer("one", federationRef={"name": "fed"}, deletionPolicy=policy)


async def streams(nats: ExternalNats) -> set[str]:
    async with nats.somebody() as connection:
        return {info.config.name or "" for info in await connection.jetstream().streams_info()}


async def test_a_login_that_is_wrong_or_changes(admin: Customer, tmp_path: Path) -> None:
    with running(tmp_path) as nats:
        await create(admin, nats)
        missing = await admin.condition(FEDERATIONS, "fed", "BackendReady", "False", "CredentialsMissing")
        assert "create it" in missing.message
        await put_login(admin, "wrong")
        refused = await admin.condition(FEDERATIONS, "fed", "BackendReady", "False", "AuthorizationFailed")
        assert refused.message == (
            f"NATS at {nats.url} refuses the login that all members of the federation share. "
            f"Check Secret {admin.namespace}/login"
        )
        await admin.condition(PEERS, "one", "Joined", "False", "AwaitingAdmin", "Federation fed: ")
        await put_login(admin, str(PASSWORD.login.password))
        made = await admin.condition(FEDERATIONS, "fed", "BackendReady", "True", "Current")
        assert made.message == "stream and document are as they must be"
        shared = await admin.condition(FEDERATIONS, "fed", "Secure", "False", "SharedAccount")
        assert shared.message == "one account for all: isolation rests on signatures alone"
        await admin.condition(FEDERATIONS, "fed", "Ready", "True")
        await admin.condition(PEERS, "one", "BackendReady", "True", "Current")

        change_password(nats, tmp_path)
        await admin.condition(FEDERATIONS, "fed", "BackendReady", "False", "AuthorizationFailed")
        told = await admin.condition(PEERS, "one", "BackendReady", "False", "AuthorizationFailed")
        assert "Check the Federation's credentialsSecretRef" in told.message
        await admin.condition(PEERS, "one", "Joined", "True")
        await put_login(admin, NEW_PASSWORD)
        await admin.condition(FEDERATIONS, "fed", "BackendReady", "True", "Current")
        await admin.condition(PEERS, "one", "BackendReady", "True", "Current")

        async def is_told() -> bool | None:
            node = json.loads(await admin.secret("one-node", "node.json"))
            return node["membership"]["nats_login"]["password"] == NEW_PASSWORD or None

        await admin.until("the node is told the new login", is_told)
        log = admin.installation.log("operator").read_text()
        assert NEW_PASSWORD not in log
        assert str(PASSWORD.login.password) not in log


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
async def test_what_is_left_when_a_federation_goes(admin: Customer, tmp_path: Path, policy: str) -> None:
    with running(tmp_path) as nats:
        await put_login(admin, str(PASSWORD.login.password))
        await create(admin, nats, policy)
        await admin.condition(PEERS, "one", "Ready", "False")  # there is no one to start its pod
        await admin.condition(PEERS, "one", "BackendReady", "True")
        made = await streams(nats)
        uid = (await admin.federation("fed")).metadata.uid
        assert made == {f"SF_{uid}_federation", f"SF_{uid}_{(await admin.peer('one')).status.uuid}"}
        await admin.kube.delete(FEDERATIONS, admin.namespace, "fed")
        await admin.condition(FEDERATIONS, "fed", "Ready", "False", "HasMembers")
        await admin.kube.delete(PEERS, admin.namespace, "one")
        await admin.gone(PEERS, "one")
        await admin.gone(FEDERATIONS, "fed")
        assert await streams(nats) == (made if policy == "Retain" else set())
        await admin.kube.delete(SECRETS, admin.namespace, "login")
        await admin.gone(SECRETS, "login")
