"""The embedded NATS server's identity and configuration, from one root seed."""

from datetime import UTC, datetime

import pytest

from symfed_operator.backends.nats.jwt import decode, parse_credentials
from symfed_operator.backends.nats.keys import OPERATOR, public_key, seed_from
from symfed_operator.bootstrap import BootstrapError, NatsServerSettings, identity_from, nats_conf

ISSUED = datetime(2026, 1, 2, tzinfo=UTC)
ROOT = seed_from(bytes([7] * 32), OPERATOR)


def test_a_root_always_gives_the_same_identity() -> None:
    assert identity_from(ROOT, ISSUED) == identity_from(ROOT, ISSUED)
    other = identity_from(seed_from(bytes([8] * 32), OPERATOR), ISSUED)
    assert other.operator_signing_seed != identity_from(ROOT, ISSUED).operator_signing_seed


def test_the_chain_of_trust_runs_from_the_root_to_the_system_user() -> None:
    identity = identity_from(ROOT, ISSUED)
    operator = decode(identity.operator_jwt)
    assert operator["iss"] == operator["sub"] == public_key(ROOT)
    assert operator["nats"] == {
        "signing_keys": [public_key(identity.operator_signing_seed)],
        "system_account": identity.system_account,
        "strict_signing_key_usage": True,
        "type": "operator",
        "version": 2,
    }
    system = decode(identity.system_jwt)
    assert system["iss"] == public_key(identity.operator_signing_seed)
    token, seed = parse_credentials(identity.system_creds)
    user = decode(token)
    assert user["sub"] == public_key(seed)
    assert isinstance(system["nats"], dict)
    assert system["nats"]["signing_keys"] == [user["iss"]]


def test_no_other_secret_tells_the_root() -> None:
    identity = identity_from(ROOT, ISSUED)
    text = nats_conf(identity, NatsServerSettings())
    assert ROOT not in text + identity.system_creds + identity.operator_jwt
    assert identity.operator_signing_seed not in text
    assert ROOT not in repr(identity)


def test_nats_conf_keeps_accounts_and_streams_on_the_volume() -> None:
    text = nats_conf(
        identity_from(ROOT, ISSUED), NatsServerSettings(nats_data="/data", nats_max_file_store="1Ti")
    )
    assert 'dir: "/data/accounts"' in text
    assert 'store_dir: "/data/jetstream"' in text
    assert "max_file_store: 1Ti" in text
    assert "allow_delete: true" in text


@pytest.mark.parametrize("size", ["", "lots", "-1", "1Gi\n}", "0"])
def test_a_size_that_nats_cannot_read_is_refused(size: str) -> None:
    with pytest.raises(BootstrapError, match="SYMFED_NATS_MAX_FILE_STORE"):
        nats_conf(identity_from(ROOT, ISSUED), NatsServerSettings(nats_max_file_store=size))


@pytest.mark.parametrize("path", ["", "data", '/da"ta', "/data\n"])
def test_a_path_that_would_break_the_file_is_refused(path: str) -> None:
    with pytest.raises(BootstrapError, match="SYMFED_NATS_DATA"):
        nats_conf(identity_from(ROOT, ISSUED), NatsServerSettings(nats_data=path))
