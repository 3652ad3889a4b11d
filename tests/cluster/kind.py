"""The cluster where Docker runs: kind."""

import json

from tests.cluster import kubectl
from tests.cluster.console import ClusterError, run, step
from tests.cluster.images import Image
from tests.cluster.kubectl import KUBECONFIG
from tests.cluster.layout import HANDOVER, REPOSITORY

NAME = "symfed"
CONFIG = REPOSITORY / "kind-config.yaml"


def up() -> None:
    """Makes the cluster unless it is there and hands its kubeconfig to the checkout.

    One that was interrupted while it was made is listed but does not answer: it is made anew.
    """
    HANDOVER.mkdir(mode=0o700, exist_ok=True)
    if NAME in run(["kind", "get", "clusters"]).split() and not _answers():
        down()
    if NAME not in run(["kind", "get", "clusters"]).split():
        with step("kind cluster"):
            run(
                ["kind", "create", "cluster", f"--config={CONFIG}", f"--kubeconfig={KUBECONFIG}", "--wait=3m"]
            )


def _answers() -> bool:
    try:
        run(["kind", "export", "kubeconfig", f"--name={NAME}", f"--kubeconfig={KUBECONFIG}"])
        kubectl.kubectl("get", "nodes")
    except ClusterError:
        return False
    return True


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
