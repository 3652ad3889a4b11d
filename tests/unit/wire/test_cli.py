"""The command line, with a tiny gateway in the process that answers by path."""

import json
from functools import partial
from pathlib import Path

import httpx
import pytest
from pydantic import JsonValue
from typer.testing import CliRunner, Result

from symfed_wire import cli_app, cli_federations
from symfed_wire.bodies import open_body, seal_body
from symfed_wire.cli import app
from symfed_wire.client import Client
from symfed_wire.envelope import envelope
from symfed_wire.frames import parse_frame
from symfed_wire.invitation import open_invitation, seal_invitation

KEY = "9cd4TmBShfeYyVYq3ChGyQ=="
BASE = "/symetry/rest/c1"
INVITATION: dict[str, JsonValue] = {"fed_name": "study", "fed_req_token": "FEDTOKEN0123456789abcdef"}
COEFFICIENTS: JsonValue = {
    "attributeNames": ["attribute", "coefficient", "std.error", "scores", "p.values", "ci.low", "ci.high"],
    "attributeTypes": ["S", "C", "C", "C", "C", "C", "C"],
    "data": [["intercept", 1.5, 0.5, 3.0, 0.01, 0.5, 2.5], ["a", 0.1234567890123, 1, 1, 1, 1, 1]],
}
Values = dict[str, JsonValue]


class Gateway:
    """Answers by verb and path below the customer: (status, values) or a ready response."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, str, Values] | httpx.Response | Exception] = {}
        self.requests: list[httpx.Request] = []

    def on(self, call: str, status: int = 200, text: str = "OK", values: Values | None = None) -> None:
        self.answers[call] = (status, text, values or {})

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        given = self.answers[f"{request.method} {request.url.path.removeprefix(BASE)}"]
        if isinstance(given, Exception):
            raise given
        if isinstance(given, httpx.Response):
            return given
        status, text, values = given
        headers = {"sym-job-id": "7"} if text == "Job Created" else {}
        return httpx.Response(status, content=envelope(status, text, values).to_json(), headers=headers)

    def sent(self, number: int = -1) -> Values:
        """A request's encrypted map."""
        opened: Values = json.loads(open_body(self.requests[number].content.decode(), KEY))
        return opened


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    answering = Gateway()
    client = partial(Client, transport=httpx.MockTransport(answering))
    monkeypatch.setattr(cli_app, "Client", client)
    monkeypatch.setattr(cli_federations, "_SETTLE_SECONDS", 0.0)
    for name, value in {"URL": "http://gw:1", "CUSTOMER": "c1", "SECRET_KEY": KEY}.items():
        monkeypatch.setenv(f"SYMFED_{name}", value)
    for name in ("NATS", "PASSWORD"):
        monkeypatch.delenv(f"SYMFED_{name}", raising=False)
    return answering


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, ["--patience", "0", *arguments], input=stdin)


def error_of(result: Result) -> str:
    """The one error line of a command that failed."""
    assert result.exit_code == 1, result.output
    [line] = result.stderr.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


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


def test_learn_sends_numbers_and_counts_what_is_left_out(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("\ufeffa, flag,name\n1.5,0,x\n\n2,1,y\nNaN,1,z\n0.1,,z\n", encoding="utf-8")
    gateway.on("POST /projects/p/learn")
    result = run("learn", "p", str(file), "--ignore", "name", "--types", "flag=B", "--batch-rows", "3")
    assert result.stdout == "2 rows learnt, 2 skipped because a value is missing\n", result.output
    first, second = (parse_frame(request.content) for request in gateway.requests)
    assert (first.attribute_names, first.attribute_types) == (("a", "flag", "name"), ("C", "B", "X"))
    assert first.data == [[1.5, 0.0, None], [2.0, 1.0, None], [None, 1.0, None]]
    assert second.data == [[0.1, None, None]]


def test_learn_goes_on_after_rows_that_are_in(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("a\n1\n2\n3\n")
    gateway.on("POST /projects/p/learn")
    assert run("learn", "p", str(file), "--skip-rows", "2").stdout == "1 rows learnt\n"
    assert parse_frame(gateway.requests[0].content).data == [[3.0]]


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
    assert [line.split("│")[1].strip() for line in result.stdout.splitlines() if "│" in line] == [
        "a",
        "b",
        "sum",
    ]
    as_json = json.loads(run("sync", "p", "--wait", "-o", "json").stdout)
    assert as_json["peers"]["u1"]["age_seconds"] == 1.2
    assert as_json["merged"]["epoch_sum"] == 4


def test_sync_ends_at_its_deadline_and_says_what_is_missing(gateway: Gateway) -> None:
    gateway.on("GET /fedml/p/fullSyncRequest")
    gateway.on("GET /fedml/p/syncStats", values=stats(rows=100))
    line = error_of(run("sync", "p", "--wait", "--deadline", "0"))
    assert "p after 0 s: 100 of 150 published rows are in the sum" in line


def test_build_waits_for_its_job(gateway: Gateway) -> None:
    gateway.on("POST /projects/p/build", 202, "Job Created")
    gateway.on("GET /jobs/7", text="Job is finished")
    result = run("build", "p", "--model", "m", "--target", "y", "--inputs", "a, b", "--local")
    assert result.stdout == "model m is built; see `symfed model p m --local`\n", result.output
    assert json.loads(gateway.requests[0].content)["inputAttributeNames"] == ["a", "b"]
    assert gateway.requests[0].url.params["useLocal"] == "true"


def model_values(condition: float) -> Values:
    figures: JsonValue = {"rows": 150, "rSquared": 0.9, "conditionNumber": condition, "digest": "d"}
    return {
        "modelInfo": {
            "modelId": "m",
            "modelType": "mlr",
            "targetNames": ["y"],
            "info": figures,
            "extra": {"coefficients": COEFFICIENTS},
        }
    }


def test_model_prints_its_table_and_warns_of_an_ill_conditioned_one(gateway: Gateway) -> None:
    gateway.on("GET /projects/p/models/m", values=model_values(2e6))
    result = run("model", "p", "m")
    assert "intercept" in result.stdout
    assert "rows 150   R² 0.9" in result.stdout
    assert result.stderr.startswith("warning: condition number 2e+06")


def test_model_as_json_keeps_every_bit(gateway: Gateway) -> None:
    gateway.on("GET /projects/p/models/m", values=model_values(10))
    result = run("model", "p", "m", "-o", "json")
    plain = json.loads(result.stdout)
    assert plain["coefficients"][1]["coefficient"] == 0.1234567890123
    assert (plain["rows"], plain["digest"], plain["condition_number"]) == (150, "d", 10)
    assert result.stderr == ""


def test_info_prints_project_and_federation(gateway: Gateway) -> None:
    sealed = seal_body(json.dumps({"fed_name": "study", "peersInfo": {"u": "b"}}), KEY)
    gateway.on("GET /projects/p/info", values={"smlInfo": {"pid": "p", "modelsList": ["m"]}})
    gateway.on("GET /fedml/p/info", values={"fedInfoEncrypted": sealed})
    assert "study" in run("info", "p").stdout
    gateway.on("GET /fedml/p/info", 400, "no federation")
    assert json.loads(run("info", "p", "-o", "json").stdout)["federation"] is None


def test_projects_prints_one_a_line(gateway: Gateway) -> None:
    gateway.on("GET /projects/list", values={"stringList": {"values": ["a", "b"]}})
    assert run("projects").stdout == "a\nb\n"
    assert json.loads(run("projects", "-o", "json").stdout) == ["a", "b"]


def test_delete_asks_for_yes_where_nobody_can_answer(gateway: Gateway) -> None:
    assert "needs --yes" in error_of(run("delete", "p"))
    gateway.on("DELETE /projects/p")
    assert run("delete", "p", "--yes").stdout == "deleted project p and all it has learnt\n"
    gateway.on("DELETE /projects/p/models/m")
    assert run("delete", "p", "--model", "m", "--yes").stdout == "deleted model m of p\n"


# --- errors: one line, exit status 1 -------------------------------------------------------------------


def test_a_missing_connection_names_all_that_is_not_set(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SYMFED_URL")
    monkeypatch.delenv("SYMFED_SECRET_KEY")
    assert error_of(run("projects")).startswith("not set: SYMFED_URL (--url), SYMFED_SECRET_KEY;")


@pytest.mark.parametrize(
    ("status", "text", "hint"),
    [
        (401, "Invalid Signature", "check SYMFED_CUSTOMER and SYMFED_SECRET_KEY"),
        (404, "not found", "check SYMFED_URL"),
        (503, "starting", "try again in a moment"),
    ],
)
def test_a_refusal_says_what_to_do(gateway: Gateway, status: int, text: str, hint: str) -> None:
    gateway.on("GET /projects/list", status, text)
    line = error_of(run("projects"))
    assert line.startswith(f"GET /projects/list: {status} {text} - ")
    assert hint in line


def test_a_taken_project_id_is_told(gateway: Gateway) -> None:
    gateway.on("POST /projects", 409, "already there")
    assert "409 already there - `symfed projects` lists" in error_of(run("create", "p", "--local"))


def test_a_refused_join_asks_for_a_new_invitation(gateway: Gateway) -> None:
    gateway.on("POST /fedml/createJoin", 403, "Invitation refused")
    line = error_of(run("join", seal_invitation(INVITATION, "s"), "--password", "s"))
    assert "403 Invitation refused - ask the federation's admin for a new invitation" in line


def test_an_unreachable_gateway_is_named(gateway: Gateway) -> None:
    gateway.answers["GET /projects/list"] = httpx.ConnectError("Connection refused")
    assert "http://gw:1/symetry/rest/c1: Connection refused - check SYMFED_URL" in error_of(run("projects"))


def test_another_server_is_told(gateway: Gateway) -> None:
    gateway.answers["GET /projects/list"] = httpx.Response(200, text="<html>[hello]")
    assert "not an answer of a symfed gateway: '<html>[hello]' - check SYMFED_URL" in error_of(
        run("projects")
    )


def test_a_wrong_password_is_told_without_it(gateway: Gateway) -> None:
    line = error_of(run("join", seal_invitation(INVITATION, "right"), "--password", "wrong-one"))
    assert "the password is wrong" in line
    assert "wrong-one" not in line


def test_join_needs_a_password_where_nobody_can_answer(gateway: Gateway) -> None:
    assert "set SYMFED_PASSWORD" in error_of(run("join", "-", stdin="x"))


def test_create_needs_a_name_and_addresses(gateway: Gateway) -> None:
    assert "needs --name and --nats" in error_of(run("create", "p"))


@pytest.mark.parametrize(
    ("content", "arguments", "expected"),
    [
        ("", [], "the file is empty"),
        ("a,a,\n", [], "column 3 has no name; column a comes twice"),
        ("a\n1\n", ["--ignore", "b"], "there is no column b"),
        ("a\n1\n", ["--types", "a=Q"], "Q is no type"),
        ("a\n1\n", ["--types", "B"], "write COLUMN=TYPE"),
        ("a,b\n1,2\n3\n", [], "row 2 has 1 cells for 2 columns"),
        ("a\n1\nmany\n", [], "row 2, column a is not a number; leave the column out with --ignore a"),
        ("a\ninf\n", [], "row 1, column a is not a number"),
    ],
)
def test_a_faulty_file_is_told(
    gateway: Gateway, tmp_path: Path, content: str, arguments: list[str], expected: str
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(content)
    line = error_of(run("learn", "p", str(file), *arguments))
    assert expected in line
    assert "many" not in line


def test_a_file_that_is_not_utf8_or_not_there_is_told(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    assert "No such file" in error_of(run("learn", "p", str(file)))
    file.write_bytes(b"a\n\xff\xfe\n")
    assert "is not UTF-8" in error_of(run("learn", "p", str(file)))


def test_a_broken_learn_says_where_to_go_on(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("a\n1\n2\n3\nbad\n")
    gateway.on("POST /projects/p/learn")
    line = error_of(run("learn", "p", str(file), "--batch-rows", "2"))
    assert line.endswith("the first 2 rows are learnt, go on with --skip-rows 2")
    gateway.answers["POST /projects/p/learn"] = httpx.ReadTimeout("")
    line = error_of(run("learn", "p", str(file), "--batch-rows", "3"))
    assert "no answer in time" in line
    assert line.endswith("it is not known whether rows 1 to 3 are learnt")


@pytest.mark.parametrize(
    "command",
    ["create", "invite", "join", "learn", "sync", "build", "model", "info", "projects", "delete"],
)
def test_help_needs_no_connection_and_shows_an_example(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"Example: symfed {command}" in result.stdout
