"""The hook that makes the NATS system's keys, against a real API server."""

import pytest

from symfed_operator.bootstrap import (
    BootstrapError,
    NatsServerSettings,
    bootstrap,
)
from symfed_wire.kube import SECRETS, JsonObject, Kube

SECRETS_MADE = ("symfed-nats-root", "symfed-nats-operator", "symfed-nats-system", "symfed-nats-config")


async def stored_secrets(kube: Kube, namespace: str) -> dict[str, JsonObject]:
    secrets = [await kube.get(SECRETS, namespace, name) for name in SECRETS_MADE]
    return {name: {"data": secret["data"]} for name, secret in zip(SECRETS_MADE, secrets, strict=True)}


async def test_the_hook_makes_the_identity_once(kube: Kube, namespace: str) -> None:
    settings = NatsServerSettings()
    await bootstrap(kube, namespace, settings)
    made = await stored_secrets(kube, namespace)
    await bootstrap(kube, namespace, settings)
    assert await stored_secrets(kube, namespace) == made
    for name in SECRETS_MADE[1:]:  # as a crash leaves them
        await kube.delete(SECRETS, namespace, name)
        await bootstrap(kube, namespace, settings)
        assert await stored_secrets(kube, namespace) == made


async def test_an_upgrade_changes_the_configuration_and_keeps_the_keys(kube: Kube, namespace: str) -> None:
    await bootstrap(kube, namespace, NatsServerSettings(nats_max_file_store="10Gi"))
    before = await stored_secrets(kube, namespace)
    await bootstrap(kube, namespace, NatsServerSettings(nats_max_file_store="20Gi"))
    after = await stored_secrets(kube, namespace)
    assert [name for name in SECRETS_MADE if before[name] != after[name]] == ["symfed-nats-config"]


async def test_a_lost_root_is_not_replaced_under_living_accounts(kube: Kube, namespace: str) -> None:
    await bootstrap(kube, namespace, NatsServerSettings())
    await kube.delete(SECRETS, namespace, "symfed-nats-root")
    with pytest.raises(BootstrapError, match="restore the symfed-nats-root"):
        await bootstrap(kube, namespace, NatsServerSettings())
