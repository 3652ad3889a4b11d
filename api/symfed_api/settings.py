"""What the gateway is told by its environment (prefix `SYMFED_`)."""

from typing import Annotated, Literal

from pydantic import field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

DEFAULT_NATS_PORT = 4222

AddressList = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """Every setting has a default that serves a gateway in a cluster; the NATS addresses have none there."""

    model_config = SettingsConfigDict(env_prefix="SYMFED_", frozen=True)

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    listen: str = "0.0.0.0:8080"
    nats_hosts: AddressList = ()
    """All addresses that mean the operator's own NATS system, inner and outer, comma separated."""
    nats_advertised_hosts: AddressList = ()
    """What invitations carry as `nats_hosts`; without it `nats_hosts`."""
    node_url: str = "http://{name}.{namespace}.svc:8080"
    external_url: str = ""
    """Where clients and peers reach the gateway; without it a request's own scheme and host."""
    auth_vendor_errors: bool = False
    """Answer as the vendor's server does, which tells who is a customer and what was signed."""
    body_limit_bytes: int = 64 * 1024 * 1024
    large_bodies_bytes: int = 128 * 1024 * 1024
    """Bytes of all bodies over 256 KiB at a time; further ones wait before they are read."""
    body_seconds: float = 120
    """How long a client may take to send its body."""
    wait_seconds: float = 60
    """How long a call waits for a result that is on its way; old clients do not repeat calls."""
    verdict_seconds: float = 10
    """How long `createJoin` waits for the admin's verdict."""
    grant_seconds: float = 5
    """How long `createPolicies` waits for the operator's grant."""

    aws_endpoint_url: str = ""
    """For tests and private endpoints: what `awsinfo` calls in place of AWS's own hosts, in all regions."""

    websocket_connections: int = 500
    """WebSockets at a time; a further one is told to come again."""
    websocket_first_seconds: float = 10
    """How long a WebSocket may be open before somebody has proved who he is."""
    websocket_idle_seconds: float = 300
    """How long the next message may take to come."""

    @field_validator("nats_hosts", "nats_advertised_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("external_url", "node_url", "aws_endpoint_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def invitation_hosts(self) -> str:
        """`nats_hosts` of an invitation to a managed federation."""
        return ",".join(self.nats_advertised_hosts or self.nats_hosts)

    def is_own_nats(self, hosts: tuple[str, ...]) -> bool:
        """Whether all of these addresses are the operator's own NATS system."""
        own = {_host_and_port(host) for host in (*self.nats_hosts, *self.nats_advertised_hosts)}
        return all(_host_and_port(host) in own for host in hosts)


def _host_and_port(address: str) -> tuple[str, int]:
    authority = address.partition("://")[2] or address
    host, colon, port = authority.rstrip("/").rpartition(":")
    if not colon or not port.isdecimal():
        host, port = authority.rstrip("/"), str(DEFAULT_NATS_PORT)
    return host.lower().rstrip("."), int(port)
