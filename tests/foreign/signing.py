"""The contract's signatures and ciphers, with the standard library and AES alone."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB
from cryptography.hazmat.primitives.padding import PKCS7

BODY_IV = base64.b64decode("LzM5QUtXZXWHm7HJ4wAePg==")
OLDER_NAMES = {
    "group_rest_url": "fed_rest_url",
    "group_name": "fed_name",
    "group_secret_key": "fed_secret_key",
}


def now(ahead: timedelta = timedelta()) -> str:
    """The time as most clients send it: whole seconds, and zeros where nanoseconds would be."""
    return (datetime.now(UTC) + ahead).strftime("%Y-%m-%d %H:%M:%S;000000")


def md5(body: str) -> str:
    return (
        base64.b64encode(hashlib.md5(body.encode(), usedforsecurity=False).digest()).decode() if body else ""
    )


def string_to_sign(
    verb: str, secret_key: str, date: str, cid: str, body: str, resource: str, query: str
) -> str:
    always = [verb, md5(body), secret_key, date, cid]
    return "".join(line + "\n" for line in always + [part for part in (body, resource, query) if part])


def sign(secret_key: str, text: str) -> str:
    mac = hmac.new(base64.b64decode(secret_key), text.encode(), hashlib.sha256)
    return base64.b64encode(mac.digest()).decode()


def seal_body(secret_key: str, plain: str) -> str:
    return _encrypt(Cipher(AES(base64.b64decode(secret_key)), CBC(BODY_IV)), plain)


def open_body(secret_key: str, sealed: str) -> str:
    return _decrypt(Cipher(AES(base64.b64decode(secret_key)), CBC(BODY_IV)), sealed)


def open_invitation(password: str, sealed: str) -> dict[str, Any]:
    opened: dict[str, Any] = json.loads(_decrypt(Cipher(AES(_password_key(password)), ECB()), sealed))  # noqa: S305
    return opened


def with_older_names(invitation: Mapping[str, Any]) -> dict[str, Any]:
    """The same invitation as a server of an older version writes it."""
    older = {newer: name for name, newer in OLDER_NAMES.items()}
    return {older.get(key, key): value for key, value in invitation.items()}


def socket_string_to_sign(
    secret_key: str, date: str, cid: str, payload: str, url: str, extra_keys: Sequence[str]
) -> str:
    return "".join(line + "\n" for line in [md5(payload), secret_key, date, cid, payload, url, *extra_keys])


def socket_message(
    secret_key: str, date: str, cid: str, payload: str, url: str, extra_keys: Sequence[str]
) -> str:
    signature = sign(secret_key, socket_string_to_sign(secret_key, date, cid, payload, url, extra_keys))
    header = {"headers": [date, md5(payload), signature, cid], "extraKeys": list(extra_keys)}
    text = json.dumps(header, separators=(",", ":"))
    return f"{len(text)},{text}{payload}"


def _password_key(password: str) -> bytes:
    return password.encode().ljust(16, b"0")


def _encrypt(cipher: Cipher[Any], plain: str) -> str:
    padder, encryptor = PKCS7(128).padder(), cipher.encryptor()
    padded = padder.update(plain.encode()) + padder.finalize()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


def _decrypt(cipher: Cipher[Any], sealed: str) -> str:
    decryptor, unpadder = cipher.decryptor(), PKCS7(128).unpadder()
    padded = decryptor.update(base64.b64decode(sealed)) + decryptor.finalize()
    return (unpadder.update(padded) + unpadder.finalize()).decode()
