"""The operator's settings, from environment variables with the prefix `SYMFED_`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def _split(value: object) -> object:
    """A comma separated list, as `nats_hosts` has it."""
    return (
        tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
    )


Hosts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """What `symfed-operator run` needs to know; each field is `SYMFED_` and its name in capitals.

    `namespace` is the operator's own. The two NATS files are mounted from the Secrets that
    `bootstrap-nats` makes. `gateway_service_account` is `<namespace>/<name>`. Times are in seconds.
    """

    model_config = SettingsConfigDict(env_prefix="SYMFED_", frozen=True)

    namespace: str = "symfed-system"
    nats_internal_hosts: Hosts
    nats_advertised_hosts: Hosts
    nats_operator_file: Path = Path("/etc/symfed/nats-operator/signing-seed")
    nats_system_creds: Path = Path("/etc/symfed/nats-system/user.creds")
    node_image: str
    node_gpu_image: str = ""
    """of peers with `compute.type: gpu`; empty: as the others"""
    node_image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    gateway_service_account: str = Field("symfed-system/symfed-gateway", pattern=r"^[a-z0-9-]+/[a-z0-9.-]+$")
    health_listen: str = Field("0.0.0.0:8081", pattern=r":\d+$")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    workers: int = Field(8, ge=1)
    """of which a namespace has half"""
    drift_seconds: float = Field(120.0, gt=0)
    stuck_seconds: float = Field(300.0, gt=0)
    lease_name: str = "symfed-operator"
    lease_seconds: int = Field(15, ge=3)

    @property
    def gateway_namespace(self) -> str:
        """Where the gateway's pods are."""
        return self.gateway_service_account.split("/")[0]

    @property
    def gateway_account_name(self) -> str:
        """The gateway's ServiceAccount."""
        return self.gateway_service_account.split("/")[1]
