"""nkeys: Ed25519 key pairs as NATS writes them. Pure, except that `new_…` draw random bytes.

A seed is secret text `S<kind>…`, a public key text `<kind>…`; kinds: O operator, A account, U user.
"""

import secrets

import nkeys

from symfed_operator.backends.base import FederationSeeds, MemberSeeds

OPERATOR: int = nkeys.PREFIX_BYTE_OPERATOR
ACCOUNT: int = nkeys.PREFIX_BYTE_ACCOUNT
USER: int = nkeys.PREFIX_BYTE_USER


def new_seed(kind: int) -> str:
    """A fresh seed of a kind."""
    return seed_from(secrets.token_bytes(32), kind)


def seed_from(raw: bytes, kind: int) -> str:
    """The seed of 32 given bytes."""
    seed: bytes = nkeys.encode_seed(raw, kind)
    return seed.decode()


def public_key(seed: str) -> str:
    """The public half of a seed."""
    key: bytes = nkeys.from_seed(seed.encode()).public_key
    return key.decode()


def sign(seed: str, data: bytes) -> bytes:
    """Ed25519 signature, 64 bytes."""
    signature: bytes = nkeys.from_seed(seed.encode()).sign(data)
    return signature


def new_user_seed() -> str:
    """A seed for one of a peer's own two users."""
    return new_seed(USER)


def new_member_seeds() -> MemberSeeds:
    """Fresh keys for a member's account."""
    return MemberSeeds(
        account=new_seed(ACCOUNT),
        signing=new_seed(ACCOUNT),
        writer_role=new_seed(ACCOUNT),
        reader_role=new_seed(ACCOUNT),
    )


def new_federation_seeds() -> FederationSeeds:
    """Fresh keys for a federation's own account and its readers' account."""
    return FederationSeeds(
        account=new_seed(ACCOUNT), signing=new_seed(ACCOUNT), readers_account=new_seed(ACCOUNT)
    )
