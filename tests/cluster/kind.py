"""The cluster where Docker runs: kind."""

import json

from tests.cluster import kubectl
from tests.cluster.console import ClusterError, run, step
from tests.cluster.images import Image
from tests.cluster.layout import HANDOVER, REPOSITORY

NAME = "symfed"
CONFIG = REPOSITORY / "kind-config.yaml"


def up() -> None:
    """Makes the cluster unless it is there and hands its kubeconfig to the checkout."""
    HANDOVER.mkdir(mode=0o700, exist_ok=True)
    if NAME not in run(["kind", "get", "clusters"]).split():
        with step("kind cluster"):
            run(
                [
                    "kind",
                    "create",
                    "cluster",
                    f"--config={CONFIG}",
                    f"--kubeconfig={kubectl.KUBECONFIG}",
                    "--wait=3m",
                ]
            )
    run(["kind", "export", "kubeconfig", f"--name={NAME}", f"--kubeconfig={kubectl.KUBECONFIG}"])


def load(image: Image) -> None:
    """Hands an image of Docker's to the cluster's node."""
    with step(f"handing {image.name} to kind"):
        run(["kind", "load", "docker-image", image.name, f"--name={NAME}"])


def address() -> str:
    """The node's address in Docker's network, where node ports answer from the host and from pods alike."""
    networks = json.loads(
        run(["docker", "inspect", "--format={{json .NetworkSettings.Networks}}", f"{NAME}-control-plane"])
    )
    found = networks.get("kind", {}).get("IPAddress")
    if not found:
        raise ClusterError(
            f"the container {NAME}-control-plane has no address in Docker's network `kind`: {networks}"
        )
    return str(found)


def down() -> None:
    """Removes the cluster; one that is not there is no matter."""
    with step("kind cluster"):
        run(["kind", "delete", "cluster", f"--name={NAME}"])
