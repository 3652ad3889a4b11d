"""Federations on AWS and on somebody else's NATS through the gateway; the tests play both operators."""

import base64
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from symfed_wire.documents import Signed
from symfed_wire.invitation import open_invitation
from symfed_wire.join import AwsGrant, AwsMember, JoinAnswer, JoinRequest, NatsUserKeys, open_join, seal_join
from tests.integration.gateway import (
    DOCUMENT_KEY,
    FEDERATION_KEY,
    JOIN,
    UUID,
    Nodes,
    Tenant,
    started_gateway,
    text_of,
)
from tests.integration.servers import ControlPlane

TOPIC = "arn:aws:sns:eu-central-1:123456789012:iris"
KEYS = {"aws_access_key": "AKIA", "aws_secret_key": "hidden-key", "aws_session_token": "hidden-token"}
AWS = {**KEYS, "aws_region": "EU_CENTRAL_1", "s3_bucket": "rows", "nats_hosts": ""}
LOGIN = {"nats_sec_user": "u", "nats_sec_passwd": "hidden"}
EXTERNAL = {"nats_hosts": "tls://nats.example.org:4222", **LOGIN}
INVITE = {"passwd": "passwd", "fed_rest_host": "http://h"}


def texts_of(tenant: Tenant, secret: str) -> dict[str, str]:
    """What a Secret says."""
    data = tenant.object("secrets", secret)["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def ask(tenant: Tenant) -> httpx.Response:
    """`getEncrypted` of the admin's project."""
    return tenant.call("POST", "/fedml/p1/getEncrypted", sealed=INVITE)


def opened(answer: httpx.Response) -> dict[str, Any]:
    """The invitation in an answer."""
    assert answer.status_code == 200, answer.text
    return open_invitation(answer.json()["values"]["fedInfoEncrypted"], "passwd")


def test_a_federation_on_aws_with_its_credentials_in_a_secret(tenant: Tenant) -> None:
    more = {"aws_id": "123456789012", "aws_endpoint_url": "https://vpce.example.org"}
    assert text_of(tenant.create(**AWS, **more)) == (201, "Project Created with id:p1")
    spec = tenant.object("federations", "iris")["spec"]
    credentials = spec["aws"].pop("credentialsSecretRef")["name"]
    assert "nats" not in spec
    assert spec["aws"] == {
        "region": "eu-central-1",
        "bucket": "rows",
        "accountId": "123456789012",
        "endpointUrl": "https://vpce.example.org",
    }
    assert texts_of(tenant, credentials) == {
        "accessKeyId": "AKIA",
        "secretAccessKey": "hidden-key",
        "sessionToken": "hidden-token",
    }
    assert "aws" not in tenant.object("federationpeers", "p1")["spec"]
    assert tenant.call("DELETE", "/projects/p1").status_code == 200
    assert tenant.names("secrets") == ["symfed-customer"]


def test_an_invitation_on_aws_waits_for_the_topic(tenant: Tenant) -> None:
    tenant.create(**AWS)
    tenant.make_federation_ready()
    assert text_of(ask(tenant)) == (503, "Federation iris has no topic for its invitations yet")
    tenant.set_status("federations", "iris", topicArn=TOPIC)
    keys = opened(ask(tenant))
    assert (keys["aws_topic_arn"], keys["aws_topic_region"]) == (TOPIC, "EU_CENTRAL_1")
    assert not any(key.startswith("nats_") or "hidden" in str(value) for key, value in keys.items())

    info = tenant.call("GET", "/fedml/p1/info")
    assert info.status_code == 200


def test_an_invitation_to_somebody_elses_nats_has_the_login_that_the_operator_shows(tenant: Tenant) -> None:
    assert tenant.create(**EXTERNAL).status_code == 201
    tenant.make_federation_ready()
    assert text_of(ask(tenant)) == (503, "Federation iris has no NATS credentials for its invitations yet")
    shown = {"secretKey": FEDERATION_KEY, "documentKey": DOCUMENT_KEY, **LOGIN, "nats_tls_ca": "PEM"}
    tenant.put_secret("iris-federation", shown)
    keys = opened(ask(tenant))
    assert {key: keys[key] for key in (*EXTERNAL, "nats_tls_ca")} == {**EXTERNAL, "nats_tls_ca": "PEM"}


@pytest.mark.parametrize("reason", ["AuthorizationFailed", "AccessDenied", "CredentialsExpired", "ClockSkew"])
def test_what_waiting_does_not_mend_is_told_at_once(tenant: Tenant, reason: str) -> None:
    tenant.create(**AWS)
    tenant.set_condition("federations", "iris", "Ready", "False", reason, "sns:CreateTopic: not allowed")
    start = time.monotonic()
    answer = ask(tenant)
    assert text_of(answer) == (409, f"Federation iris is not ready: {reason}: sns:CreateTopic: not allowed")
    assert time.monotonic() - start < 1.5, "the test's gateway waits for 2 s"
    assert "Retry-After" not in answer.headers


def test_a_call_to_a_project_of_such_a_federation_does_not_wait_either(
    tenant: Tenant, control_plane: ControlPlane, nodes: Nodes, tmp_path: Path
) -> None:
    tenant.create(**AWS)
    tenant.set_condition("federations", "iris", "Ready", "False", "AccessDenied", "sns:CreateTopic")
    tenant.set_condition("federationpeers", "p1", "Joined", "False", "AwaitingAdmin", "not granted yet")
    with started_gateway(control_plane, nodes, tmp_path, SYMFED_WAIT_SECONDS="3600") as own:
        tenant.url = own.url  # a call that waits there fails by the client's time-out
        answer = tenant.call("POST", "/projects/p1/learn", plain="{}")
    text = "Project p1 is not ready: Federation iris: AccessDenied: sns:CreateTopic"
    assert text_of(answer) == (503, text)


def test_a_peer_joins_on_aws_with_a_side_of_its_own(tenant: Tenant) -> None:
    invitation = {key: value for key, value in JOIN.items() if key != "nats_hosts"}
    topic = {"aws_topic_arn": TOPIC, "topic_region": "EU_CENTRAL_1"}
    own = {**KEYS, "aws_id": "210987654321", "aws_region": "us-east-1", "s3_bucket": "others"}
    joined = tenant.call("POST", "/fedml/createJoin", "pid=p2", sealed=invitation | topic | own)
    assert text_of(joined) == (201, "Fed Project created with join")
    peer = tenant.object("federationpeers", "p2")
    credentials = peer["spec"]["aws"].pop("credentialsSecretRef")["name"]
    assert peer["spec"]["aws"] == {"region": "us-east-1", "bucket": "others", "accountId": "210987654321"}
    assert texts_of(tenant, credentials)["secretAccessKey"] == "hidden-key"
    kept = texts_of(tenant, peer["spec"]["invitationSecretRef"]["name"])
    assert (kept["aws_topic_arn"], kept["aws_topic_region"]) == (TOPIC, "EU_CENTRAL_1")
    assert not any("hidden" in text for text in kept.values())


def request_of(backend: str) -> JoinRequest:
    """What a peer's operator says of it."""
    nats = NatsUserKeys(writer="U" + "A" * 55, reader="U" + "B" * 55)
    queue = "arn:aws:sqs:us-east-1:210987654321:iris_p2"
    aws = AwsMember(account_id="210987654321", region="us-east-1", bucket="others", queue_arn=queue)
    return JoinRequest(
        peer_uuid=UUID,
        peer_name="hospital",
        identity_key=DOCUMENT_KEY,
        sealing_key=base64.b64encode(bytes(range(32))).decode(),
        nats_user_keys=nats if backend == "nats" else None,
        aws=aws if backend == "aws" else None,
    )


def redeem(invitation: dict[str, Any], request: JoinRequest) -> httpx.Response:
    """`createPolicies` as a peer's operator calls it."""
    token = str(invitation["fed_req_token"])
    body = {"fed_req_token": token, "peer": seal_join(request, FEDERATION_KEY, token)}
    return httpx.post(str(invitation["fed_rest_url"]), json=body, trust_env=False)


def test_a_member_on_aws_is_let_in_with_its_place(tenant: Tenant) -> None:
    tenant.create(**AWS)
    tenant.make_federation_ready()
    tenant.set_status("federations", "iris", topicArn=TOPIC)
    invitation = tenant.invitation()
    assert redeem(invitation, request_of("aws")).status_code == 503  # not granted yet
    assert tenant.object("federationpeers", f"remote-{UUID}")["spec"]["remote"]["aws"] == {
        "accountId": "210987654321",
        "bucket": "others",
        "region": "us-east-1",
        "queueArn": "arn:aws:sqs:us-east-1:210987654321:iris_p2",
    }
    granted = JoinAnswer(
        federation="5f0c6a52-6e5e-4b3f-9d1f-1f0b7c3d2a11",
        document_key=DOCUMENT_KEY,
        document=Signed(payload="", key="", sig=""),
        aws=AwsGrant(
            topic_arn=TOPIC,
            region="eu-central-1",
            bucket="rows",
            prefix="5f0c6a52-6e5e-4b3f-9d1f-1f0b7c3d2a11/",
        ),
    )
    tenant.put_secret(f"remote-{UUID}-grant", {"join.json": granted.model_dump_json()})
    answer = redeem(invitation, request_of("aws"))
    token = str(invitation["fed_req_token"])
    assert open_join(answer.json()["values"]["join"], FEDERATION_KEY, token, JoinAnswer) == granted


@pytest.mark.parametrize(("keys", "wrong", "right"), [(AWS, "nats", "aws"), (EXTERNAL, "aws", "nats")])
def test_a_peer_on_another_backend_is_refused_and_claims_nothing(
    tenant: Tenant,
    control_plane: ControlPlane,
    nodes: Nodes,
    tmp_path: Path,
    keys: dict[str, str],
    wrong: str,
    right: str,
) -> None:
    tenant.create(**keys)
    tenant.make_federation_ready()
    tenant.set_status("federations", "iris", topicArn=TOPIC)
    shown = {"secretKey": FEDERATION_KEY, "documentKey": DOCUMENT_KEY, **LOGIN}
    tenant.put_secret("iris-federation", shown)
    # A gateway of its own: the one that all tests share counts refusals by address.
    with started_gateway(control_plane, nodes, tmp_path) as own:
        tenant.url = own.url
        invitation = tenant.invitation()
        assert text_of(redeem(invitation, request_of(wrong))) == (403, "Invitation refused")
        assert not tenant.has("federationpeers", f"remote-{UUID}")
        assert redeem(invitation, request_of(right)).status_code == 503  # claimed, not granted yet
        assert "the peer is on another backend than the federation" in own.log.read_text()
