"""How one logs in to somebody else's NATS, and what is said of its TLS."""

import ssl
from datetime import UTC, datetime, timedelta

import nkeys
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from symfed_wire.errors import MalformedError
from symfed_wire.nats_client import login_options, tls_fault
from symfed_wire.node_config import NatsLogin

USER_SEED = nkeys.encode_seed(bytes(range(32)), nkeys.PREFIX_BYTE_USER).decode()
ACCOUNT_SEED = nkeys.encode_seed(bytes(range(32)), nkeys.PREFIX_BYTE_ACCOUNT).decode()


def _certificate() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "own CA")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.parametrize(
    ("login", "options"),
    [
        (NatsLogin(), {}),
        (NatsLogin(user="u", password=" p "), {"user": "u", "password": " p "}),
        (NatsLogin(token="t"), {"token": "t"}),
        (NatsLogin(nkey_seed=f"{USER_SEED}\n"), {"nkeys_seed_str": USER_SEED}),
    ],
)
def test_each_way_of_logging_in(login: NatsLogin, options: dict[str, str]) -> None:
    assert login_options(login) == options


def test_an_own_ca_is_trusted_alone_and_may_lack_extensions() -> None:
    trust = login_options(NatsLogin(ca=_certificate()))["tls"]
    assert len(trust.get_ca_certs()) <= 1  # no public authority beside it
    assert trust.verify_mode is ssl.CERT_REQUIRED
    assert trust.check_hostname
    assert not trust.verify_flags & ssl.VERIFY_X509_STRICT


@pytest.mark.parametrize("seed", ["", "nonsense", ACCOUNT_SEED, USER_SEED[:-1]])
def test_a_seed_of_another_kind_is_refused_and_not_told(seed: str) -> None:
    with pytest.raises(MalformedError) as raised:
        login_options(NatsLogin(nkey_seed=seed))
    assert str(raised.value) == "the NKEY seed for NATS is not that of a user (SU…)"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (10, "renew it, or check the clock here"),
        (9, "renew it, or check the clock here"),
        (62, "use an address that is in the certificate"),
        (64, "use an address that is in the certificate"),
        (18, "put the PEM text of its CA as ca.crt"),
        (20, "put the PEM text of its CA as ca.crt"),
    ],
)
def test_a_refused_certificate_says_what_to_do(code: int, words: str) -> None:
    fault = ssl.SSLCertVerificationError("certificate verify failed")
    fault.verify_code, fault.verify_message = code, "why"
    assert tls_fault([OSError("first"), fault]).startswith(f"its certificate is refused (why): {words}")


def test_other_faults_of_tls_are_told_and_others_are_not_its() -> None:
    assert "check that its port speaks TLS" in tls_fault([ssl.SSLError(1, "[SSL] wrong version number")])
    assert tls_fault([OSError("refused")]) == ""
