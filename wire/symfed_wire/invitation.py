"""Invitations: a JSON map under a password (wire.md, section 4)."""

import base64
import binascii
import json
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.padding import PKCS7
from pydantic import JsonValue

from symfed_wire.errors import MalformedError, UnsealError

V2_PREFIX = "v2."
_V2_ASSOCIATED = b"symfed/invitation/v2"
_SALT_BYTES = 16
_NONCE_BYTES = 12
_PASSWORD_BYTES = 16
_OLD_NAMES = {
    "group_rest_url": "fed_rest_url",
    "group_name": "fed_name",
    "group_secret_key": "fed_secret_key",
}


def seal_invitation(keys: dict[str, JsonValue], password: str) -> str:
    """First form: base64(AES-128-ECB). Raises MalformedError for a password over 16 bytes."""
    padder = PKCS7(128).padder()
    padded = padder.update(json.dumps(keys).encode()) + padder.finalize()
    encryptor = _cipher(password).encryptor()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


def seal_invitation_v2(
    keys: dict[str, JsonValue], password: str, salt: bytes | None = None, nonce: bytes | None = None
) -> str:
    """Second form: `v2.` + base64(salt ‖ nonce ‖ ciphertext) under scrypt of the password."""
    salt, nonce = salt or os.urandom(_SALT_BYTES), nonce or os.urandom(_NONCE_BYTES)
    plain = json.dumps(keys, separators=(",", ":")).encode()
    sealed = AESGCM(_scrypt(password, salt)).encrypt(nonce, plain, _V2_ASSOCIATED)
    return V2_PREFIX + base64.b64encode(salt + nonce + sealed).decode()


def open_invitation(text: str, password: str) -> dict[str, JsonValue]:
    """Open either form and give the keys their newest names.

    Raises:
        UnsealError: the password is wrong, or the text was changed.
        MalformedError: the password is over 16 bytes (first form).
    """
    opened = _open_v2(text, password) if text.startswith(V2_PREFIX) else _open_v1(text, password)
    try:
        keys = json.loads(opened)
    except ValueError:
        raise UnsealError from None
    if not isinstance(keys, dict):
        raise UnsealError
    return newest_names(keys)


def newest_names(keys: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Give the keys of an opened invitation of an older server their newest names."""
    return {_OLD_NAMES.get(name, name): value for name, value in keys.items()}


def _open_v1(text: str, password: str) -> bytes:
    decryptor = _cipher(password).decryptor()
    unpadder = PKCS7(128).unpadder()
    try:
        padded = decryptor.update(base64.b64decode(text, validate=True)) + decryptor.finalize()
        return unpadder.update(padded) + unpadder.finalize()
    except (binascii.Error, ValueError):
        raise UnsealError from None


def _open_v2(text: str, password: str) -> bytes:
    try:
        data = base64.b64decode(text.removeprefix(V2_PREFIX), validate=True)
        salt, nonce = data[:_SALT_BYTES], data[_SALT_BYTES : _SALT_BYTES + _NONCE_BYTES]
        sealed = data[_SALT_BYTES + _NONCE_BYTES :]
        return AESGCM(_scrypt(password, salt)).decrypt(nonce, sealed, _V2_ASSOCIATED)
    except (binascii.Error, ValueError, InvalidTag):
        raise UnsealError from None


def _scrypt(password: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(password.encode())


def _cipher(password: str) -> Cipher[modes.ECB]:
    key = password.encode()
    if len(key) > _PASSWORD_BYTES:
        raise MalformedError(f"passwd: {len(key)} bytes, at most {_PASSWORD_BYTES} are possible")
    return Cipher(algorithms.AES128(key.ljust(_PASSWORD_BYTES, b"0")), modes.ECB())  # noqa: S305 - fixed by old clients
