"""The maps of create, createJoin and getEncrypted: typed values, and every fault named at once."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from symfed_wire.federation_map import (
    parse_create_map,
    parse_invite_map,
    parse_join_map,
)
from symfed_wire.invitation import newest_names
from symfed_wire.map_keys import FederationMapError

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors.json").read_text())

CREATE: dict[str, Any] = {
    "fed_name": "iris",
    "sync_sched": "m30",
    "nats_hosts": "nats://nats.example.org:4222",
}
JOIN: dict[str, Any] = {
    "fed_name": "iris",
    "sync_sched": "m30",
    "fed_secret_key": base64.b64encode(bytes(16)).decode(),
    "fed_rest_url": "http://gateway.example.org/symetry/rest/c1/fedml/p1/createPolicies",
    "fed_req_token": "FEDTOKEN0123456789abcdef",
    "fed_document_key": base64.b64encode(bytes(32)).decode(),
    "nats_hosts": "nats://nats.example.org:4222",
}
AWS: dict[str, Any] = {
    "fed_name": "iris",
    "sync_sched": "h3",
    "aws_access_key": "AKIA",
    "aws_secret_key": "SECRET",
    "aws_region": "US_EAST_1",
    "s3_bucket": "bucket",
}


def create_faults(**changes: Any) -> str:
    """The message of a create map with these keys changed (None takes one away)."""
    with pytest.raises(FederationMapError) as caught:
        parse_create_map(CREATE | changes, changes.pop("pid", "p1"), changes.pop("persist", None))
    return str(caught.value)


def join_faults(**changes: Any) -> str:
    """The message of a join map with these keys changed."""
    with pytest.raises(FederationMapError) as caught:
        parse_join_map(JOIN | changes, "p2")
    return str(caught.value)


def test_the_least_create_map_has_the_contracts_defaults() -> None:
    parsed = parse_create_map(CREATE, "p1")
    assert (parsed.name, parsed.schedule, parsed.encrypt, parsed.secure_sum) == ("iris", "m30", False, False)
    assert (parsed.peer.project, parsed.peer.persist, parsed.peer.compute) == ("p1", True, "cpu")
    assert (parsed.peer.send_action, parsed.peer.receive_action) == ("Block", "Block")
    assert parsed.nats is not None
    assert (parsed.nats.request_timeout_seconds, parsed.nats.stream_max_bytes) == (30, 1 << 30)
    assert not parsed.nats.credentials
    assert parsed.aws is None
    assert parsed.unknown_keys == ()


def test_values_may_be_text_or_native() -> None:
    native = {"fed_encrypt": True, "nats_req_timeout": 45, "nats_stream_max_memory": 33554432.0}
    text = {"fed_encrypt": "True", "nats_req_timeout": "45", "nats_stream_max_memory": "33554432"}
    assert parse_create_map(CREATE | native, "p1") == parse_create_map(CREATE | text, "p1")


def test_hosts_may_be_many_and_may_lack_a_scheme() -> None:
    parsed = parse_create_map(CREATE | {"nats_hosts": "a:4222, tls://b:4222 ,"}, "p1")
    assert parsed.nats is not None
    assert parsed.nats.hosts == ("nats://a:4222", "tls://b:4222")


def test_what_a_failed_contract_does() -> None:
    values = {"fed_psr_contract_snd_fail_action": "fed_psr_contract_snd_fail_action_allow"}
    peer = parse_create_map(CREATE | values, "p1", "false").peer
    assert (peer.send_action, peer.receive_action, peer.persist) == ("Allow", "Block", False)


def test_every_fault_is_named_at_once() -> None:
    assert create_faults(fed_name=None, sync_sched="x5", fed_encrypt="maybe", nats_req_timeout="soon") == (
        "fed_name: missing; sync_sched: 'x5' is not m<n>, h<n> or d<n>; "
        "fed_encrypt: 'maybe' is not true or false; nats_req_timeout: 'soon' is not a whole number"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pid": None}, "pid: missing"),
        (
            {"pid": "a b"},
            "pid: 'a b' is not letters, digits, _, - and ., at most 63, a letter or digit first",
        ),
        ({"persist": "yes"}, "persist: 'yes' is not true or false"),
        ({"fed_name": ""}, "fed_name: missing"),
        ({"fed_name": ["a"]}, "fed_name: neither text nor a number nor true or false; fed_name: missing"),
        (
            {"fed_name": "-a"},
            "fed_name: '-a' is not letters, digits, _ and -, at most 63, a letter or digit first",
        ),
        ({"sync_sched": "m0"}, "sync_sched: 'm0' is not m<n>, h<n> or d<n>"),
        ({"fed_local_type": "tpu"}, "fed_local_type: 'tpu' is not cpu or gpu"),
        (
            {"fed_psr_contract_snd_fail_action": "shout"},
            "fed_psr_contract_snd_fail_action: 'shout' is not ..._block or ..._allow",
        ),
        (
            {"nats_hosts": None},
            "nats_hosts, aws_access_key: missing; one of them chooses the backend",
        ),
        ({"aws_access_key": "AKIA"}, "nats_hosts, aws_access_key: only one of them is possible"),
        (
            {"nats_hosts": "http://a"},
            "nats_hosts: not nats://host:port or tls://host:port, without user and password",
        ),
        (
            {"nats_hosts": "nats://u:hidden@a:4222"},
            "nats_hosts: not nats://host:port or tls://host:port, without user and password",
        ),
        ({"nats_sec_user": "u"}, "nats_sec_user, nats_sec_passwd: both or none"),
        (
            {"nats_sec_token": "hidden", "nats_sec_nkey_seed": "hidden"},
            "nats_sec_token, nats_sec_nkey_seed: one way to authenticate at most",
        ),
        ({"nats_req_timeout": 0}, "nats_req_timeout: '0' is not from 1 to 600"),
        (
            {"nats_stream_max_memory": 1},
            "nats_stream_max_memory: '1' is not from 16777216 to 1099511627776",
        ),
    ],
)
def test_faults_of_a_create_map(changes: dict[str, Any], message: str) -> None:
    assert create_faults(**changes) == message


def test_aws_keys_are_read_and_regions_take_one_form() -> None:
    parsed = parse_create_map(AWS, "p1")
    assert parsed.nats is None
    assert parsed.aws is not None
    assert (parsed.aws.region, parsed.aws.bucket, parsed.aws.account_id) == ("us-east-1", "bucket", None)
    assert parsed.aws.credentials == {"accessKeyId": "AKIA", "secretAccessKey": "SECRET"}


def test_faults_of_an_aws_map_are_named_and_hide_secrets() -> None:
    with pytest.raises(FederationMapError) as caught:
        parse_create_map(AWS | {"aws_region": "Mars", "s3_bucket": "", "aws_id": "12"}, "p1")
    message = str(caught.value)
    assert "aws_region: 'mars' is not a region such as US_EAST_1 or us-east-1" in message
    assert "s3_bucket: missing" in message
    assert "aws_id: '12' is not an account id of 12 digits" in message
    assert "SECRET" not in message


def test_no_secret_shows_in_a_repr() -> None:
    values = {"nats_sec_user": "u", "nats_sec_passwd": "hidden"}
    for parsed in (
        parse_create_map(CREATE | values, "p1"),
        parse_create_map(AWS, "p1"),
        parse_join_map(JOIN, "p2"),
        parse_invite_map({"passwd": "hidden", "fed_rest_host": "http://h"}),
    ):
        assert not any(
            secret in repr(parsed) for secret in ("hidden", "SECRET", JOIN["fed_secret_key"], "FEDTOKEN")
        )


@pytest.mark.parametrize(
    ("sent", "meant"), [(" abc ", " abc "), (1.0, "1.0"), (7, "7"), (True, "true"), ("1.0", "1.0")]
)
def test_a_secret_is_taken_as_it_was_sent(sent: Any, meant: str) -> None:
    assert parse_invite_map({"passwd": sent}).password == meant
    user = {"nats_sec_user": "u", "nats_sec_passwd": sent}
    parsed = parse_create_map(CREATE | user, "p1")
    assert parsed.nats is not None
    assert parsed.nats.credentials == {"user": "u", "password": meant}
    assert parse_join_map(JOIN | user, "p2").invitation["nats_sec_passwd"] == meant
    token = parse_create_map(CREATE | {"nats_sec_token": sent}, "p1").nats
    assert token is not None
    assert token.credentials == {"token": meant}
    aws = parse_create_map(AWS | {"aws_secret_key": sent, "aws_session_token": sent}, "p1").aws
    assert aws is not None
    assert (aws.credentials["secretAccessKey"], aws.credentials["sessionToken"]) == (meant, meant)


@pytest.mark.parametrize("value", ["", None])
def test_an_empty_secret_is_missing(value: Any) -> None:
    assert create_faults(nats_sec_user="u", nats_sec_passwd=value) == (
        "nats_sec_user, nats_sec_passwd: both or none"
    )


def test_a_secret_that_is_no_text_is_a_fault() -> None:
    assert create_faults(nats_sec_token=["hidden"]) == (
        "nats_sec_token: neither text nor a number nor true or false"
    )


def test_unknown_keys_are_collected() -> None:
    assert parse_create_map(CREATE | {"zoo": 1, "aws_region": ""}, "p1").unknown_keys == ("zoo",)
    assert parse_join_map(JOIN | {"zoo": 1}, "p2").unknown_keys == ("zoo",)


def test_a_join_map_keeps_the_invitations_keys_as_text() -> None:
    parsed = parse_join_map(JOIN | {"nats_req_timeout": 45, "fed_encrypt": True, "zoo": 1}, "p2")
    assert parsed.invitation == JOIN | {"nats_req_timeout": "45", "fed_encrypt": "true"}
    assert (parsed.peer.project, parsed.name, parsed.aws) == ("p2", "iris", None)


def test_without_a_pid_the_project_is_called_after_the_federation() -> None:
    assert parse_join_map(JOIN | {"fed_name": "my fed"}, None).peer.project == "my-fed"


def test_an_older_invitation_is_understood_and_says_what_it_lacks() -> None:
    old = json.loads(VECTORS["invitation_v1"]["plaintext"])
    own = {"aws_access_key": "A", "aws_secret_key": "S", "aws_region": "us-east-1", "s3_bucket": "rows"}
    with pytest.raises(FederationMapError) as caught:
        parse_join_map(old | own, "p2")
    assert str(caught.value) == (
        "fed_req_token: missing; pass the opened invitation on unchanged; aws_id: missing"
    )
    token = {"fed_req_token": "FEDTOKEN0123456789abcdef", "aws_id": "1" * 12}
    parsed = parse_join_map(old | own | token, "p2")
    assert parsed.invitation == newest_names(old) | {"fed_req_token": "FEDTOKEN0123456789abcdef"}


@pytest.mark.parametrize("name", ["topic_region", "aws_topic_region"])
def test_the_topics_region_has_two_names(name: str) -> None:
    values = {key: value for key, value in JOIN.items() if key != "nats_hosts"} | AWS
    topic = {"aws_topic_arn": "arn:aws:sns:us-east-1:1:t", name: "US_EAST_1", "aws_id": "1" * 12}
    assert parse_join_map(values | topic, "p2").invitation["aws_topic_region"] == "US_EAST_1"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fed_rest_url": None}, "fed_rest_url: missing; pass the opened invitation on unchanged"),
        (
            {"fed_rest_url": "ftp://h/createPolicies"},
            "fed_rest_url: 'ftp://h/createPolicies' is not http(s)://.../createPolicies",
        ),
        (
            {"fed_rest_url": "http://u:p@h/createPolicies"},
            "fed_rest_url: the value is not http(s)://.../createPolicies",
        ),
        ({"fed_secret_key": "hidden"}, "fed_secret_key: not 16 bytes in base64"),
        ({"fed_document_key": "AAAA"}, "fed_document_key: not 32 bytes in base64"),
        ({"fed_req_token": "hidden"}, "fed_req_token: not FEDTOKEN and 16 hex digits"),
        ({"nats_hosts": None}, "nats_hosts, aws_access_key: missing; one of them chooses the backend"),
    ],
)
def test_faults_of_a_join_map(changes: dict[str, Any], message: str) -> None:
    assert join_faults(**changes) == message


def test_an_invite_map_with_its_defaults() -> None:
    parsed = parse_invite_map({"passwd": "passwd", "fed_rest_host": "charm:8080/"})
    assert (parsed.rest_host, parsed.token_hours, parsed.format) == ("http://charm:8080", 2, "v1")


def test_a_long_password_is_for_the_second_form_alone() -> None:
    with pytest.raises(FederationMapError, match=r"^passwd: 17 bytes, at most 16 are possible$"):
        parse_invite_map({"passwd": "p" * 17})
    assert parse_invite_map({"passwd": "p" * 17, "fed_info_format": "v2"}).format == "v2"


def test_faults_of_an_invite_map() -> None:
    with pytest.raises(FederationMapError) as caught:
        parse_invite_map({"fed_rest_host": "ftp://h", "fed_token_hours": "-1", "fed_info_format": "v3"})
    assert str(caught.value) == (
        "fed_info_format: 'v3' is not v1 or v2; passwd: missing; "
        "fed_rest_host: 'ftp://h' is not http(s)://host:port; fed_token_hours: '-1' is not from 0.01 to 8760"
    )
