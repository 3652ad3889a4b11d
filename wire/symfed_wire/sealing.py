"""AES-256-GCM sealing under a secret, to a public key, and of snapshot chunks (federation.md)."""

import base64
import binascii
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from symfed_wire.errors import UnsealError

NONCE_BYTES = 12
_KEY_BYTES = 32


def derive_key(secret: bytes, info: str) -> bytes:
    """HKDF-SHA256 without salt, 32 bytes."""
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=info.encode()).derive(secret)


def seal(plain: bytes, secret: bytes, info: str, associated: str = "", nonce: bytes | None = None) -> str:
    """base64(nonce ‖ ciphertext) under the key that `info` derives from `secret`.

    A `nonce` is given by tests against vectors alone; otherwise it is random.
    """
    return _encode(_encrypt(derive_key(secret, info), plain, associated.encode(), nonce))


def unseal(text: str, secret: bytes, info: str, associated: str = "") -> bytes:
    """Open what `seal` made. Raises UnsealError."""
    return _decrypt(derive_key(secret, info), _decode(text), associated.encode())


def seal_to(
    plain: bytes,
    recipient: bytes,
    info: str,
    ephemeral: X25519PrivateKey | None = None,
    nonce: bytes | None = None,
) -> str:
    """base64(ephemeral public ‖ nonce ‖ ciphertext) for the owner of a raw X25519 public key."""
    ephemeral = ephemeral or X25519PrivateKey.generate()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(recipient))
    sealed = _encrypt(derive_key(shared, info), plain, b"", nonce)
    return _encode(ephemeral.public_key().public_bytes_raw() + sealed)


def unseal_to(text: str, recipient: X25519PrivateKey, info: str) -> bytes:
    """Open what `seal_to` made for this private key. Raises UnsealError."""
    data = _decode(text)
    try:
        shared = recipient.exchange(X25519PublicKey.from_public_bytes(data[:_KEY_BYTES]))
    except ValueError:
        raise UnsealError from None
    return _decrypt(derive_key(shared, info), data[_KEY_BYTES:], b"")


class ChunkSealer:
    """Seals and opens the chunks of one snapshot; the key is new with every epoch."""

    def __init__(self, federation_key: bytes, federation: str, peer: str, epoch: int) -> None:
        info = f"symfed/snapshot/v1|{federation}|{peer}|{epoch}"
        self._cipher = AESGCM(derive_key(federation_key, info))

    def seal(self, index: int, chunk: bytes) -> bytes:
        """Ciphertext of chunk number `index`."""
        return self._cipher.encrypt(index.to_bytes(NONCE_BYTES, "big"), chunk, None)

    def unseal(self, index: int, sealed: bytes) -> bytes:
        """Plaintext of chunk number `index`. Raises UnsealError."""
        try:
            return self._cipher.decrypt(index.to_bytes(NONCE_BYTES, "big"), sealed, None)
        except InvalidTag:
            raise UnsealError from None


def _encrypt(key: bytes, plain: bytes, associated: bytes, nonce: bytes | None) -> bytes:
    nonce = nonce or os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, associated)


def _decrypt(key: bytes, data: bytes, associated: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], associated)
    except (InvalidTag, ValueError):
        raise UnsealError from None


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise UnsealError from None
