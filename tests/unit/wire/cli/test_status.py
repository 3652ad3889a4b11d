"""status: a federation on one screen, and whether all is well."""

import json

import httpx
import pytest
from pydantic import JsonValue
from tests.unit.wire.cli.stub import KEY, Gateway, Values, error_of, printed, run

from symfed_wire.bodies import seal_body

EVIL = "evil\x1b[2J\x9b\x07"
NAMES = {"u-1111-aaaa": "a", "u-2222-bbbb": "b"}


def federation(gateway: Gateway, *projects: str, **changes: JsonValue) -> None:
    """Own projects of one federation, each with its place in it."""
    gateway.on("GET /projects/list", values={"stringList": {"values": [*projects]}})
    uuids = {name: uuid for uuid, name in NAMES.items()}
    for project in projects:
        info: Values = {"fed_name": "study", "sync_sched": "m30", "is_pulsing": True, "peersInfo": {**NAMES}}
        info |= {"local_uuid": uuids.get(project, "")} | changes
        gateway.on(
            f"GET /fedml/{project}/info", values={"fedInfoEncrypted": seal_body(json.dumps(info), KEY)}
        )
        stats(gateway, project)


def stats(
    gateway: Gateway,
    project: str,
    digest: str = "d1",
    epoch: int = 3,
    errors: tuple[str, ...] = (),
    name: str = "b",
) -> None:
    peers: Values = {
        "u-1111-aaaa": {"name": "a", "epoch": 7, "rows": 50, "ageSeconds": 12},
        "u-2222-bbbb": {"name": name, "epoch": epoch, "rows": 100 if epoch else 0, "ageSeconds": None},
    }
    merged: Values = {"epoch": 7 + epoch, "rows": 150, "digest": digest}
    answer: Values = {"peers": peers, "merged": merged, "errorLog": [*errors]}
    gateway.on(f"GET /fedml/{project}/syncStats", values={"fedSyncStats": answer})


def test_all_is_well(gateway: Gateway) -> None:
    federation(gateway, "a", "b")
    text = printed(run("status", "a"))
    assert "federation study, every m30" in text
    assert "all is well; digests equal" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["a", "u-1111-a", "7", "50", "12", "s", "yes"] in rows
    assert ["b", "u-2222-b", "150", "d1", "ready"] in rows
    assert all(len(line) <= 80 for line in text.splitlines())


def test_one_project_has_nothing_to_compare(gateway: Gateway) -> None:
    federation(gateway, "a")
    assert printed(run("status")).rstrip().endswith("all is well")


def test_sums_that_differ_are_named(gateway: Gateway) -> None:
    federation(gateway, "a", "b")
    stats(gateway, "b", digest="d2")
    result = run("status", "b")
    assert result.exit_code == 1
    assert "not well: the sums differ: a | b" in result.stdout


def test_a_member_without_a_snapshot_is_told_with_the_last_error_about_it(gateway: Gateway) -> None:
    federation(gateway, "a")
    stats(gateway, "a", epoch=0)
    result = run("status", "a")
    assert result.exit_code == 1
    assert "not well: b is not in the sum: nothing has come from it" in result.stdout
    stats(gateway, "a", epoch=0, errors=("1 u-2222-bbbb: old", "2 b (u-2222-bbbb): no [head]", "3 other"))
    assert "b is not in the sum: 2 b (u-2222-bbbb): no [head]" in run("status", "a").stdout


def test_errors_are_shown_and_do_not_count(gateway: Gateway) -> None:
    federation(gateway, "a")
    stats(gateway, "a", errors=("one", "two", "three", "[four]"))
    text = printed(run("status", "a"))
    assert "a: two\na: three\na: [four]\n" in text
    assert "a: one" not in text


def test_a_project_that_is_not_ready_is_a_state(gateway: Gateway) -> None:
    federation(gateway, "a", "b")
    why = "Unschedulable: 0/1 nodes are available"
    gateway.on("GET /fedml/a/syncStats", 503, f"Project a is not ready: {why}")
    result = run("--patience", "100", "status")
    assert result.exit_code == 1
    assert f"not well: a is not ready: {why}" in result.stdout
    assert ["a", "u-1111-a", "7"] in [line.split()[:3] for line in result.stdout.splitlines()]  # b says it
    gateway.on("GET /fedml/b/syncStats", 503, f"Project b is not ready: {why}")
    assert "its members are not known" in run("status").stdout


def test_conditions_that_are_false_count(gateway: Gateway) -> None:
    conditions: JsonValue = [
        {"type": "Ready", "status": "False", "reason": "SchemaMismatch"},
        {"type": "NodeReady", "status": "Unknown", "reason": "Starting"},
        {"type": "Exchanging", "status": "False", "reason": "SchemaMismatch", "message": "age of b"},
    ]
    federation(gateway, "a", conditions=conditions)
    result = run("status", "a")
    assert result.exit_code == 1
    faults = [line for line in result.stdout.splitlines() if line.startswith("not well: ")]
    assert faults == ["not well: a: Exchanging is False: SchemaMismatch: age of b"]


def test_federations_of_one_name_are_kept_apart_by_their_members(gateway: Gateway) -> None:
    federation(gateway, "a", "other")
    info = {"fed_name": "study", "sync_sched": "h1", "local_uuid": "u-9", "peersInfo": {"u-9": "other"}}
    gateway.on("GET /fedml/other/info", values={"fedInfoEncrypted": seal_body(json.dumps(info), KEY)})
    assert run("status").stdout.count("\n\nfederation study") == 1
    found = json.loads(run("status", "-o", "json").stdout)
    assert [[p["project"] for p in state["projects"]] for state in found] == [["a"], ["other"]]


def test_json_has_the_verdict(gateway: Gateway) -> None:
    federation(gateway, "a", "b")
    [state] = json.loads(printed(run("status", "a", "-o", "json")))
    assert (state["name"], state["schedule"], state["well"], state["digests"]) == (
        "study",
        "m30",
        True,
        "equal",
    )
    assert state["faults"] == []
    assert state["members"][0] == {
        "uuid": "u-1111-aaaa",
        "name": "a",
        "epoch": 7,
        "rows": 50,
        "age_seconds": 12.0,
        "merged": True,
        "why": "",
    }


def test_plain_projects_are_in_no_federation(gateway: Gateway) -> None:
    gateway.on("GET /projects/list", values={"stringList": {"values": ["p"]}})
    gateway.on("GET /fedml/p/info", 400, "Project p belongs to no federation")
    assert printed(run("status")) == "none of the projects is in a federation\n"
    assert error_of(run("status", "p")) == "p belongs to no federation; see `symfed info p`"
    assert error_of(run("status", "q")).startswith("there is no project q")


def test_watch_needs_a_terminal(gateway: Gateway) -> None:
    assert "--watch needs a terminal" in error_of(run("status", "--watch"), status=2)


@pytest.mark.parametrize("call", ["GET /projects/list", "GET /fedml/a/syncStats"])
def test_a_gateway_that_fails_is_an_error(gateway: Gateway, call: str) -> None:
    federation(gateway, "a")
    gateway.answers[call] = httpx.ConnectError("Connection refused")
    assert "Connection refused" in error_of(run("status"))


def test_what_others_chose_commands_no_terminal(gateway: Gateway) -> None:
    federation(gateway, "a", peersInfo={"u-1111-aaaa": "a", "u-2222-bbbb": EVIL}, fed_name=EVIL)
    stats(gateway, "a", epoch=0, errors=(f"{EVIL} u-2222-bbbb: too large",), name=EVIL)
    gateway.on("GET /projects/a/info", values={"smlInfo": {"pid": "a", "attributeNames": [EVIL]}})
    gateway.on("DELETE /projects/a", 409, f"a federation with other members: {EVIL}")
    gateway.on("GET /fedml/a/getErrorLog", values={"stringList": {"values": [EVIL]}})
    for command in (("status",), ("info", "a"), ("errors", "a"), ("delete", "a", "--yes")):
        seen = run(*command).output
        assert "evil\ufffd[2J" in seen
        assert not set(seen) & set("\x07\x1b\x9b")
