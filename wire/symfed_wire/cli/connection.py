"""Which gateway a command calls, and as whom: options win over the environment, that over the profile."""

from __future__ import annotations

from dataclasses import dataclass, field

import typer

from symfed_wire.cli.config import Config, config_path, read_config
from symfed_wire.cli.errors import ConfigError, UsageError
from symfed_wire.client import Client


@dataclass(frozen=True)
class Connection:
    """What options and environment say. The client is made when a command needs it: help needs none."""

    url: str | None
    customer: str | None
    secret_key: str | None = field(repr=False)
    profile: str | None
    patience: float

    def open(self, patience: float | None = None) -> Client:
        """Raises ConfigError that names everything that is not set, MalformedError."""
        if self.profile is None and self.url and self.customer and self.secret_key:
            config = Config(config_path(), {})  # nothing is needed from the file
        else:
            config = read_config(config_path())
        profile = config.profile(self.profile)
        url, customer = self.url or profile.url, self.customer or profile.customer
        secret_key = self.secret_key or config.secret_key(self.profile)
        given = {"url": url, "customer": customer, "secret key": secret_key}
        if missing := [name for name, value in given.items() if not value]:
            variables = ", ".join(f"SYMFED_{name.upper().replace(' ', '_')}" for name in missing)
            raise ConfigError(
                f"not set: {', '.join(missing)}; set {variables}, or a profile in {config.path}"
            )
        patience = self.patience if patience is None else patience
        return Client(url or "", customer or "", secret_key or "", patience=patience)


def connection_of(ctx: typer.Context) -> Connection:
    """The connection of a command. Raises UsageError."""
    connection = ctx.find_object(Connection)
    if connection is None:
        raise UsageError("no connection: call a command of `symfed`")
    return connection


def client_of(ctx: typer.Context, patience: float | None = None) -> Client:
    """The client of a command. Raises ConfigError, MalformedError."""
    return connection_of(ctx).open(patience)
