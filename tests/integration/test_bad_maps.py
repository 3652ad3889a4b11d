"""Maps of create, invitation and join that cannot be served, against all parts."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.foreign.client import Answer, Json
from tests.foreign.signing import open_invitation
from tests.integration.bad_input import Case, Target, check, each, envelope, new_target
from tests.integration.line import Line, namespace_of
from tests.integration.servers import wait_until

ADMIN, FEDERATION, PASSWORD = "admin", "bad-maps", "passwd"
NATS = "nats://nats.example.org:4222"
WANTED = {"fed_name": "new", "sync_sched": "m30", "nats_hosts": NATS}
REFUSED = "the admin refused: Invitation refused"
FORM = "letters, digits, _ and -, at most 63, a letter or digit first"
Send = Callable[[Target], Answer]


@pytest.fixture(scope="module")
def target(line: Line) -> Target:
    """A customer with a federation, whose invitations others hold."""
    made = new_target(line, "bad-maps-1")
    keys = {"fed_name": FEDERATION, "sync_sched": "d1", "nats_hosts": line.nats}
    assert made.client.create(ADMIN, keys).status == 201
    assert invite(made).status == 200
    return made


@pytest.fixture(scope="module")
def joiner(line: Line) -> Target:
    """Another customer, with nothing but its own project."""
    return new_target(line, "bad-maps-2")


def create(pid: str | None = "new", **changes: str | None) -> Send:
    """`create` with keys changed, or left out (None)."""
    keys = {key: value for key, value in {**WANTED, **changes}.items() if value is not None}
    return lambda target: target.client.create(pid, keys)


def invite(target: Target, **changes: str) -> Answer:
    """`getEncrypted` with keys changed."""
    keys = {"passwd": PASSWORD, "fed_rest_host": target.line.url, **changes}
    return target.client.get_encrypted(ADMIN, keys)


def opened(answer: Answer) -> Json:
    """The invitation in an answer."""
    return open_invitation(PASSWORD, answer.values["fedInfoEncrypted"])


def taken(customer: str, pid: str) -> str:
    return f"Customer [{customer}] already have SYMETRYML with id[{pid}], "


CASES = [
    Case(
        "nothing is there",
        lambda target: target.client.create(None, {}),
        400,
        "nats_hosts, aws_access_key: missing; one of them chooses the backend; "
        "pid: missing; fed_name: missing; sync_sched: missing",
    ),
    Case(
        "everything is malformed",
        create(
            "a/b",
            fed_name="?",
            sync_sched="x5",
            nats_hosts="ftp://nats.example.org",
            nats_req_timeout="soon",
            nats_stream_max_memory="-1",
            nats_sec_user="u",
            nats_sec_token="never-shown",
            fed_encrypt="maybe",
            fed_local_type="tpu",
        ),
        400,
        "pid: 'a/b' is not letters, digits, _, - and ., at most 63, a letter or digit first; "
        f"fed_local_type: 'tpu' is not cpu or gpu; fed_name: '?' is not {FORM}; "
        "sync_sched: 'x5' is not m<n>, h<n> or d<n>; fed_encrypt: 'maybe' is not true or false; "
        "nats_hosts: not nats://host:port or tls://host:port, without user and password; "
        "nats_sec_user, nats_sec_passwd, nats_sec_token: one way to authenticate at most; "
        "nats_req_timeout: 'soon' is not a whole number; "
        "nats_stream_max_memory: '-1' is not from 16777216 to 1099511627776",
    ),
    Case(
        "no backend",
        create(nats_hosts=None),
        400,
        "nats_hosts, aws_access_key: missing; one of them chooses the backend",
    ),
    Case(
        "both backends",
        create(aws_access_key="AKIA", aws_secret_key="never-shown", aws_region="us-east-1", s3_bucket="b"),
        400,
        "nats_hosts, aws_access_key: only one of them is possible",
    ),
    Case(
        "half of AWS",
        create(nats_hosts=None, aws_access_key="AKIA"),
        400,
        "aws_region: missing; aws_secret_key: missing; s3_bucket: missing",
    ),
    Case(
        "a malformed side on AWS",
        create(
            nats_hosts=None,
            aws_access_key="never/shown",
            aws_secret_key="never-shown",
            aws_session_token="never\tshown",
            aws_region="Mars",
            aws_id="12",
            s3_bucket="Rows",
            aws_endpoint_url="ftp://h",
        ),
        400,
        "aws_region: 'mars' is not a region such as US_EAST_1 or us-east-1; "
        "aws_id: '12' is not an account id of 12 digits; "
        "aws_access_key: not an access key id of letters and digits; "
        "aws_session_token: not a session token of printable characters; "
        "s3_bucket: 'Rows' is not a bucket's name: lower case letters, digits, - and .; "
        "aws_endpoint_url: 'ftp://h' is not http(s)://host:port",
    ),
    Case(
        "a malformed login of somebody else's NATS",
        create(nats_sec_nkey_seed="never-shown", nats_tls_ca="never-shown"),
        400,
        "nats_sec_nkey_seed: not the seed of a NATS user: SU and 56 letters and digits; "
        "nats_tls_ca: not certificates in PEM",
    ),
    Case("a project that is there", create(ADMIN), 409, taken("bad-maps-1", ADMIN)),
    Case(
        "a federation's name that is taken",
        create(fed_name=FEDERATION),
        409,
        f"Customer [bad-maps-1] already have a federation with fed_name[{FEDERATION}]",
    ),
    Case(
        "an invitation's password of 17 bytes",
        partial(invite, passwd="p" * 17),
        400,
        "passwd: 17 bytes, at most 16 are possible",
    ),
    Case(
        "an invitation without a password, for no time",
        partial(invite, passwd="", fed_token_hours="0"),
        400,
        "passwd: missing; fed_token_hours: '0' is not from 0.01 to 8760",
    ),
    Case(
        "an invitation to no project",
        lambda target: target.client.get_encrypted("absent", {"passwd": "p", "fed_rest_host": "h"}),
        400,
        "Cannot Find SYMETRYML id[absent] for Customer id [bad-maps-1]",
    ),
    Case(
        "an invitation to a project without a federation",
        lambda target: target.client.get_encrypted("rows", {"passwd": "p", "fed_rest_host": "h"}),
        400,
        "Project rows is not the admin of a federation; only the admin invites",
    ),
]


@each(CASES)
def test_it_is_refused_and_nothing_comes_of_it(target: Target, case: Case) -> None:
    check(target, case)


def test_a_join_names_every_fault_of_its_invitation(joiner: Target) -> None:
    keys = {"fed_secret_key": "AAA", "fed_local_type": "tpu", "nats_hosts": NATS}
    unchanged = "missing; pass the opened invitation on unchanged"
    text = (
        f"fed_name: {unchanged}; sync_sched: missing; fed_secret_key: not 16 bytes in base64; "
        f"fed_rest_url: {unchanged}; fed_req_token: {unchanged}; fed_local_type: 'tpu' is not cpu or gpu"
    )
    check(joiner, Case("", lambda target: target.client.create_join(keys, "joined"), 400, text))


def test_a_join_on_aws_names_every_fault_too(joiner: Target) -> None:
    keys = {"aws_access_key": "AKIA", "aws_region": "US_EAST_1", "aws_topic_arn": "iris", "fed_name": "iris"}
    unchanged = "missing; pass the opened invitation on unchanged"
    text = (
        f"sync_sched: missing; fed_secret_key: {unchanged}; fed_rest_url: {unchanged}; "
        f"fed_req_token: {unchanged}; "
        f"aws_topic_arn: 'iris' is not a topic's ARN; aws_topic_region: {unchanged}; "
        "aws_id: missing; aws_secret_key: missing; s3_bucket: missing"
    )
    check(joiner, Case("", lambda target: target.client.create_join(keys, "joined"), 400, text))


def test_a_token_that_nobody_gave_out_is_refused(target: Target, joiner: Target) -> None:
    check(joiner, refused_join({**opened(invite(target)), "fed_req_token": "FEDTOKEN0000000000000000"}))


def test_an_expired_token_is_refused_and_the_next_one_serves(target: Target, joiner: Target) -> None:
    before = set(target.names("configmaps"))
    late = opened(invite(target, fed_token_hours="0.01"))
    [record] = set(target.names("configmaps")) - before
    path = f"/api/v1/namespaces/{namespace_of(target.client.cid)}/configmaps/{record}"
    change(target.line, path, {"data": {"expires": "2026-01-01T00:00:00Z"}})
    check(joiner, refused_join(late))

    joined = joiner.client.create_join(opened(invite(target)), "joined")
    assert (joined.status, joined.text) == (201, "Fed Project created with join")
    assert joiner.client.delete("joined").status == 200


def test_a_token_serves_the_peer_that_claimed_it_again_and_no_other(target: Target, joiner: Target) -> None:
    invitation = opened(invite(target))
    assert joiner.client.create_join(invitation, "first").status == 201
    check(joiner, refused_join(invitation))

    # As if the operator had crashed before it stored the answer: it asks again with the same token.
    record = f"/api/v1/namespaces/{target.line.installation.namespace}/secrets/peer-{uid_of(joiner, 'first')}"
    members = target.names("federationpeers")
    with target.line.without_operator():
        stored = read_record(target.line, record)
        lost = json.dumps({key: value for key, value in stored.items() if key != "answer"})
        change(target.line, record, {"data": {"record.json": b64encode(lost.encode()).decode()}})
    wait_until(lambda: bool(read_record(target.line, record).get("answer")), "the answer is not there again")
    assert target.names("federationpeers") == members
    assert joiner.client.delete("first").status == 200


def test_a_repeat_after_a_crash_takes_over_what_is_there(line: Line, target: Target) -> None:
    create_it = create("crashed", fed_name="crashed", nats_hosts=line.nats, nats_req_timeout="20")
    assert create_it(target).status == 201
    peers = f"/apis/symfed.dev/v1alpha1/namespaces/{namespace_of(target.client.cid)}/federationpeers"
    with line.control_plane.client() as api:
        api.delete(f"{peers}/crashed").raise_for_status()
    wait_until(lambda: "crashed" not in target.names("federationpeers"), "the peer is not gone")
    assert "crashed" in target.names("federations")

    other = create("crashed", fed_name="crashed", nats_hosts=line.nats)(target)
    text = "Customer [bad-maps-1] already have a federation with fed_name[crashed]"
    assert (other.status, other.envelope) == (409, envelope(409, text))
    again = create_it(target)
    assert (again.status, again.text) == (201, "Project Created with id:crashed")
    assert target.client.delete("crashed").status == 200
    assert "crashed" not in target.names("federations")


def test_unknown_keys_are_accepted_and_named_in_the_error_log(line: Line, target: Target) -> None:
    keys = {"fed_name": "typo", "nats_hosts": line.nats, "nats_hots": "oops", "favourite_colour": "blue"}
    assert create("typo", **keys)(target).status == 201

    def log() -> str:
        return str(target.client.error_log("typo").values["stringList"]["values"])

    named = "the map that made this project had keys that are not known: favourite_colour,nats_hots"
    wait_until(lambda: named in log(), "the error log does not name the unknown keys")
    assert "blue" not in log()
    assert "oops" not in log()
    assert target.client.delete("typo").status == 200


def refused_join(invitation: Json) -> Case:
    """A join that the admin's gateway refuses."""
    return Case("", lambda target: target.client.create_join(invitation, "joined"), 403, REFUSED)


def uid_of(target: Target, name: str) -> str:
    """The uid of a customer's FederationPeer."""
    path = f"/apis/symfed.dev/v1alpha1/namespaces/{namespace_of(target.client.cid)}/federationpeers/{name}"
    with target.line.control_plane.client() as api:
        return str(api.get(path).raise_for_status().json()["metadata"]["uid"])


def read_record(line: Line, path: str) -> dict[str, Any]:
    """What a Secret of the operator's says."""
    with line.control_plane.client() as api:
        data = api.get(path).raise_for_status().json()["data"]
    record: dict[str, Any] = json.loads(b64decode(data["record.json"]))
    return record


def change(line: Line, path: str, patch: Json) -> None:
    """A merge patch with an administrator's rights."""
    with line.control_plane.client() as api:
        headers = {"Content-Type": "application/merge-patch+json"}
        api.patch(path, json=patch, headers=headers).raise_for_status()
