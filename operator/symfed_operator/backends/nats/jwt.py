"""NATS JWTs (version 2): claims in, token out. Pure.

The form is that of the Go library `github.com/nats-io/jwt/v2`: `header.body.signature` in base64url without
padding, Ed25519 by the issuer's nkey over `header.body`. A token is the same text every time for the same
claims and the same `issued`.
"""

import base64
import json
from datetime import datetime

from cryptography.hazmat.primitives import hashes
from pydantic import JsonValue

from symfed_operator.backends.nats.keys import public_key, sign

Claims = dict[str, JsonValue]

_HEADER = {"typ": "JWT", "alg": "ed25519-nkey"}
_VERSION = 2
_WHEN_IT_WAS_MADE = ("iat", "jti")


def encode(
    kind: str,
    body: Claims,
    *,
    subject: str,
    signer: str,
    issued: datetime,
    name: str = "",
    expires: datetime | None = None,
) -> str:
    """A signed token.

    Args:
        kind: `operator`, `account`, `user`, `activation` or `generic`.
        body: the claims of that kind, which go under `nats`.
        subject: public key of whom it is about.
        signer: seed of the issuer.
    """
    claims: Claims = {"iat": int(issued.timestamp()), "iss": public_key(signer), "sub": subject}
    if name:
        claims["name"] = name
    if expires:
        claims["exp"] = int(expires.timestamp())
    claims["jti"] = _identifier(claims)
    claims["nats"] = {**body, "type": kind, "version": _VERSION}
    signed = f"{_part(_HEADER)}.{_part(claims)}"
    return f"{signed}.{_base64url(sign(signer, signed.encode()))}"


def decode(token: str) -> Claims:
    """The claims of a token, whose signature is not checked. Raises ValueError."""
    parts = token.split(".")
    if len(parts) != 3:
        raise ValueError("not a JWT of three parts")
    claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    if not isinstance(claims, dict):
        raise ValueError("the claims of a JWT are an object")
    return claims


def says_the_same(one: str, other: str) -> bool:
    """Whether two tokens claim the same, whenever each was made."""
    return _content(decode(one)) == _content(decode(other))


def credentials(token: str, seed: str) -> str:
    """The text of a user's credentials file."""
    return (
        f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )


def parse_credentials(text: str) -> tuple[str, str]:
    """Token and seed of a credentials file. Raises ValueError."""
    lines = [line.strip() for line in text.splitlines()]
    try:
        token = lines[lines.index("-----BEGIN NATS USER JWT-----") + 1]
        seed = lines[lines.index("-----BEGIN USER NKEY SEED-----") + 1]
    except (ValueError, IndexError):
        raise ValueError("not a NATS credentials file: it needs a user JWT and a user seed") from None
    return token, seed


def _content(claims: Claims) -> Claims:
    return {name: value for name, value in claims.items() if name not in _WHEN_IT_WAS_MADE}


def _identifier(claims: Claims) -> str:
    """`jti`: base32 of the SHA-512/256 of the standard claims, keys in order."""
    digest = hashes.Hash(hashes.SHA512_256())
    digest.update(json.dumps(claims, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())
    return base64.b32encode(digest.finalize()).decode().rstrip("=")


def _part(value: object) -> str:
    return _base64url(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
