"""Keys in signed documents and join requests: what comes in and what does not."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import ValidationError

from symfed_wire.documents import Member
from symfed_wire.join import JoinRequest

UUID = "6f1c1e8a-9d0e-4c6c-8a54-0f3f6f0d2b11"
GOOD = base64.b64encode(X25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
LOW_ORDER = [
    bytes(32),
    bytes([1, *bytes(31)]),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]


@pytest.mark.parametrize("raw", [*LOW_ORDER, bytes(31), b""])
def test_a_key_that_nothing_can_be_sealed_to_is_refused(raw: bytes) -> None:
    key = base64.b64encode(raw).decode()
    with pytest.raises(ValidationError, match="can be sealed to"):
        Member(uuid=UUID, name="m", identity_key=GOOD, sealing_key=key)
    with pytest.raises(ValidationError, match="can be sealed to"):
        JoinRequest(peer_uuid=UUID, peer_name="m", identity_key=GOOD, sealing_key=key)


def test_a_good_key_is_taken() -> None:
    assert Member(uuid=UUID, name="m", identity_key=GOOD, sealing_key=GOOD).sealing_key == GOOD
