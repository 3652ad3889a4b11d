"""Every federation call with a client that shares no code with symfed, against all parts."""

import pytest

from tests.foreign.client import Client
from tests.foreign.signing import open_invitation, with_older_names
from tests.integration.foreign_pair import (
    ADMIN,
    MEMBER,
    PASSWORD,
    Pair,
    exchange,
    iris,
    new_pair,
)
from tests.integration.line import Line


@pytest.fixture(scope="module")
def pair(line: Line) -> Pair:
    """Two members with 150 rows that have been exchanged."""
    made = new_pair(line, "calls")
    assert made.admin.learn(ADMIN, iris(0, 80)).status == 200
    assert made.member.learn(MEMBER, iris(80, 150)).status == 200
    exchange(made, 150)
    return made


def test_create_invite_and_join_answer_as_the_contract_says(pair: Pair) -> None:
    answers = pair.answers
    assert (answers["create"].status, answers["create"].text) == (201, f"Project Created with id:{ADMIN}")
    values = answers["getEncrypted"].values
    assert values["fedInfoEncrypted"] == values["encryptedGroupInfo"]
    invitation = open_invitation(PASSWORD, values["fedInfoEncrypted"])
    assert invitation["fed_rest_url"].endswith(f"/symetry/rest/calls-1/fedml/{ADMIN}/createPolicies")
    assert invitation["fed_req_token"].startswith("FEDTOKEN")
    assert (answers["createJoin"].status, answers["createJoin"].text) == (
        201,
        "Fed Project created with join",
    )


def test_a_join_without_a_project_id_and_under_older_names(line: Line, pair: Pair) -> None:
    third = line.new_customer("calls-3")
    client = Client(line.url, third.name, third.secret_key)
    keys = {"passwd": PASSWORD, "fed_rest_host": line.url, "fed_token_hours": "1"}
    invited = pair.admin.get_invitation(ADMIN, keys)
    invitation = open_invitation(PASSWORD, invited.values["encryptedGroupInfo"])

    joined = client.create_join(with_older_names(invitation))

    assert (joined.status, joined.text) == (201, "Fed Project created with join")
    assert client.projects().values["stringList"]["values"] == ["calls"]
    deleted = client.delete("calls")
    assert (deleted.status, deleted.text) == (
        200,
        "deleted Project with id[calls] from Customer[calls-3] store",
    )


def test_info_says_what_the_federation_is_and_hides_its_secrets(pair: Pair) -> None:
    info = pair.member.opened(pair.member.info(MEMBER), "fedInfoEncrypted")
    assert info["fed_name"] == "calls"
    assert info["sync_sched"] == "d1"
    assert info["fed_secret_key"] == "****"
    assert info["local_uuid"] in info["peersInfo"]
    assert info["is_pulsing"] is True


def test_sync_stats_show_both_members(pair: Pair) -> None:
    stats = [
        client.sync_stats(pid).values["fedSyncStats"]
        for client, pid in ((pair.admin, ADMIN), (pair.member, MEMBER))
    ]
    assert stats[0]["merged"]["digest"] == stats[1]["merged"]["digest"]
    assert [peer["rows"] for peer in stats[0]["peers"].values()] in ([80, 70], [70, 80])
