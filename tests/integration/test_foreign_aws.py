"""A federation of two accounts on AWS, with the client that shares no code with symfed."""

from dataclasses import dataclass

import pytest

from symfed_wire.client import Client as OwnClient
from symfed_wire.client.http import Form
from tests.foreign.client import Answer, Client, Json, frame
from tests.foreign.signing import open_invitation
from tests.integration.line import Line
from tests.integration.servers import wait_until

ADMIN, MEMBER = ("444444444444", "EU_WEST_1"), ("666666666666", "us-east-1")
REGION = "eu-west-1"
SECRET = "any secret will do"
PASSWORD = "for-clinic-b"


def side(line: Line, account: str, region: str) -> Json:
    """An account's keys and its bucket, which is there already."""
    bucket = f"foreign-{account}"
    s3 = line.aws.account(account, region.lower().replace("_", "-")).s3
    if region == MEMBER[1]:
        s3.create_bucket(Bucket=bucket)
    else:
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    keys = {"aws_access_key": account, "aws_secret_key": SECRET, "aws_region": region}
    return {**keys, "s3_bucket": bucket, "aws_id": account, "aws_endpoint_url": line.aws.url}


@dataclass(frozen=True)
class Pair:
    """The admin's client and the member's, and how the member came in."""

    admin: Client
    member: Client
    invitation: Json
    joined: Answer


@pytest.fixture(scope="module")
def pair(line: Line) -> Pair:
    """Two customers, each with an account on AWS, in different regions."""
    first, second = line.new_customer("foreign-aws-1"), line.new_customer("foreign-aws-2")
    admin = Client(line.url, first.name, first.secret_key)
    member = Client(line.url, second.name, second.secret_key)
    keys = {"fed_name": "foreign", "sync_sched": "d1", "fed_encrypt": "true"}
    created = admin.create("admin", {**keys, **side(line, *ADMIN)})
    assert (created.status, created.text) == (201, "Project Created with id:admin")
    invited = admin.get_encrypted("admin", {"passwd": PASSWORD, "fed_rest_host": line.url})
    assert invited.status == 200, invited.body
    invitation = open_invitation(PASSWORD, invited.values["fedInfoEncrypted"])
    joined = member.create_join({**invitation, **side(line, *MEMBER)}, "member")
    return Pair(admin, member, invitation, joined)


def test_the_invitation_names_the_topic_and_no_keys(pair: Pair) -> None:
    assert pair.invitation["aws_topic_arn"] == f"arn:aws:sns:{REGION}:{ADMIN[0]}:foreign"
    assert pair.invitation["aws_topic_region"] == "EU_WEST_1"
    assert not {key for key in pair.invitation if key.startswith("nats_") or "access" in key}
    assert SECRET not in pair.invitation.values()
    assert (pair.joined.status, pair.joined.text) == (201, "Fed Project created with join")


def test_each_project_tells_its_own_side(pair: Pair) -> None:
    topic = pair.invitation["aws_topic_arn"]
    for client, pid, account in ((pair.admin, "admin", ADMIN[0]), (pair.member, "member", MEMBER[0])):
        info = client.opened(client.info(pid), "fedInfoEncrypted")
        assert (info["fed_type"], info["fed_name"], info["aws_topic_arn"]) == ("AWS", "foreign", topic)
        assert (info["aws_id"], info["s3_bucket"]) == (account, f"foreign-{account}")
        assert info["aws_queue_url"].endswith(f"/{account}/foreign_{pid}")
        assert (info["aws_access_key"], info["aws_secret_key"]) == ("****", "****")


def test_both_have_the_sum_of_all_rows(pair: Pair) -> None:
    rows = [[str(30 + number), str(50 + number * number % 40)] for number in range(40)]
    assert pair.admin.learn("admin", frame(["age", "weight"], rows[:20])).status == 200
    assert pair.member.learn("member", frame(["age", "weight"], rows[20:])).status == 200
    assert pair.admin.full_sync_request("admin").status == 200

    def merged() -> list[Json]:
        asked = (pair.admin.sync_stats("admin"), pair.member.sync_stats("member"))
        return [answer.values["fedSyncStats"]["merged"] for answer in asked]

    wait_until(lambda: [sum_["rows"] for sum_ in merged()] == [40, 40], "not everything is merged", 90)
    assert len({sum_["digest"] for sum_ in merged()}) == 1


def test_a_member_comes_in_once(line: Line, pair: Pair) -> None:
    other = line.new_customer("foreign-aws-3")
    client = Client(line.url, other.name, other.secret_key)
    own = side(line, "777777777777", "us-east-1")
    refused = client.create_join({**pair.invitation, **own}, "late")
    assert (refused.status, refused.text) == (403, "the admin refused: Invitation refused")
    lacking = client.create_join({**pair.invitation, **own, "aws_id": "", "s3_bucket": ""}, "late")
    assert (lacking.status, lacking.text) == (400, "aws_id: missing; s3_bucket: missing")


@pytest.mark.parametrize(("pid", "region"), [(None, "EU_WEST_1"), ("admin", REGION), (None, None)])
def test_the_topics_and_queues_of_an_account(
    line: Line, pair: Pair, pid: str | None, region: str | None
) -> None:
    keys = {
        "aws_access_key": ADMIN[0],
        "aws_secret_key": SECRET,
        **({"aws_region": region} if region else {}),
    }
    started = pair.admin.aws_info(keys, pid)
    assert (started.status, started.text) == (202, "Job Created")
    assert started.headers["location"] == f"{line.url}/symetry/rest/foreign-aws-1/jobs/{started.job}"
    finished = pair.admin.finished(started)
    assert (finished.status, finished.text) == (200, "Job is finished")
    found = pair.admin.opened(finished, "awsInfoEncrypted")
    assert any(url.endswith(f"/{ADMIN[0]}/foreign_admin") for url in found["queues"]["EU_WEST_1"])
    [subscriptions] = [topic[pair.invitation["aws_topic_arn"]] for topic in found["topics"]["EU_WEST_1"]]
    assert {subscription["protocol"] for subscription in subscriptions} == {"sqs"}
    assert set(found["queues"]) == {"EU_WEST_1"} if region else len(found["queues"]) > 20
    assert pair.admin.kill_job(started.job).text == "Job killed"


@pytest.mark.parametrize("form", ["v1", "v2"])
def test_the_own_client_reads_it_in_both_forms(line: Line, pair: Pair, form: Form) -> None:
    with OwnClient(line.url, pair.admin.cid, pair.admin.secret_key, form=form) as own:
        found = own.aws_info(ADMIN[0], SECRET, region=REGION)
    assert pair.invitation["aws_topic_arn"] in {arn for topic in found.topics["EU_WEST_1"] for arn in topic}


def test_a_member_leaves_and_the_admin_goes(line: Line, pair: Pair) -> None:
    refused = pair.admin.delete("admin")
    text = "Project admin administers a federation with other members: member"
    assert (refused.status, refused.text) == (409, text)
    assert pair.member.delete("member").status == 200
    wait_until(lambda: pair.admin.delete("admin").status == 200, "the admin's project is not deleted", 90)
    account = line.aws.account(ADMIN[0], REGION)
    assert pair.invitation["aws_topic_arn"] not in str(account.sns.list_topics()["Topics"])
    assert account.sqs.list_queues().get("QueueUrls", []) == []
