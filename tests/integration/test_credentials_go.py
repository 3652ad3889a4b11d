"""Secrets with credentials hold up nothing: neither one that is named no more, nor one that is missing."""

from pathlib import Path

import pytest

from symfed_wire.kube import FEDERATIONS, NAMESPACES, PEERS, SECRETS, JsonObject, Kube
from symfed_wire.names import FINALIZER
from symfed_wire.resources import ObjectMeta
from tests.integration.external_nats import PASSWORD, external_server
from tests.integration.operator_process import Customer, Installation, new_customer
from tests.integration.servers import free_port


@pytest.fixture
async def customer(quick_operator: Installation, kube: Kube) -> Customer:
    return await new_customer(quick_operator, kube)


async def make_login(customer: Customer, name: str) -> None:
    login = {"user": str(PASSWORD.login.user), "password": str(PASSWORD.login.password)}
    body: JsonObject = {"metadata": {"name": name}, "type": "Opaque", "stringData": {**login}}
    await customer.kube.create(SECRETS, customer.namespace, body)


async def wait_for_finalizer(customer: Customer, name: str, *, is_there: bool) -> None:
    async def read() -> bool | None:
        secret = await customer.kube.get(SECRETS, customer.namespace, name)
        has_it = FINALIZER in ObjectMeta.model_validate(secret["metadata"]).finalizers
        return has_it is is_there or None

    await customer.until(f"Secret {name}: finalizer {is_there}", read)


async def test_a_secret_that_is_named_no_more_is_let_go(
    customer: Customer, programs: None, tmp_path: Path
) -> None:
    nats = external_server(tmp_path, PASSWORD)
    with nats.server:
        await make_login(customer, "old")
        await make_login(customer, "new")
        spec: JsonObject = {"hosts": [nats.url], "credentialsSecretRef": {"name": "old"}}
        await customer.create_federation("fed", nats={**spec, "streamMaxBytes": "16Mi"})
        await customer.condition(FEDERATIONS, "fed", "BackendReady", "True")
        await wait_for_finalizer(customer, "old", is_there=True)
        changed: JsonObject = {"spec": {"nats": {"credentialsSecretRef": {"name": "new"}}}}
        await customer.kube.patch(FEDERATIONS, customer.namespace, "fed", changed, manager="tests")
        await wait_for_finalizer(customer, "new", is_there=True)
        await wait_for_finalizer(customer, "old", is_there=False)
        await customer.kube.delete(FEDERATIONS, customer.namespace, "fed")
        await customer.gone(FEDERATIONS, "fed")
        await wait_for_finalizer(customer, "new", is_there=False)


@pytest.mark.parametrize("policy", ["Delete", "Retain"])
async def test_a_namespace_goes_though_a_secret_was_never_there(customer: Customer, policy: str) -> None:
    """Nobody can make one in it any more."""
    hosts: JsonObject = {
        "hosts": [f"nats://127.0.0.1:{free_port()}"],
        "credentialsSecretRef": {"name": "never"},
    }
    aws: JsonObject = {"region": "eu-central-1", "bucket": "bucket", "credentialsSecretRef": {"name": "no"}}
    await customer.create_federation("nats", nats=hosts, deletionPolicy=policy)
    body: JsonObject = {
        "metadata": {"name": "aws"},
        "spec": {"name": "aws", "schedule": "m1", "aws": aws, "deletionPolicy": policy},
    }
    await customer.kube.create(FEDERATIONS, customer.namespace, body)
    await customer.create_peer("one", federationRef={"name": "nats"}, deletionPolicy=policy)
    await customer.create_peer("two", federationRef={"name": "aws"}, deletionPolicy=policy)
    for name in ("nats", "aws"):
        await customer.condition(FEDERATIONS, name, "BackendReady", "False", "CredentialsMissing")
    await customer.kube.delete(FEDERATIONS, customer.namespace, "aws")
    await customer.condition(FEDERATIONS, "aws", "BackendReady", "False")
    await customer.kube.delete(NAMESPACES, None, customer.namespace)
    for resource, name in ((PEERS, "one"), (PEERS, "two"), (FEDERATIONS, "nats"), (FEDERATIONS, "aws")):
        await customer.kube.delete(resource, customer.namespace, name)
    for resource, name in ((PEERS, "one"), (PEERS, "two"), (FEDERATIONS, "nats"), (FEDERATIONS, "aws")):
        await customer.gone(resource, name)
