"""Every federation call with a client that shares no code with symfed, against all parts."""

from functools import partial

import pytest

from tests.foreign.client import Client, Json
from tests.foreign.signing import open_invitation, with_older_names
from tests.integration.foreign_pair import (
    ADMIN,
    MEMBER,
    PASSWORD,
    Pair,
    create_keys,
    exchange,
    iris,
    new_pair,
)
from tests.integration.line import Line
from tests.integration.servers import wait_until


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


def test_the_schedule_is_the_admins(pair: Pair) -> None:
    refused = pair.member.new_schedule(MEMBER, "h3")
    text = f"Project {MEMBER} is not the admin of its federation; only the admin sets its schedule"
    assert (refused.status, refused.text) == (403, text)
    malformed = pair.admin.new_schedule(ADMIN, "often")
    assert (malformed.status, malformed.text) == (400, "newSchedule: 'often' is not m<n>, h<n> or d<n>")

    assert pair.admin.new_schedule(ADMIN, "h3").status == 200
    for client, pid in ((pair.admin, ADMIN), (pair.member, MEMBER)):
        wait_until(partial(has_schedule, client, pid, "h3"), f"{pid} keeps its schedule")


def test_pulse_and_exploration_are_each_members_own(pair: Pair) -> None:
    def says(key: str, value: bool) -> None:
        wait_until(lambda: information(pair.member, MEMBER)[key] is value, f"{key} does not become {value}")

    for call, value in ((pair.member.stop_pulse, False), (pair.member.start_pulse, True)):
        assert call(MEMBER).status == 200
        says("is_pulsing", value)
    for text, value in (("true", True), ("false", False)):
        assert pair.member.set_explore_peers(MEMBER, text).status == 200
        says("allow_peers_explore", value)
    refused = pair.member.set_explore_peers(MEMBER, "perhaps")
    assert (refused.status, refused.text) == (400, "allowExplore: 'perhaps' is not true or false")


def test_the_logs_are_lists_of_texts_and_errors_are_cleared(line: Line, pair: Pair) -> None:
    events = pair.admin.sync_log(ADMIN).values["stringList"]["values"]
    assert any("epoch" in event for event in events), events
    keys = {**create_keys(line, "logs"), "fed_colour": "blue"}
    assert pair.admin.create("logs", keys).status == 201

    def errors() -> list[str]:
        found: list[str] = pair.admin.error_log("logs").values["stringList"]["values"]
        return found

    wait_until(lambda: any("fed_colour" in entry for entry in errors()), "the unknown key is not named")
    assert pair.admin.clear_error_log("logs").status == 200
    wait_until(lambda: errors() == [], "the error log is not cleared")
    assert pair.admin.delete("logs").status == 200


def test_what_this_version_does_not_do_says_so(pair: Pair) -> None:
    refused = {
        f"fedml/{ADMIN}/contractValidate": pair.admin.contract_validate(ADMIN, ["COUNT(a) > 5"]),
        f"fedml/{ADMIN}/addContract": pair.admin.add_contract(ADMIN, ["COUNT(a) > 5"]),
    }
    for path, answer in refused.items():
        assert (answer.status, answer.text) == (501, f"POST {path} is not supported by this version")


def test_an_admin_with_members_is_not_deleted(pair: Pair) -> None:
    refused = pair.admin.delete(ADMIN)
    text = f"Project {ADMIN} administers a federation with other members: {MEMBER}"
    assert (refused.status, refused.text) == (409, text)


def information(client: Client, pid: str) -> Json:
    """The opened answer of `info`."""
    return client.opened(client.info(pid), "fedInfoEncrypted")


def has_schedule(client: Client, pid: str, schedule: str) -> bool:
    """Whether a member follows that schedule."""
    return bool(information(client, pid)["sync_sched"] == schedule)


def test_info_says_what_the_federation_is_and_hides_its_secrets(pair: Pair) -> None:
    info = information(pair.member, MEMBER)
    assert info["fed_name"] == "calls"
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
