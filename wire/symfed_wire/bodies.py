"""Encrypted request and answer bodies (wire.md, section 3).

The first form is AES-128-CBC with a fixed IV, as old clients need it; nothing but the request's
signature authenticates it, so verify that before opening. The second form starts with `v2.`.
"""

import base64
import binascii
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from symfed_wire.errors import UnsealError
from symfed_wire.sealing import seal, unseal

V2_PREFIX = "v2."
_V2_INFO = "symfed/body/v2"
_IV = base64.b64decode("LzM5QUtXZXWHm7HJ4wAePg==")


@dataclass(frozen=True)
class RequestLine:
    """What a second-form body is bound to: the request that carries it."""

    verb: str
    path: str
    query: str
    date: str

    def associated_data(self, direction: str) -> str:
        """Associated data of a `request` or of its `response`."""
        return "\n".join((direction, self.verb, self.path, self.query, self.date))


def seal_body(plain: str, secret_key: str) -> str:
    """First form: base64(AES-128-CBC) under the customer's base64 secret key."""
    padder = PKCS7(128).padder()
    padded = padder.update(plain.encode()) + padder.finalize()
    encryptor = _cipher(secret_key).encryptor()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


def open_body(text: str, secret_key: str) -> str:
    """Open the first form. Raises UnsealError for every kind of failure alike."""
    decryptor = _cipher(secret_key).decryptor()
    unpadder = PKCS7(128).unpadder()
    try:
        padded = decryptor.update(base64.b64decode(text, validate=True)) + decryptor.finalize()
        return (unpadder.update(padded) + unpadder.finalize()).decode()
    except (binascii.Error, ValueError):
        raise UnsealError from None


def seal_body_v2(
    plain: str, secret_key: str, line: RequestLine, direction: str = "request", nonce: bytes | None = None
) -> str:
    """Second form, bound to its request. `direction` is `request` or `response`."""
    key = base64.b64decode(secret_key)
    return V2_PREFIX + seal(plain.encode(), key, _V2_INFO, line.associated_data(direction), nonce)


def open_body_v2(text: str, secret_key: str, line: RequestLine, direction: str = "request") -> str:
    """Open the second form. Raises UnsealError."""
    key = base64.b64decode(secret_key)
    try:
        return unseal(text.removeprefix(V2_PREFIX), key, _V2_INFO, line.associated_data(direction)).decode()
    except UnicodeDecodeError:
        raise UnsealError from None


def _cipher(secret_key: str) -> Cipher[modes.CBC]:
    return Cipher(algorithms.AES128(base64.b64decode(secret_key)), modes.CBC(_IV))
