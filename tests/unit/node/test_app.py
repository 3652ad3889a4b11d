"""The node's HTTP surface: every answer is an envelope, with the status that it names."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from symfed_node.answers import predictions
from symfed_node.app import build_app
from symfed_node.jobs import Jobs
from symfed_node.journal import Journal
from symfed_node.modelstore import ModelStore
from symfed_node.project import Project
from symfed_node.routes.base import Node
from symfed_node.statistics.device import CPU
from symfed_wire.envelope import status_name
from symfed_wire.jobs import slot_of
from symfed_wire.node_config import NodeConfig, PeerSecrets

CONFIG = NodeConfig(
    customer="c1",
    project="p1",
    namespace="ns",
    name="p1",
    object_uid="u",
    slot=5,
    uuid="00000000-0000-4000-8000-000000000001",
    secrets=PeerSecrets(identity_seed="", sealing_seed="", nats_writer_seed="", nats_reader_seed=""),
)
ROWS = [[x, x * x % 7, 3 * x + x * x % 5] for x in range(20)]
FRAME = {"attributeNames": ["a", "b", "c"], "attributeTypes": ["C"] * 3, "data": ROWS}
CONTEXT = {"targets": ["2"], "inputAttributes": ["0", "1"]}


class Client:
    """Calls the application and checks that the answer is an envelope."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def call(self, verb: str, path: str, status: int, **request: Any) -> dict[str, Any]:
        self.answer = await self.http.request(verb, path, **request)
        body: dict[str, Any] = self.answer.json()
        assert (self.answer.status_code, body["statusCode"]) == (status, status_name(status)), body
        assert set(body) == {"statusCode", "statusString", "values"}
        return body

    async def learn(self) -> None:
        await self.call("POST", "/projects/p1/learn", 200, json=FRAME)

    async def finished(self, path: str) -> dict[str, Any]:
        """The job's last answer."""
        while (answer := await self.http.get(path)).status_code == 202:  # noqa: ASYNC110 - as clients ask
            await asyncio.sleep(0)
        body: dict[str, Any] = answer.json()
        return body


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    journal = Journal(tmp_path / "journal", checkpoint_bytes=1 << 20)
    project = Project(journal, ModelStore(tmp_path / "models"), created=77)
    node = Node(CONFIG, "secret", project, Jobs(CONFIG.slot), None, max_body_bytes=10_000)
    transport = httpx.ASGITransport(build_app(node), raise_app_exceptions=False)
    headers = {"Authorization": "Bearer secret"}
    async with httpx.AsyncClient(transport=transport, base_url="http://node", headers=headers) as http:
        yield Client(http)


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer secre", "Bearer secrett", "bearer secret", "secret"]
)
async def test_only_the_gateway_is_let_in(client: Client, header: str) -> None:
    body = await client.call("GET", "/projects/p1/info", 401, headers={"Authorization": header})
    assert body["statusString"] == "the bearer token of this node is missing or wrong"
    assert "secret" not in body["statusString"]
    for path in ("/healthz", "/readyz"):
        await client.call("GET", path, 200, headers={"Authorization": header})


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [("GET", "/nothing", 404), ("DELETE", "/projects/p1/info", 405), ("GET", "/projects/p1/learn", 405)],
)
async def test_paths_and_verbs_that_are_not_there(client: Client, verb: str, path: str, status: int) -> None:
    await client.call(verb, path, status)


async def test_learning_counts_rows_and_repeats_its_answer(client: Client) -> None:
    frame = {**FRAME, "data": [*ROWS, ["", 1, 2]]}
    headers = {"sym-request-id": "id 1"}
    body = await client.call("POST", "/projects/p1/learn", 200, json=frame, headers=headers)
    assert body["values"] == {"learned": 20, "skipped": 1}
    body = await client.call("POST", "/projects/p1/learn", 200, content=b"unread", headers=headers)
    assert body["values"] == {"learned": 20, "skipped": 1}
    info = (await client.call("GET", "/projects/p1/info", 200))["values"]["smlInfo"]
    assert info["params"]["rows"] == 20


async def test_forgetting_counts_rows_and_repeats_its_answer(client: Client) -> None:
    await client.learn()
    frame = {**FRAME, "data": [*ROWS[:4], ["", 1, 2]]}
    headers = {"sym-request-id": "id 1"}
    body = await client.call("POST", "/projects/p1/forget", 200, json=frame, headers=headers)
    assert body["values"] == {"forgotten": 4, "skipped": 1}
    body = await client.call("POST", "/projects/p1/forget", 200, content=b"unread", headers=headers)
    assert body["values"] == {"forgotten": 4, "skipped": 1}
    body = await client.call("POST", "/projects/p1/forget", 400, json=FRAME)
    assert body["statusString"].startswith("cannot take 20 rows out of 16")
    info = (await client.call("GET", "/projects/p1/info", 200))["values"]["smlInfo"]
    assert info["params"]["rows"] == 16


@pytest.mark.parametrize(("op", "counted", "rows"), [("learn", "learned", 40), ("forget", "forgotten", 0)])
async def test_rows_as_a_job(client: Client, op: str, counted: str, rows: int) -> None:
    await client.learn()
    path, headers = f"/projects/p1/{op}?async=true", {"sym-request-id": "id 1"}
    for _ in range(2):
        await client.call("POST", path, 202, json=FRAME, headers=headers)
        job = await client.finished(client.answer.headers["location"])
        assert job["statusString"] == "Job is finished"
        assert job["values"].pop("jobinfo")["jobType"] == op
        assert job["values"] == {counted: 20, "skipped": 0}
        info = (await client.call("GET", "/projects/p1/info", 200))["values"]["smlInfo"]
        assert info["params"]["rows"] == rows


async def test_bad_rows_of_a_job_are_told_by_the_job(client: Client) -> None:
    await client.call("POST", "/projects/p1/forget?async=true", 202, json=FRAME)
    job = await client.finished(client.answer.headers["location"])
    assert job["statusCode"] == "BAD_REQUEST"
    assert job["statusString"] == "the project has no rows yet: there is nothing to forget"
    body = await client.call("POST", "/projects/p1/learn?async=yes", 400, json=FRAME)
    assert body["statusString"] == "async is 'yes': it must be true or false"


@pytest.mark.parametrize(
    ("request_", "status", "message"),
    [
        ({"content": b"{"}, 400, "DataFrame: the body is not JSON"),
        ({"json": {**FRAME, "data": [[1, 2]]}}, 400, "DataFrame: row 1 has 2 cells for 3 columns"),
        ({"json": {**FRAME, "data": [[1, 2, "x"]]}}, 400, "row 1, column 'c' is not a number (type C)"),
        ({"json": {**FRAME, "data": [[1, 2, 1e200]]}}, 400, "c: a value is missing, infinite or beyond"),
        ({"json": {**FRAME, "attributeTypes": ["C", "C", "S"]}}, 400, "attribute 'c' has type S"),
        ({"json": FRAME, "headers": {"sym-request-id": "x" * 65}}, 400, "sym-request-id is longer than 64"),
        ({"content": b" " * 10_001}, 413, "the body has more than 10000 bytes"),
    ],
)  # fmt: skip
async def test_bad_learns_are_named_and_learn_nothing(
    client: Client, request_: dict[str, Any], status: int, message: str
) -> None:
    body = await client.call("POST", "/projects/p1/learn", status, **request_)
    assert body["statusString"].startswith(message)
    info = (await client.call("GET", "/projects/p1/info", 200))["values"]["smlInfo"]
    assert info["params"]["rows"] == 0


async def test_a_repeated_nonce_is_refused(client: Client) -> None:
    nonce = {"sym-nonce": "0123456789abcdef"}
    await client.call("POST", "/projects/p1/learn", 200, json=FRAME, headers=nonce)
    for verb, path in (("POST", "/projects/p1/learn"), ("GET", "/projects/p1/info")):
        body = await client.call(verb, path, 400, headers=nonce)
        assert body["statusString"] == "Repeated nonce"
    body = await client.call("GET", "/projects/p1/info", 400, headers={"sym-nonce": "short"})
    assert body["statusString"] == "sym-nonce must have 16 to 64 characters"
    # Who is not the gateway uses none up; and requests of the first form have none.
    other = {"sym-nonce": "f" * 16, "Authorization": "Bearer wrong"}
    await client.call("GET", "/projects/p1/info", 401, headers=other)
    info = await client.call("GET", "/projects/p1/info", 200, headers={"sym-nonce": "f" * 16})
    assert info["values"]["smlInfo"]["params"]["rows"] == 20
    for _ in range(2):
        await client.call("GET", "/projects/p1/info", 200)


async def test_info(client: Client) -> None:
    await client.learn()
    info = (await client.call("GET", "/projects/p1/info", 200))["values"]["smlInfo"]
    assert info.pop("lastModificationDate") > 77
    assert info == {
        "pid": "p1",
        "attributeNames": ["a", "b", "c"],
        "attributeIndexes": ["0", "1", "2"],
        "attributeTypes": ["C", "C", "C"],
        "modelsList": [],
        "modelTypeList": [],
        "dsList": [],
        "params": {
            "fed_pulsing": False,
            "fed_has_error": False,
            "fed_is_admin": False,
            "fed_computes_on": CPU.name,
            "rows": 20,
            "epoch": 0,
        },
        "type": "cpu",
        "loaded": True,
        "persisted": True,
        "histogramEnabled": True,
        "autoSave": True,
        "creationDate": 77,
        "categorySeparator": "$",
    }


@pytest.mark.parametrize("path", ["/projects/p2/info", "/projects/p2/models/m", "/fedml/p2/syncStats"])
async def test_another_project_is_not_here(client: Client, path: str) -> None:
    body = await client.call("GET", path, 400)
    assert body["statusString"] == "Cannot Find SYMETRYML id[p2] for Customer id [c1]"


async def test_a_project_without_federation_has_no_exchange(client: Client) -> None:
    body = await client.call("GET", "/fedml/p1/syncStats", 400)
    assert body["statusString"] == "project [p1] belongs to no federation"


async def test_a_model_from_job_to_deletion(client: Client) -> None:
    await client.learn()
    body = await client.call("POST", "/projects/p1/build?algo=mlr&modelid=m%201", 202, json=CONTEXT)
    assert body["statusString"] == "Job Created"
    number = client.answer.headers["sym-job-id"]
    assert client.answer.headers["location"] == f"/jobs/{number}"
    assert slot_of(int(number)) == 5
    job = await client.finished(f"/jobs/{number}")
    assert job["statusString"] == "Job is finished"
    assert job["values"]["jobinfo"]["isDone"] is True
    assert job["values"]["jobinfo"]["jobId"] == int(number)

    model = (await client.call("GET", "/projects/p1/models/m%201", 200))["values"]["modelInfo"]
    assert model == job["values"]["modelInfo"]
    table = model["extra"]["coefficients"]
    assert table["attributeNames"] == [
        "attribute", "coefficient", "std.error", "scores", "p.values", "ci.low", "ci.high",
    ]  # fmt: skip
    assert [row[0] for row in table["data"]] == ["intercept", "a", "b"]
    assert all(isinstance(cell, float) for row in table["data"] for cell in row[1:])
    assert model["extra"]["mean_c"]["data"] == [[sum(row[2] for row in ROWS) / 20]]
    assert model["info"]["rows"] == 20
    assert model["info"]["epoch"] == 0
    info = (await client.call("GET", "/projects/p1/info", 200))["values"]["smlInfo"]
    assert (info["modelsList"], info["modelTypeList"]) == (["m 1"], ["mlr"])

    await client.call("DELETE", "/projects/p1/models/m%201", 200)
    body = await client.call("GET", "/projects/p1/models/m%201", 400)
    assert body["statusString"] == "no federated model has the id [m 1]"


@pytest.mark.parametrize(
    ("query", "context", "message"),
    [
        ("algo=ridge&modelid=m", CONTEXT, "algorithm 'ridge' is not supported yet; supported: mlr"),
        ("modelid=m", CONTEXT, "algorithm '' is not supported yet; supported: mlr"),
        ("algo=mlr", CONTEXT, "modelid is missing in the query"),
        ("algo=mlr&modelid=a/b", CONTEXT, "modelid: 'a/b' cannot be a part of a path"),
        ("algo=mlr&modelid=..", CONTEXT, "modelid: '..' cannot be a part of a path"),
        ("algo=mlr&modelid=m&useLocal=yes", CONTEXT, "useLocal is 'yes': it must be true or false"),
        ("algo=mlr&modelid=m", [], "MLContext: the body must be a JSON map"),
        ("algo=mlr&modelid=m", {"targets": ["9"], "inputAttributes": ["0"]}, "targets: no attribute has"),
    ],
)  # fmt: skip
async def test_bad_builds_are_named(client: Client, query: str, context: Any, message: str) -> None:
    await client.learn()
    body = await client.call("POST", f"/projects/p1/build?{query}", 400, json=context)
    assert body["statusString"].startswith(message)


async def built(client: Client) -> None:
    await client.learn()
    await client.call("POST", "/projects/p1/build?algo=mlr&modelid=m", 202, json=CONTEXT)
    await client.finished(client.answer.headers["location"])


async def test_predictions_come_row_by_row(client: Client) -> None:
    await built(client)
    mean_a, mean_c = (sum(row[column] for row in ROWS) / 20 for column in (0, 2))
    frame = {"attributeNames": ["c", "b", "a"], "attributeTypes": ["S", "X", "C"]}
    results = {}
    for impute in ("", "?impute=true"):
        body = await client.call(
            "POST",
            f"/projects/p1/predict/m{impute}",
            200,
            json={**frame, "data": [["x", 1, ""], [0, 2, "4"]]},
        )
        values = body["values"].pop("KSVSMap")["values"]
        assert body["values"] == {}
        assert [set(value) for value in values] == [{"res"}, {"res"}]
        assert float(values[0]["res"]) == mean_c
        results[impute] = float(values[1]["res"])
    table = (await client.call("GET", "/projects/p1/models/m", 200))["values"]["modelInfo"]["extra"]
    slope = table["coefficients"]["data"][1][1]
    assert results[""] == pytest.approx(mean_c + slope * (4 - mean_a), rel=1e-13)
    assert results["?impute=true"] != results[""]
    body = await client.call("POST", "/projects/p1/predict/m", 200, json={**frame, "data": []})
    assert body["values"]["KSVSMap"] == {"values": []}


def test_numbers_that_json_has_not_travel_by_name() -> None:
    texts = ["1.5", "1e-07", "-3.0", "Infinity", "-Infinity", "NaN"]
    assert predictions(np.array([float(text) for text in texts])) == {
        "values": [{"res": text} for text in texts]
    }


@pytest.mark.parametrize(
    ("path", "frame", "message"),
    [
        ("m2", FRAME, "no federated model has the id [m2]"),
        ("m?useLocal=true", FRAME, "no local model has the id [m]"),
        ("m?impute=1", FRAME, "impute is '1': it must be true or false"),
        ("m", [], "DataFrame: the body must be a JSON map"),
        ("m", {**FRAME, "attributeNames": ["x", "y", "c"]}, "the DataFrame has none of the model's inputs a"),
        ("m", {**FRAME, "data": [[1, 2, 3], ["secret", 2, 3]]}, "row 2, column 'a' is not a number (type C)"),
    ],
)  # fmt: skip
async def test_bad_predictions_are_named(client: Client, path: str, frame: Any, message: str) -> None:
    await built(client)
    body = await client.call("POST", f"/projects/p1/predict/{path}", 400, json=frame)
    assert body["statusString"].startswith(message)


async def test_a_job_that_fails_answers_why(client: Client) -> None:
    constant = {**FRAME, "data": [[row[0], 4, row[2]] for row in ROWS]}
    await client.call("POST", "/projects/p1/learn", 200, json=constant)
    await client.call("POST", "/projects/p1/build?algo=mlr&modelid=m", 202, json=CONTEXT)
    job = await client.finished(client.answer.headers["location"])
    assert job["statusCode"] == "BAD_REQUEST"
    assert job["statusString"].startswith("b has the same value in all 20 rows")
    assert job["values"]["jobinfo"]["isDone"] is True


async def test_exploring_answers_a_map_for_each_context(client: Client) -> None:
    await client.learn()
    contexts = {"values": [{"inputAttributes": ["0", "1"]}, {"inputAttributeNames": ["c"]}]}
    values = (await client.call("POST", "/projects/p1/explore?metric=uni", 200, json=contexts))["values"]
    first, second = values["KSVDMap"]["values"]
    assert (first["count"], first["mean"], first["min"], first["max"]) == (20.0, 9.5, 0.0, 19.0)
    assert second["mean"] == sum(row[2] for row in ROWS) / 20
    info = (await client.call("GET", "/projects/p1/info", 200))["values"]["smlInfo"]
    assert values["smlInfo"] == info

    path = "/projects/p1/explore?metric=bi&returnProjectInfo=false"
    pair = {"values": [{"inputAttributes": ["0"], "targets": ["2"]}]}
    values = (await client.call("POST", path, 200, json=pair))["values"]
    assert list(values) == ["KSVDMap"]
    await client.call("POST", f"{path}&async=true", 202, json=pair)
    job = await client.finished(client.answer.headers["location"])
    assert job["values"]["KSVDMap"] == values["KSVDMap"]


async def test_figures_that_are_no_numbers_travel_as_text(client: Client) -> None:
    await client.call("POST", "/projects/p1/learn", 200, json={**FRAME, "data": [[1, 2, 3]]})
    path = "/projects/p1/explore?metric=uni&returnProjectInfo=false"
    body = await client.call("POST", path, 200, json={"values": [{"inputAttributes": [0]}]})
    assert body["values"]["KSVDMap"]["values"][0]["skewness"] == "NaN"


@pytest.mark.parametrize(
    ("query", "context", "message"),
    [
        (
            "metric=anova",
            {"inputAttributes": ["0"]},
            "metric 'anova' is not supported yet; supported: uni, bi",
        ),
        ("", {"inputAttributes": ["0"]}, "metric '' is not supported yet; supported: uni, bi"),
        ("metric=uni", {}, "metric uni takes 1 attribute(s); 0 were named"),
        ("metric=bi", {"inputAttributes": ["0"]}, "metric bi takes 2 attribute(s); 1 were named"),
        ("metric=uni", {"inputAttributes": ["7"]}, "inputAttributes: no attribute has index '7'"),
        ("metric=uni&returnProjectInfo=no", {}, "returnProjectInfo is 'no': it must be true or false"),
        (
            "metric=uni",
            {"inputAttributes": ["0"], "extraParameters": {"fed_peer_uuid_for_explore": "u"}},
            "the project belongs to no federation: there are no peers to explore",
        ),
    ],
)
async def test_bad_explorations_are_named(client: Client, query: str, context: Any, message: str) -> None:
    await client.learn()
    body = await client.call("POST", f"/projects/p1/explore?{query}", 400, json={"values": [context]})
    assert body["statusString"].startswith(message)


async def test_a_project_without_rows_has_nothing_to_explore(client: Client) -> None:
    context = {"values": [{"inputAttributes": ["0"]}]}
    for path in ("explore?metric=uni", "densityEstimate"):
        body = await client.call("POST", f"/projects/p1/{path}", 400, json=context)
        assert body["statusString"] == "the project has no rows yet: learn some first"
    await client.learn()
    await client.call("POST", "/projects/p1/forget", 200, json=FRAME)
    for path in ("explore?metric=uni", "densityEstimate"):
        body = await client.call("POST", f"/projects/p1/{path}", 400, json=context)
        assert body["statusString"] == "no row has a value of a"


async def test_densities_of_each_attribute(client: Client) -> None:
    await client.learn()
    contexts = [
        {"inputAttributeNames": ["a", "c"], "extraParameters": {"hist_bins": "2"}},
        {"inputAttributes": ["0"], "extraParameters": {"hist_bins": 2, "hist_min": 0, "hist_max": 40}},
    ]
    path = "/projects/p1/densityEstimate?useLocal=true"
    body = await client.call("POST", path, 200, json={"values": contexts})
    first, second, third = body["values"]["densityList"]["values"]
    assert first.pop("histogram") == pytest.approx([10, 10], abs=0.6)
    assert first == {"attrName": "a", "min": 0.0, "max": 19.0, "width": 9.5}
    assert second["attrName"] == "c"
    assert (third["max"], third["histogram"]) == (40.0, [20.0, 0.0])
    for context, message in (
        ({}, "densityEstimate needs an attribute; none was named"),
        ({"inputAttributes": ["0"], "extraParameters": {"hist_bins": 0}}, "hist_bins must be a whole number"),
    ):
        body = await client.call("POST", path, 400, json={"values": [context]})
        assert body["statusString"].startswith(message)


async def test_histograms_are_always_kept(client: Client) -> None:
    await client.call("POST", "/projects/p1/histogramEnable?enable=true", 200)
    body = await client.call("POST", "/projects/p1/histogramEnable?enable=false", 400)
    assert body["statusString"] == "histograms are always kept: they cannot be switched off"


async def test_jobs_are_listed_and_deleted(client: Client) -> None:
    await client.learn()
    await client.call("POST", "/projects/p1/build?algo=mlr&modelid=m", 202, json=CONTEXT)
    path = client.answer.headers["location"]
    await client.finished(path)
    listed = (await client.call("GET", "/jobs", 200))["values"]["jobinfoList"]
    assert [f"/jobs/{job['jobId']}" for job in listed] == [path]
    await client.call("DELETE", path, 200)
    for gone in (path, "/jobs/0", "/jobs/x", "/jobs/-1", "/jobs/" + "9" * 5000):
        body = await client.call("GET", gone, 400)
        assert body["statusString"] == "No such job"
        await client.call("DELETE", gone, 400)


async def test_a_journal_that_fails_turns_health_bad(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fail)
        body = await client.call("POST", "/projects/p1/learn", 500, json=FRAME)
    assert body["statusString"].startswith(
        "the journal cannot be written: No space left on device; whether the rows were learnt is known"
    )
    body = await client.call("POST", "/projects/p1/learn", 503, json=FRAME)
    assert body["statusString"].startswith("the journal takes no more records")
    body = await client.call("GET", "/healthz", 503)
    assert body["statusString"] == "the journal cannot be written: restart the node"


async def test_a_fault_of_ours_is_an_envelope_too(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*arguments: object, **named: object) -> None:
        raise ZeroDivisionError("private")

    monkeypatch.setattr(Project, "view", crash)
    body = await client.call("GET", "/projects/p1/info", 500)
    assert body["statusString"] == "internal error: see the node's log"
