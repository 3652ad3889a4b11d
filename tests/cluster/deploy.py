"""The chart on the cluster, its two customers, and what tests and users need to reach them."""

import base64
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from symfed_wire.client import Client
from symfed_wire.errors import SymfedError
from tests.cluster import kubectl
from tests.cluster.console import ClusterError, eventually, run, step
from tests.cluster.gobuild import program
from tests.cluster.images import Image
from tests.cluster.layout import (
    GATEWAY_PORT,
    HANDOVER,
    NATS_PORT,
    RELEASE,
    RELEASE_NAMESPACE,
    REPOSITORY,
)

CHART = REPOSITORY / "helm" / "symfed"
VALUES = HANDOVER / "values.yaml"
ENVIRONMENT = HANDOVER / "env"
CUSTOMERS = {"c1": "customer-1", "c2": "customer-2"}  # cid → namespace
SECRET = "symfed-customer"


def install(images: Mapping[str, Image], address: str) -> None:
    """Installs or upgrades the chart and waits until all of it runs.

    images: those of operator, gateway and node, and of nats where the chart's own does not serve.
    Raises ClusterError with the pods' state when it does not come up.
    """
    VALUES.write_text(yaml.safe_dump(values(images, address)))
    forget_interrupted()
    command: list[str | Path] = [
        program("helm"),
        "upgrade",
        "--install",
        RELEASE,
        CHART,
        f"--namespace={RELEASE_NAMESPACE}",
        "--create-namespace",
        f"--kubeconfig={kubectl.KUBECONFIG}",
        f"--values={VALUES}",
        "--wait",
        "--timeout=3m",
    ]
    with step("chart"):
        try:
            run(command)
        except ClusterError as error:
            raise ClusterError(f"{error}\n{seen(RELEASE_NAMESPACE)}") from error


def values(images: Mapping[str, Image], address: str) -> dict[str, Any]:
    """The chart's values for a cluster whose node ports answer at this address, from host and pods alike."""
    return {
        "images": {name: {"repository": one.repository, "tag": one.tag} for name, one in images.items()},
        "gateway": {
            "externalUrl": gateway_url(address),
            "service": {"type": "NodePort", "nodePort": GATEWAY_PORT},
        },
        "nats": {
            "advertisedHosts": nats_hosts(address),
            "service": {"type": "NodePort", "nodePort": NATS_PORT},
        },
    }


def gateway_url(address: str) -> str:
    """Where the gateway answers."""
    return f"http://{address}:{GATEWAY_PORT}"


def nats_hosts(address: str) -> str:
    """The embedded NATS as a `nats_hosts` value."""
    return f"nats://{address}:{NATS_PORT}"


def forget_interrupted() -> None:
    """Removes Helm's record of a run that was killed: Helm refuses to go on over it."""
    pending = "owner=helm,name=symfed,status in (pending-install,pending-upgrade,pending-rollback)"
    kubectl.kubectl("delete", "secret", f"--namespace={RELEASE_NAMESPACE}", f"--selector={pending}")


def seen(namespace: str) -> str:
    """The pods of a namespace, its last events and the last lines of what does not run."""
    parts = [
        kubectl.kubectl("get", "pods,jobs,pvc", f"--namespace={namespace}", "--output=wide"),
        kubectl.kubectl("get", "events", f"--namespace={namespace}", "--sort-by=.lastTimestamp"),
    ]
    parts[1] = "\n".join(parts[1].splitlines()[-15:])
    for pod in kubectl.items("pods", f"--namespace={namespace}"):
        ready = [one for one in pod["status"].get("conditions", []) if one["type"] == "Ready"]
        if pod["status"]["phase"] == "Succeeded" or (ready and ready[0]["status"] == "True"):
            continue
        name = pod["metadata"]["name"]
        try:
            lines = kubectl.kubectl("logs", name, f"--namespace={namespace}", "--all-containers", "--tail=15")
        except ClusterError as error:  # a container that never ran has no log
            lines = str(error).splitlines()[-1]
        parts.append(f"--- log of {name}\n{lines}")
    return "\n".join(parts)


def wait_serving(address: str, customers: Mapping[str, str]) -> None:
    """Waits until the gateway serves each customer: until the operator has let it read the customer's key."""

    def ask() -> str | None:
        for customer, key in customers.items():
            try:
                with Client(gateway_url(address), customer, key, patience=0) as client:
                    client.projects()
            except SymfedError as error:
                return f"{gateway_url(address)}, customer {customer}: {error}"
        return None

    eventually("the gateway serves its customers", 60, ask)


def images_in_use() -> set[str]:
    """The images that the containers of all pods are made of."""
    return {
        one["image"] for pod in kubectl.items("pods", "--all-namespaces") for one in pod["spec"]["containers"]
    }


def ensure_customers() -> dict[str, str]:
    """Makes the customers' namespaces and secret keys; keys that are there stay. Answers cid → key."""
    for cid, namespace in CUSTOMERS.items():
        labels = {"symfed.dev/customer": cid}
        kubectl.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}},
        )
        if kubectl.get("secret", SECRET, f"--namespace={namespace}") is None:
            key = base64.b64encode(secrets.token_bytes(16)).decode()
            metadata = {"name": SECRET, "namespace": namespace}
            kubectl.apply(
                {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"secretKey": key}}
            )
    return {cid: secret_key(namespace) for cid, namespace in CUSTOMERS.items()}


def secret_key(namespace: str) -> str:
    """The secret key of the namespace's customer, as the customer is given it."""
    found = kubectl.get("secret", SECRET, f"--namespace={namespace}")
    if found is None or "secretKey" not in found.get("data", {}):
        raise ClusterError(
            f"Secret {namespace}/{SECRET} has no key `secretKey`: delete it, then `make up` again"
        )
    return base64.b64decode(found["data"]["secretKey"]).decode()


def write_environment(address: str, customers: Mapping[str, str]) -> None:
    """Writes `.symfed/env`, to be read by `. .symfed/env`."""
    (first, first_key), (second, second_key) = customers.items()
    variables = {
        "KUBECONFIG": str(kubectl.KUBECONFIG),
        "SYMFED_URL": gateway_url(address),
        "SYMFED_NATS": nats_hosts(address),
        "SYMFED_CUSTOMER": first,
        "SYMFED_SECRET_KEY": first_key,
        "SYMFED_CUSTOMER_2": second,
        "SYMFED_SECRET_KEY_2": second_key,
    }
    text = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
    half = ENVIRONMENT.with_suffix(".half")
    half.touch(mode=0o600)
    half.write_text(text)
    half.replace(ENVIRONMENT)
