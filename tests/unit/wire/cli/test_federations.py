"""create, invite, join, sync, and the switches pulse, schedule, allow-explore."""

import json
from pathlib import Path

import pytest
from pydantic import JsonValue
from tests.unit.wire.cli.stub import Gateway, Values, error_of, printed, run

from symfed_wire.invitation import open_invitation, seal_invitation

INVITATION: dict[str, JsonValue] = {"fed_name": "study", "fed_req_token": "FEDTOKEN0123456789abcdef"}


def test_create_makes_a_federation(gateway: Gateway) -> None:
    gateway.on("POST /fedml/create", 201)
    result = run("create", "p", "--name", "study", "--schedule", "m1", "--nats", "nats://n:1", "--encrypt")
    assert result.stdout == "federation study is created; p is its admin's project\n"
    assert gateway.sent() == {
        "fed_name": "study",
        "sync_sched": "m1",
        "nats_hosts": "nats://n:1",
        "fed_local_type": "cpu",
        "fed_encrypt": True,
    }


def test_create_local_makes_a_plain_project(gateway: Gateway) -> None:
    gateway.on("POST /projects", 201)
    assert run("create", "p", "--local", "--gpu").exit_code == 0
    assert dict(gateway.requests[0].url.params) == {"pid": "p", "type": "gpu", "persist": "true"}


def test_invite_prints_the_invitation_alone_and_its_new_password_beside(gateway: Gateway) -> None:
    sealed = seal_invitation(INVITATION, "x")
    gateway.on("POST /fedml/p/getEncrypted", values={"fedInfoEncrypted": sealed})
    result = run("invite", "p", "--host", "http://outer:2")
    assert result.stdout == f"{sealed}\n"
    password = result.stderr.removeprefix("password: ").strip()
    assert gateway.sent() == {"passwd": password, "fed_rest_host": "http://outer:2"}
    assert len(password) == 16


def test_invite_does_not_repeat_a_given_password(gateway: Gateway) -> None:
    gateway.on("POST /fedml/p/getEncrypted", values={"fedInfoEncrypted": "text"})
    result = run("invite", "p", "--password", "sesame")
    assert "sesame" not in result.output


def test_join_opens_the_invitation_from_stdin(gateway: Gateway) -> None:
    gateway.on("POST /fedml/createJoin", 201)
    sealed = seal_invitation(INVITATION, "sesame")
    assert open_invitation(sealed, "sesame") == INVITATION
    result = run("join", "-", "--password", "sesame", "--project", "b", stdin=f"{sealed}\n")
    assert result.stdout == "b has joined federation study\n"
    assert gateway.sent() == {**INVITATION, "fed_local_type": "cpu"}
    assert gateway.requests[0].url.params["pid"] == "b"


def test_a_peer_without_a_project_id_is_called_after_the_federation(gateway: Gateway) -> None:
    gateway.on("POST /fedml/createJoin", 201)
    result = run("join", seal_invitation(INVITATION, "s"), "--password", "s")
    assert printed(result) == "study has joined federation study\n"


def test_a_file_in_an_invitations_place_is_told(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "invitation.txt"
    file.touch()
    assert f"`symfed join - < {file}`" in error_of(run("join", str(file), "--password", "s"), status=2)


def test_a_refused_join_asks_for_a_new_invitation(gateway: Gateway) -> None:
    gateway.on("POST /fedml/createJoin", 403, "Invitation refused")
    line = error_of(run("join", seal_invitation(INVITATION, "s"), "--password", "s"))
    assert "403 Invitation refused - ask the federation's admin for a new invitation" in line


def test_a_wrong_password_is_told_without_it(gateway: Gateway) -> None:
    line = error_of(run("join", seal_invitation(INVITATION, "right"), "--password", "wrong-one"))
    assert "the password is wrong" in line
    assert "wrong-one" not in line


def test_join_needs_a_password_where_nobody_can_answer(gateway: Gateway) -> None:
    assert "set SYMFED_PASSWORD" in error_of(run("join", "-", stdin="x"), status=2)


def test_create_needs_a_name_and_addresses(gateway: Gateway) -> None:
    assert "needs --name, and --nats (SYMFED_NATS) or --bucket" in error_of(run("create", "p"), status=2)


def stats(**merged: int) -> Values:
    peers: JsonValue = {
        "u1": {"name": "a", "epoch": 3, "rows": 50, "ageSeconds": 1.2, "digest": "abc"},
        "u2": {"name": "b", "epoch": 1, "rows": 100, "ageSeconds": 0.2, "digest": "def"},
    }
    return {"fedSyncStats": {"peers": peers, "merged": {"epoch": 4, "rows": 150, "digest": "fff", **merged}}}


def test_sync_waits_and_prints_the_peers(gateway: Gateway) -> None:
    gateway.on("GET /fedml/p/fullSyncRequest")
    gateway.on("GET /fedml/p/syncStats", values=stats())
    result = run("sync", "p", "--wait", "--peers", "2", "--rows", "150")
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines() if line.strip()]
    assert rows[0] == ["peer", "epoch", "rows", "age", "digest"]
    assert [row for row in rows if row[0] in ("a", "b", "sum")] == [
        ["a", "3", "50", "1", "s", "abc"],
        ["b", "1", "100", "0", "s", "def"],
        ["sum", "4", "150", "fff"],
    ]
    as_json = json.loads(run("sync", "p", "--wait", "-o", "json").stdout)
    assert as_json["peers"]["u1"]["age_seconds"] == 1.2
    assert as_json["merged"]["epoch_sum"] == 4


def test_sync_ends_at_its_deadline_and_says_what_is_missing(gateway: Gateway) -> None:
    gateway.on("GET /fedml/p/fullSyncRequest")
    gateway.on("GET /fedml/p/syncStats", values=stats(rows=100))
    line = error_of(run("sync", "p", "--wait", "--deadline", "0"))
    assert "p after 0 s: 100 of 150 published rows are in the sum" in line


def test_pulse_starts_and_stops(gateway: Gateway) -> None:
    gateway.on("GET /fedml/p/startPulse")
    gateway.on("GET /fedml/p/stopPulse")
    assert printed(run("pulse", "p", "start")) == "p takes part in the schedule\n"
    assert "until `symfed pulse p start`" in printed(run("pulse", "p", "stop"))
    assert gateway.calls == ["GET /fedml/p/startPulse", "GET /fedml/p/stopPulse"]


def test_schedule_is_sent(gateway: Gateway) -> None:
    gateway.on("GET /fedml/p/newSchedule")
    assert printed(run("schedule", "p", "h3")) == "the peers of p's federation exchange every h3\n"
    assert dict(gateway.requests[0].url.params) == {"newSchedule": "h3"}


def test_a_schedule_of_somebody_else_is_refused_in_the_gateways_words(gateway: Gateway) -> None:
    gateway.on("GET /fedml/p/newSchedule", 403, "only the admin of the federation may do this")
    assert "403 only the admin of the federation may do this" in error_of(run("schedule", "p", "h3"))


@pytest.mark.parametrize(
    ("state", "flag", "words"), [("on", "true", "may explore"), ("off", "false", "may not")]
)
def test_allow_explore_is_switched(gateway: Gateway, state: str, flag: str, words: str) -> None:
    gateway.on("GET /fedml/p/setExplorePeers")
    assert words in printed(run("allow-explore", "p", state))
    assert dict(gateway.requests[0].url.params) == {"allowExplore": flag}


def test_a_switch_that_is_none_is_a_usage_error(gateway: Gateway) -> None:
    assert run("pulse", "p", "sideways").exit_code == 2
    assert gateway.calls == []
