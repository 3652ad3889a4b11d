"""What the environment tells a node; everything else is in `node.json` from its operator."""

from pathlib import Path
from typing import Literal, Self

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from symfed_node.errors import ConfigurationError
from symfed_wire.documents import describe_faults
from symfed_wire.names import NODE_FILE, TOKEN_KEY
from symfed_wire.node_config import NodeConfig


class NodeSettings(BaseSettings):
    """Environment variables with the prefix SYMFED_."""

    model_config = SettingsConfigDict(env_prefix="SYMFED_", frozen=True)

    node_config: Path = Path("/etc/symfed/node") / NODE_FILE
    node_token: Path = Path("/etc/symfed/token") / TOKEN_KEY
    aws_credentials: Path | None = None
    """a mounted Secret with accessKeyId, secretAccessKey and perhaps sessionToken; else boto3 finds a role"""
    data: Path = Path("/var/lib/symfed")
    listen: str = "0.0.0.0:8080"
    kubernetes: bool = True
    """whether to watch the own FederationPeer and report its condition"""
    poll_seconds: float = 120.0
    """how often to look for a newer document and snapshots that no wake-up told of"""
    journal_checkpoint_bytes: int = 64 << 20
    max_body_bytes: int = 256 << 20
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @classmethod
    def read(cls) -> Self:
        """The settings of this process. Raises ConfigurationError naming every bad variable."""
        try:
            return cls()
        except ValidationError as error:
            raise ConfigurationError(f"environment variables SYMFED_…: {describe_faults(error)}") from None

    @property
    def host_and_port(self) -> tuple[str, int]:
        """`listen` in its two parts."""
        host, separator, port = self.listen.rpartition(":")
        if not separator or not port.isdigit():
            raise ConfigurationError(f"SYMFED_LISTEN is {self.listen!r}: it must be host:port")
        return host.strip("[]"), int(port)

    def read_config(self) -> NodeConfig:
        """What the operator says. Raises ConfigurationError; secrets are in no message."""
        try:
            return NodeConfig.model_validate_json(self.node_config.read_bytes())
        except OSError as error:
            raise ConfigurationError(
                f"SYMFED_NODE_CONFIG {self.node_config}: {error.strerror}; the operator writes it"
            ) from error
        except ValidationError as error:
            raise ConfigurationError(f"{self.node_config}: {describe_faults(error)}") from None

    def read_token(self) -> str:
        """The bearer token of the gateway. Raises ConfigurationError."""
        try:
            token = self.node_token.read_text().strip()
        except OSError as error:
            raise ConfigurationError(
                f"SYMFED_NODE_TOKEN {self.node_token}: {error.strerror}; the operator writes it"
            ) from error
        if not token:
            raise ConfigurationError(f"{self.node_token} is empty: the gateway's token must be in it")
        return token
