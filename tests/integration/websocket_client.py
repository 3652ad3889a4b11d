"""A client of the gateway's WebSocket that signs its messages as real clients do."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from symfed_wire.signing import content_md5, format_date, signature, websocket_string_to_sign
from tests.integration.gateway import Tenant

FRAME = '{"attributeNames":["a"],"attributeTypes":["C"],"data":[["1"]]}'
SECONDS = 20.0


def address(tenant: Tenant, verb: str = "learn") -> str:
    """Where the WebSocket of a verb is."""
    return f"ws{tenant.url.removeprefix('http')}/symetry/ws/{verb}"


def message(tenant: Tenant, url: str, *keys: str, payload: str = FRAME, signed: str = FRAME) -> str:
    """A message whose header signs `signed` for a project and perhaps a model."""
    date, md5 = format_date(datetime.now(UTC)), content_md5(signed.encode())
    text = websocket_string_to_sign(
        md5=md5,
        secret_key=tenant.secret_key,
        date=date,
        customer=tenant.id,
        payload=signed,
        url=url,
        extra_keys=list(keys),
    )
    headers = [date, md5, signature(text, tenant.secret_key), tenant.id]
    header = json.dumps({"headers": headers, "extraKeys": list(keys)})
    return f"{len(header)},{header}{payload}"


@contextmanager
def opened(url: str) -> Iterator[ClientConnection]:
    """A connection of a real client."""
    with connect(url, open_timeout=SECONDS, proxy=None) as connection:
        yield connection


def ask(connection: ClientConnection, text: str | bytes) -> tuple[str, str]:
    """Send a message; status and text of the answer."""
    connection.send(text)
    return answer(connection)


def answer(connection: ClientConnection) -> tuple[str, str]:
    """The next answer's status and text."""
    envelope: dict[str, Any] = json.loads(connection.recv(timeout=SECONDS))
    assert set(envelope) == {"statusCode", "statusString", "values"}
    return envelope["statusCode"], envelope["statusString"]


def close_code(connection: ClientConnection) -> int:
    """The code with which the gateway closes."""
    with pytest.raises(ConnectionClosed) as closed:
        connection.recv(timeout=SECONDS)
    assert closed.value.rcvd is not None
    return int(closed.value.rcvd.code)
