"""Invitations, claims and leaving: the pure decisions."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from symfed_api.admission import Claim, InvitationRefusedError, check_claim, keys_digest
from symfed_api.errors import TooManyFailuresError
from symfed_api.federation_info import describe
from symfed_api.jobs import merge_values
from symfed_api.leaving import LeaveRefusedError, check_leave, claimed_uuid
from symfed_api.limit import BURST, SECONDS_PER_FAILURE, FailureLimit
from symfed_wire.documents import LEAVE_CONTEXT, Leave, sign_document
from symfed_wire.join import AwsMember, JoinRequest, NatsUserKeys
from symfed_wire.kube import JsonObject
from symfed_wire.resources import Federation, FederationPeer

UUID = "00000000-0000-4000-8000-000000000001"
OTHER = "00000000-0000-4000-8000-000000000002"
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
IDENTITY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
IDENTITY_KEY = base64.b64encode(IDENTITY.public_key().public_bytes_raw()).decode()
SEALING_KEY = base64.b64encode(bytes(range(32))).decode()


def federation(**spec: Any) -> Federation:
    """A Federation as the API server gives it."""
    whole = {"name": "iris", "schedule": "m30", "nats": {"managed": {}, "streamMaxBytes": "1Gi"}} | spec
    return Federation.model_validate({"metadata": {"name": "iris", "uid": "fed-uid"}, "spec": whole})


def request(uuid: str = UUID, name: str = "hospital") -> JoinRequest:
    """A join request."""
    return JoinRequest(
        peer_uuid=uuid,
        peer_name=name,
        identity_key=IDENTITY_KEY,
        sealing_key=SEALING_KEY,
        nats_user_keys=NatsUserKeys(writer="UA", reader="UB"),
    )


def claim(uuid: str = "", digest: str = "", *, hours: float = 1) -> Claim:
    """A claim that expires in some hours."""
    return Claim(expires=NOW + timedelta(hours=hours), federation="iris", uuid=uuid, digest=digest)


def test_who_may_claim() -> None:
    own = keys_digest(request())
    check_claim(claim(), request(), NOW)
    check_claim(claim(UUID, own), request(), NOW)
    check_claim(claim(UUID, own, hours=-1), request(), NOW)  # expiry concerns unclaimed tokens only
    check_claim(claim(UUID, own), request(name="renamed"), NOW)


def aws_request(**changes: str) -> JoinRequest:
    """A join request of a peer on AWS."""
    aws = {"account_id": "1" * 12, "region": "us-east-1", "bucket": "rows", "queue_arn": "arn:aws:sqs:q"}
    update = {"nats_user_keys": None, "aws": AwsMember.model_validate(aws | changes)}
    return request().model_copy(update=update)


@pytest.mark.parametrize(
    "other",
    [
        {"account_id": "2" * 12},
        {"region": "us-east-2"},
        {"bucket": "another"},
        {"queue_arn": "arn:aws:sqs:another"},
    ],
)
def test_a_claim_is_for_one_place_on_aws(other: dict[str, str]) -> None:
    own = claim(UUID, keys_digest(aws_request()))
    check_claim(own, aws_request(), NOW)
    with pytest.raises(InvitationRefusedError, match=r"^Invitation refused$"):
        check_claim(own, aws_request(**other), NOW)


@pytest.mark.parametrize(
    ("found", "asked"),
    [
        (claim(hours=-1), request()),
        (claim(OTHER, keys_digest(request())), request()),
        (claim(UUID, "another"), request()),
        (claim(UUID, keys_digest(request())), request(OTHER)),
    ],
)
def test_who_may_not_claim(found: Claim, asked: JoinRequest) -> None:
    with pytest.raises(InvitationRefusedError, match=r"^Invitation refused$"):
        check_claim(found, asked, NOW)


def remote(created: datetime = NOW) -> FederationPeer:
    """The member that wants to leave."""
    spec = {
        "federationRef": {"name": "iris"},
        "remote": {"uuid": UUID, "displayName": "h", "identityKey": IDENTITY_KEY, "sealingKey": SEALING_KEY},
    }
    metadata = {"name": f"remote-{UUID}", "creationTimestamp": created.isoformat()}
    return FederationPeer.model_validate({"metadata": metadata, "spec": spec})


def test_a_member_leaves() -> None:
    signed = sign_document(
        Leave(federation="fed-uid", uuid=UUID, at=NOW.isoformat()), LEAVE_CONTEXT, IDENTITY
    )
    assert claimed_uuid(signed) == UUID
    check_leave(signed, remote(), "fed-uid")


@pytest.mark.parametrize(
    ("wish", "key"),
    [
        (Leave(federation="another", uuid=UUID, at=NOW.isoformat()), IDENTITY),
        (Leave(federation="fed-uid", uuid=OTHER, at=NOW.isoformat()), IDENTITY),
        (Leave(federation="fed-uid", uuid=UUID, at="soon"), IDENTITY),
        (Leave(federation="fed-uid", uuid=UUID, at=(NOW - timedelta(hours=1)).isoformat()), IDENTITY),
        (Leave(federation="fed-uid", uuid=UUID, at=NOW.isoformat()), Ed25519PrivateKey.generate()),
    ],
)
def test_a_leave_that_is_not_this_members(wish: Leave, key: Ed25519PrivateKey) -> None:
    with pytest.raises(LeaveRefusedError, match=r"^Leave refused$"):
        check_leave(sign_document(wish, LEAVE_CONTEXT, key), remote(), "fed-uid")


def test_an_address_with_many_failures_waits() -> None:
    now = 0.0
    limit = FailureLimit(clock=lambda: now)
    for _ in range(BURST):
        limit.check("a")
        limit.count("a")
    with pytest.raises(TooManyFailuresError, match="Too many refused requests from this address") as caught:
        limit.check("a")
    assert caught.value.retry_after == SECONDS_PER_FAILURE + 1
    limit.check("b")
    now += SECONDS_PER_FAILURE
    limit.check("a")


def hosted(**changes: Any) -> FederationPeer:
    """A hosted peer."""
    body: dict[str, Any] = {"metadata": {"name": "p1"}, "spec": {"project": "p1"}, "status": {"uuid": UUID}}
    return FederationPeer.model_validate(body | changes)


def test_federation_info_of_a_peer_that_joined_on_aws() -> None:
    side = {
        "region": "us-east-1",
        "bucket": "rows",
        "accountId": "2" * 12,
        "roleArn": "arn:aws:iam::2:role/r",
    }
    topic, queue = "arn:aws:sns:us-east-1:1:iris", "https://sqs.us-east-1.amazonaws.com/2/iris_p1"
    peer = FederationPeer.model_validate(
        {
            "metadata": {"name": "p1", "annotations": {"symfed.dev/federation-topic": topic}},
            "spec": {"project": "p1", "invitationSecretRef": {"name": "i"}, "aws": side},
            "status": {"uuid": UUID, "queueUrl": queue},
        }
    )
    info = describe(peer, None, {})
    assert (info["fed_type"], info["aws_id"], info["s3_bucket"]) == ("AWS", "2" * 12, "rows")
    assert (info["aws_topic_arn"], info["aws_queue_url"]) == (topic, queue)


def test_federation_info_of_an_admin() -> None:
    stats: JsonObject = {"peers": {UUID: {"name": "p1", "epoch": 3}, OTHER: {"name": "p2"}}}
    info = describe(hosted(), federation(contract=["COUNT(a) > 5"]), stats)
    assert info == {
        "fed_local_id": "p1",
        "fed_name": "iris",
        "fed_secret_key": "****",
        "sync_sched": "m30",
        "fed_type": "NATS",
        "local_uuid": UUID,
        "is_pulsing": True,
        "allow_peers_explore": False,
        "peersInfo": {UUID: "p1", OTHER: "p2"},
        "contract": ["COUNT(a) > 5"],
        "rcv_error_action": "fed_psr_contract_rcv_fail_action_block",
        "snd_error_action": "fed_psr_contract_snd_fail_action_block",
        "fed_use_smpc": False,
        "aws_id": "",
        "aws_access_key": "",
        "aws_secret_key": "",
        "aws_queue_url": "",
        "aws_topic_arn": "",
        "s3_bucket": "",
        "conditions": [],
    }


def test_federation_info_of_a_joined_peer_is_what_its_invitation_said() -> None:
    told = {"symfed.dev/federation-name": "iris", "symfed.dev/federation-schedule": "h3"}
    info = describe(hosted(metadata={"name": "p2", "annotations": told}), None, {})
    assert (info["fed_name"], info["sync_sched"], info["peersInfo"]) == ("iris", "h3", {})


def test_federation_info_says_why_the_peer_is_not_ready() -> None:
    condition = {
        "type": "Exchanging",
        "status": "False",
        "reason": "Paused",
        "message": "spec.pulse is false",
    }
    info = describe(hosted(status={"uuid": UUID, "conditions": [condition]}), None, {})
    assert info["conditions"] == [condition]


def test_jobs_of_several_nodes_are_one_list() -> None:
    assert merge_values([{"jobs": [1]}, {}, {"jobs": [2], "text": "x"}]) == {"jobs": [1, 2]}
