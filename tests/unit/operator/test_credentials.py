"""Which Secrets serve as credentials, what is read of them, and what of it invitations carry."""

import base64
from typing import Any

import pytest

from symfed_operator.backends.base import CredentialsMissingError
from symfed_operator.credentials import nats_login, shown_login
from symfed_wire.kube import JsonObject
from symfed_wire.names import FINALIZER
from symfed_wire.node_config import NatsLogin
from symfed_wire.resources import Nats, ObjectRef

NATS = Nats(hosts=("nats://h",), credentials_secret_ref=ObjectRef(name="login"))


class Secrets:
    """An API server that has one Secret, which keeps the operator's finalizer already."""

    def __init__(self, texts: dict[str, str], **changes: Any) -> None:
        data: JsonObject = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
        metadata: JsonObject = {"name": "login", "namespace": "ns", "finalizers": [FINALIZER]}
        metadata |= changes.pop("metadata", {})
        self._secret: JsonObject = {"type": "Opaque", "data": data, **changes, "metadata": metadata}

    async def find(self, *_: object) -> JsonObject:
        """It."""
        return self._secret


async def read(secrets: Secrets) -> NatsLogin:
    """What a federation logs in with."""
    return await nats_login(secrets, "ns", NATS)  # type: ignore[arg-type]  # Secrets


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        (
            {"user": "u", "password": " p \n", "ca.crt": "PEM\n"},
            {"nats_sec_user": "u", "nats_sec_passwd": " p ", "nats_tls_ca": "PEM"},
        ),
        ({"token": "t"}, {"nats_sec_token": "t"}),
        ({"nkeySeed": "SU"}, {"nats_sec_nkey_seed": "SU"}),
        ({"ca.crt": "PEM"}, {"nats_tls_ca": "PEM"}),
    ],
)
async def test_invitations_carry_the_login(texts: dict[str, str], shown: dict[str, str]) -> None:
    assert shown_login(await read(Secrets(texts))) == shown


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"type": "kubernetes.io/service-account-token"},
            "Secret ns/login is of type kubernetes.io/service-account-token and no credentials: "
            "name one of type Opaque",
        ),
        (
            {"metadata": {"labels": {"app.kubernetes.io/managed-by": "symfed-operator"}}},
            "Secret ns/login is the operator's own and no credentials: name one of type Opaque",
        ),
    ],
)
async def test_a_secret_that_is_for_something_else_is_sent_to_nobody(
    changes: dict[str, Any], text: str
) -> None:
    with pytest.raises(CredentialsMissingError) as caught:
        await read(Secrets({"token": "hidden"}, **changes))
    assert str(caught.value) == text


@pytest.mark.parametrize(
    "texts",
    [
        {},
        {"username": "u"},
        {"user": "u"},
        {"user": "u", "password": ""},
        {"token": "hidden", "nkeySeed": "SU"},
    ],
)
async def test_a_secret_that_is_no_login_is_told(texts: dict[str, str]) -> None:
    with pytest.raises(CredentialsMissingError) as caught:
        await read(Secrets(texts))
    assert str(caught.value) == (
        "Secret ns/login must have user and password, or token, or nkeySeed, and nothing else of these"
    )
