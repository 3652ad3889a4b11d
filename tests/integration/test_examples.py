"""The manifests that users start from are taken by the API server, and lead to the backend that they name."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from symfed_operator.backends.absent import AbsentBackend
from symfed_operator.backends.base import CredentialsMissingError
from symfed_operator.backends.choice import Backends
from symfed_operator.backends.nats.external_backend import ExternalNatsBackend
from symfed_wire.kube import FEDERATIONS, PEERS, SECRETS, Kube
from symfed_wire.resources import Federation

EXAMPLES = Path(__file__).parents[2] / "examples"
KINDS = {"Secret": SECRETS, "Federation": FEDERATIONS, "FederationPeer": PEERS}


def documents(name: str, namespace: str) -> list[dict[str, Any]]:
    """The objects of an example, for a namespace of the test's own."""
    found = [item for item in yaml.safe_load_all((EXAMPLES / name).read_text()) if item["kind"] in KINDS]
    for item in found:
        item["metadata"]["namespace"] = namespace
    return found


@pytest.mark.parametrize("name", sorted({path.name for path in EXAMPLES.glob("*.yaml")} - {"customer.yaml"}))
async def test_an_example_is_taken(kube: Kube, namespace: str, name: str) -> None:
    items = documents(name, namespace)
    assert items
    for item in items:
        await kube.create(KINDS[item["kind"]], namespace, item)


async def test_the_example_on_somebody_elses_nats_leads_there(kube: Kube, namespace: str) -> None:
    secret, written, _ = documents("federation-external-nats.yaml", namespace)
    federation = Federation.model_validate(await kube.create(FEDERATIONS, namespace, written))
    backends = Backends(kube, AbsentBackend())
    with pytest.raises(CredentialsMissingError, match=f"Secret {namespace}/heart-study-nats .* is missing"):
        await backends.of(federation)
    await kube.create(SECRETS, namespace, secret)
    assert isinstance(await backends.of(federation), ExternalNatsBackend)
