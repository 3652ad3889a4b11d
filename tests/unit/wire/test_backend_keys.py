"""The keys of AWS and of somebody else's NATS in the maps: what is read, and what is refused by name."""

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from symfed_wire.federation_map import parse_aws_info_map, parse_create_map, parse_join_map
from symfed_wire.map_keys import FederationMapError

SEED = "SU" + "A" * 56
TOPIC = "arn:aws:sns:us-east-1:123456789012:iris"
CREATE: dict[str, Any] = {"fed_name": "iris", "sync_sched": "m30", "nats_hosts": "tls://nats.example.org"}
CREATE_AWS: dict[str, Any] = {
    "fed_name": "iris",
    "sync_sched": "h3",
    "aws_access_key": "AKIA",
    "aws_secret_key": "SECRET",
    "aws_region": "US_EAST_1",
    "s3_bucket": "rows",
}
INVITATION: dict[str, Any] = {
    "fed_secret_key": base64.b64encode(bytes(16)).decode(),
    "fed_rest_url": "http://gateway.example.org/symetry/rest/c1/fedml/p1/createPolicies",
    "fed_req_token": "FEDTOKEN0123456789abcdef",
}
JOIN = CREATE | INVITATION
JOIN_AWS = CREATE_AWS | INVITATION | {"aws_id": "123456789012"}
JOIN_AWS |= {"aws_topic_arn": TOPIC, "aws_topic_region": "US_EAST_1"}
SECRETS = ("SECRET", "hidden", "p4ss")


def certificate() -> str:
    """A certificate in PEM."""
    key, name = Ed25519PrivateKey.generate(), x509.Name([])
    start = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + timedelta(days=1))
    return builder.sign(key, None).public_bytes(Encoding.PEM).decode()


def faults(parse: Callable[[], object]) -> str:
    """The message about a map; no secret is ever in it."""
    with pytest.raises(FederationMapError) as caught:
        parse()
    assert not any(secret in str(caught.value) for secret in SECRETS)
    return str(caught.value)


def create(**changes: Any) -> Callable[[], object]:
    return lambda: parse_create_map(CREATE | changes, "p1")


def create_aws(**changes: Any) -> Callable[[], object]:
    return lambda: parse_create_map(CREATE_AWS | changes, "p1")


def join_aws(**changes: Any) -> Callable[[], object]:
    return lambda: parse_join_map(JOIN_AWS | changes, "p2")


@pytest.mark.parametrize(
    ("keys", "credentials"),
    [
        ({"nats_sec_user": "u", "nats_sec_passwd": "p4ss"}, {"user": "u", "password": "p4ss"}),
        ({"nats_sec_token": "hidden"}, {"token": "hidden"}),
        ({"nats_sec_nkey_seed": f" {SEED} "}, {"nkeySeed": SEED}),
        ({}, {}),
    ],
)
def test_the_ways_to_log_in_to_somebody_elses_nats(
    keys: Mapping[str, str], credentials: Mapping[str, str]
) -> None:
    ca = certificate()
    for more, entry in (({}, {}), ({"nats_tls_ca": ca}, {"ca.crt": ca.strip()})):
        side = parse_create_map({**CREATE, **keys, **more}, "p1").nats
        assert side is not None
        assert side.credentials == {**credentials, **entry}
        invitation = parse_join_map({**JOIN, **keys, **more}, "p2").invitation
        assert {key: invitation[key] for key in (*keys, *more)} == {
            key: value.strip() for key, value in {**keys, **more}.items()
        }


def test_a_side_on_aws_with_all_its_keys() -> None:
    more = {"aws_id": "123456789012", "aws_session_token": "t", "aws_endpoint_url": "http://127.0.0.1:4566"}
    side = parse_create_map(CREATE_AWS | more | {"aws_region": "us-east-1"}, "p1").aws
    assert side is not None
    assert (side.region, side.account_id) == ("us-east-1", "123456789012")
    assert side.endpoint_url == "http://127.0.0.1:4566"
    assert side.credentials == {"accessKeyId": "AKIA", "secretAccessKey": "SECRET", "sessionToken": "t"}
    joined = parse_join_map(JOIN_AWS | more, "p2")
    assert joined.aws == side
    assert not {"aws_access_key", "aws_secret_key", "aws_session_token"} & set(joined.invitation)


def test_whose_topics_and_queues_are_listed() -> None:
    keys = {"aws_access_key": "AKIA", "aws_secret_key": "SECRET"}
    assert parse_aws_info_map(keys).region is None
    parsed = parse_aws_info_map(keys | {"aws_region": "EU_CENTRAL_1", "aws_session_token": "hidden", "x": 1})
    assert parsed.region == "eu-central-1"
    assert parsed.credentials == {
        "accessKeyId": "AKIA",
        "secretAccessKey": "SECRET",
        "sessionToken": "hidden",
    }
    assert not any(secret in repr(parsed) for secret in SECRETS)


UNCHANGED = "missing; pass the opened invitation on unchanged"
REGION = "is not a region such as US_EAST_1 or us-east-1"


@pytest.mark.parametrize(
    ("parse", "message"),
    [
        (create(nats_tls_ca="hidden"), "nats_tls_ca: not certificates in PEM"),
        (
            create(nats_sec_nkey_seed="SAhidden"),
            "nats_sec_nkey_seed: not the seed of a NATS user: SU and 56 letters and digits",
        ),
        (
            create(nats_sec_user="u", nats_sec_passwd="p4ss", nats_sec_nkey_seed="hidden"),
            "nats_sec_user, nats_sec_passwd, nats_sec_nkey_seed: one way to authenticate at most",
        ),
        (create(nats_sec_passwd="p4ss"), "nats_sec_user, nats_sec_passwd: both or none"),
        (
            create_aws(aws_secret_key="", aws_region="", s3_bucket=""),
            "aws_region: missing; aws_secret_key: missing; s3_bucket: missing",
        ),
        (create_aws(aws_region="US-EAST"), f"aws_region: 'us-east' {REGION}"),
        (create_aws(aws_id="12"), "aws_id: '12' is not an account id of 12 digits"),
        (
            create_aws(s3_bucket="s3://Rows"),
            "s3_bucket: 's3://Rows' is not a bucket's name: lower case letters, digits, - and .",
        ),
        (
            create_aws(aws_access_key="hidden/key+"),
            "aws_access_key: not an access key id of letters and digits",
        ),
        (
            create_aws(aws_session_token="hidden\nX-Header: 1"),
            "aws_session_token: not a session token of printable characters",
        ),
        (
            create_aws(aws_endpoint_url="169.254.169.254"),
            "aws_endpoint_url: '169.254.169.254' is not http(s)://host:port",
        ),
        (
            create_aws(aws_endpoint_url="http://u:p4ss@h"),
            "aws_endpoint_url: the value is not http(s)://host:port",
        ),
        (join_aws(aws_id=None), "aws_id: missing"),
        (
            join_aws(aws_topic_arn=None, aws_topic_region=None),
            f"aws_topic_arn: {UNCHANGED}; aws_topic_region: {UNCHANGED}",
        ),
        (
            join_aws(aws_topic_arn="iris", aws_topic_region="Mars"),
            f"aws_topic_arn: 'iris' is not a topic's ARN; aws_topic_region: 'mars' {REGION}",
        ),
        (
            lambda: parse_join_map(JOIN_AWS | {"nats_hosts": "nats://h"}, "p2"),
            "nats_hosts, aws_access_key: only one of them is possible",
        ),
        (lambda: parse_aws_info_map({}), "aws_access_key: missing; aws_secret_key: missing"),
        (
            lambda: parse_aws_info_map(
                {"aws_access_key": "A", "aws_secret_key": "SECRET", "aws_region": "x/"}
            ),
            f"aws_region: 'x/' {REGION}",
        ),
    ],
)
def test_faults(parse: Callable[[], object], message: str) -> None:
    assert faults(parse) == message
