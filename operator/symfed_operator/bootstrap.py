"""The identity of the embedded NATS system, made once in the cluster by the chart's hook."""

from dataclasses import dataclass

from symfed_wire.kube import Kube


@dataclass(frozen=True)
class NatsServerSettings:
    """What nats.conf depends on.

    Args:
        data_dir: the data volume; JetStream and the accounts' JWTs lie in it.
        max_file_store: JetStream's limit for all accounts together, in nats.conf's words (`100Gi`).
    """

    data_dir: str = "/data"
    max_file_store: str = "100Gi"


async def bootstrap(kube: Kube, namespace: str, settings: NatsServerSettings) -> None:
    """Makes the four Secrets that are missing; what is there stays."""
    raise NotImplementedError


def bootstrap_command() -> None:
    """`symfed-operator bootstrap-nats`: `bootstrap` with settings from the environment."""
    raise NotImplementedError
