"""The command line's surroundings: a gateway in the process, no file and no other variables."""

import os
from functools import partial
from pathlib import Path

import httpx
import pytest
from tests.unit.wire.cli.stub import KEY, Gateway

from symfed_wire.cli import connection, sync
from symfed_wire.client import Client


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Gateway:
    """The gateway that the commands call."""
    answering = Gateway()
    client = partial(Client, transport=httpx.MockTransport(answering))
    monkeypatch.setattr(connection, "Client", client)
    monkeypatch.setattr(sync, "_SETTLE_SECONDS", 0.0)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name, value in {"URL": "http://gw:1", "CUSTOMER": "c1", "SECRET_KEY": KEY}.items():
        monkeypatch.setenv(f"SYMFED_{name}", value)
    for name in list(os.environ):
        if name.startswith(("AWS_", "SYMFED_NATS", "SYMFED_PASSWORD", "SYMFED_PROFILE")):
            monkeypatch.delenv(name)
    return answering
