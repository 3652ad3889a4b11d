"""What an invitation carries, by the federation's backend; what the operator must have made before."""

from typing import Any

import pytest

from symfed_api.inviting import FederationKeys, ReadyFederation, invitation_keys, missing
from symfed_wire.resources import Federation

OWN_HOSTS = "nats://out:4222"
LOGIN = {"nats_sec_user": "u", "nats_sec_passwd": "hidden", "nats_tls_ca": "PEM"}
ELSEWHERE = {"hosts": ["nats://a:1", "nats://b:2"]}
WITH_LOGIN = {**ELSEWHERE, "credentialsSecretRef": {"name": "login"}}
AWS = {"region": "eu-central-1", "bucket": "rows", "credentialsSecretRef": {"name": "keys"}}
TOPIC = "arn:aws:sns:eu-central-1:123456789012:iris"


def federation(topic: str | None = None, **spec: Any) -> Federation:
    """A Federation as the API server gives it."""
    whole = {"name": "iris", "schedule": "m30"} | spec
    status = {"topicArn": topic} if topic else {}
    return Federation.model_validate({"metadata": {"name": "iris"}, "spec": whole, "status": status})


def keys_of(item: Federation, login: dict[str, str] | None = None) -> dict[str, Any]:
    """The keys of its invitation."""
    ready = ReadyFederation(item, FederationKeys("KEY", "DOCUMENT", login or {}))
    assert not any(secret in repr(ready) for secret in ("KEY", "hidden"))
    return invitation_keys(ready, "http://h/x/createPolicies", "FEDTOKEN00", OWN_HOSTS)


COMMON = {
    "sync_sched": "m30",
    "fed_name": "iris",
    "fed_secret_key": "KEY",
    "fed_rest_url": "http://h/x/createPolicies",
    "fed_req_token": "FEDTOKEN00",
    "fed_document_key": "DOCUMENT",
}
OF_NATS = {"nats_req_timeout": "30", "nats_stream_max_memory": "1073741824"}


def test_a_managed_federations_invitation_has_no_login() -> None:
    spec = {"managed": {}, "streamMaxBytes": "1Gi"}
    assert keys_of(federation(nats=spec)) == COMMON | OF_NATS | {"nats_hosts": OWN_HOSTS}


def test_somebody_elses_nats_goes_with_its_login() -> None:
    hosts = {"nats_hosts": "nats://a:1,nats://b:2"}
    assert keys_of(federation(nats=WITH_LOGIN), LOGIN) == COMMON | OF_NATS | hosts | LOGIN
    assert keys_of(federation(nats=ELSEWHERE)) == COMMON | OF_NATS | hosts


def test_a_federation_on_aws_tells_its_topic() -> None:
    topic = {"aws_topic_arn": TOPIC, "aws_topic_region": "EU_CENTRAL_1"}
    assert keys_of(federation(TOPIC, aws=AWS)) == COMMON | topic


def test_what_is_set_is_told() -> None:
    keys = keys_of(federation(nats={"managed": {}}, encryptMessages=True, secureSum=True))
    assert (keys["fed_encrypt"], keys["fed_use_smpc"]) == ("true", "true")


@pytest.mark.parametrize(
    ("item", "login", "lacks"),
    [
        (federation(nats={"managed": {}}), {}, ""),
        (federation(nats=ELSEWHERE), {}, ""),
        (federation(nats=WITH_LOGIN), {}, "NATS credentials"),
        (federation(nats=WITH_LOGIN), LOGIN, ""),
        (federation(aws=AWS), {}, "topic"),
        (federation(TOPIC, aws=AWS), {}, ""),
    ],
)
def test_what_an_invitation_waits_for(item: Federation, login: dict[str, str], lacks: str) -> None:
    assert missing(item, FederationKeys("KEY", "DOCUMENT", login)) == lacks
    assert missing(item, None) == "keys"
