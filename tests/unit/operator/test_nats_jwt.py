"""NATS JWTs, against a token that the Go library github.com/nats-io/jwt/v2 (2.8.2) accepts as it is."""

import base64
import json
from datetime import UTC, datetime, timedelta

import nacl.signing
import pytest

from symfed_operator.backends.nats import jwt
from symfed_operator.backends.nats.keys import ACCOUNT, USER, new_seed, public_key, seed_from, sign

ISSUED = datetime(2026, 1, 2, tzinfo=UTC)
SEED = seed_from(bytes([1] * 32), ACCOUNT)
# Decoded by the Go library without fault, `jti` the same as the one that it computes.
JTI = "KX4A75TMRQQTCJVNZFJ2AZ56TYXPPLFM727BIIICDCEATADOVGZQ"


def token(issued: datetime = ISSUED, subs: int = -1) -> str:
    return jwt.encode(
        "account",
        {"limits": {"subs": subs}},
        subject=public_key(SEED),
        signer=SEED,
        issued=issued,
        name="x",
    )


def test_claims_are_laid_out_as_the_go_library_does() -> None:
    header = token().split(".")[0]
    assert json.loads(base64.urlsafe_b64decode(header + "==")) == {"typ": "JWT", "alg": "ed25519-nkey"}
    assert jwt.decode(token()) == {
        "iat": 1767312000,
        "iss": "ACFIRY65OQE7DFP5KLNS2PF2LVZMUZYJX4OZIEQ36N2IQANUB5XVYYOU",
        "sub": "ACFIRY65OQE7DFP5KLNS2PF2LVZMUZYJX4OZIEQ36N2IQANUB5XVYYOU",
        "name": "x",
        "jti": JTI,
        "nats": {"limits": {"subs": -1}, "type": "account", "version": 2},
    }


def test_the_signature_covers_header_and_claims() -> None:
    signed, _, signature = token().rpartition(".")
    key = nacl.signing.SigningKey(bytes([1] * 32)).verify_key
    key.verify(signed.encode(), base64.urlsafe_b64decode(signature + "=="))
    assert "=" not in token()


def test_a_token_is_the_same_text_every_time() -> None:
    assert token() == token()


def test_two_tokens_say_the_same_whenever_they_were_made() -> None:
    later = token(ISSUED + timedelta(days=1))
    assert later != token()
    assert jwt.says_the_same(later, token())
    assert not jwt.says_the_same(later, token(subs=1))


def test_credentials_are_read_back() -> None:
    seed = new_seed(USER)
    assert jwt.parse_credentials(jwt.credentials("a.b.c", seed)) == ("a.b.c", seed)


@pytest.mark.parametrize("text", ["", "-----BEGIN NATS USER JWT-----", "a.b.c"])
def test_other_credentials_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a NATS credentials file"):
        jwt.parse_credentials(text)


def test_a_token_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match="three parts"):
        jwt.decode("nonsense")


def test_keys_are_of_their_kind() -> None:
    seed = new_seed(USER)
    assert seed.startswith("SU")
    assert public_key(seed).startswith("U")
    assert sign(seed, b"x") == sign(seed, b"x")
