"""The client's calls about rows, statistics, switches, logs and jobs: what is sent, what is read."""

import json
import math
from collections.abc import Callable

import httpx
import pytest
from pydantic import JsonValue
from tests.unit.wire.client.stub import BASE, answer, client_of

from symfed_wire.client import ApiError, Client
from symfed_wire.client.results import Job, Prediction, RowCount
from symfed_wire.envelope import envelope
from symfed_wire.errors import MalformedError
from symfed_wire.frames import DataFrame

FRAME = DataFrame(("a", "b"), ("C", "C"), [[1.0, 2.0], [3.0, None]])


def test_forget_sends_batches_each_with_its_own_request_id() -> None:
    client, gateway = client_of(answer(values={"forgotten": 1, "skipped": 0}))
    assert client.forget("p", FRAME, batch_rows=1) == RowCount(rows=2, skipped=0)
    assert {request.url.path for request in gateway.requests} == {f"{BASE}/projects/p/forget"}
    assert len({request.headers["sym-request-id"] for request in gateway.requests}) == 2


def test_predict_reads_one_prediction_a_row() -> None:
    entries: JsonValue = [{"res": "1.5", "resZ": "0.1"}, {"res": "setosa"}]
    client, gateway = client_of(answer(values={"KSVSMap": {"values": entries}}))
    found = client.predict("p", "m/1", FRAME, impute=True)
    assert found == [Prediction("1.5", {"resZ": "0.1"}), Prediction("setosa", {})]
    assert [prediction.number for prediction in found] == [1.5, None]
    assert gateway.requests[0].url.raw_path.decode() == f"{BASE}/projects/p/predict/m%2F1?impute=true"


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([{"res": "1"}], "not one prediction a row"),
        ([{"res": "1"}, {"x": "1"}], "an entry without res"),
        ([{"res": "1"}, {"res": [1]}], "an entry that is no map of texts"),
        (None, "not one prediction a row"),
    ],
)
def test_a_faulty_prediction_is_told(entries: JsonValue, expected: str) -> None:
    client, _ = client_of(answer(values={"KSVSMap": {"values": entries}}))
    with pytest.raises(MalformedError, match=expected):
        client.predict("p", "m", FRAME)


def test_explore_reads_figures_that_are_not_finite() -> None:
    entries: JsonValue = [{"mean": 1, "skewness": "NaN", "max": "Infinity"}]
    client, gateway = client_of(answer(values={"KSVDMap": {"values": entries}}))
    [found] = client.explore("p", ["a"])
    assert (found.attribute, found.other, found.figures["mean"], found.figures["max"]) == (
        "a",
        None,
        1.0,
        math.inf,
    )
    assert math.isnan(found.figures["skewness"])
    assert dict(gateway.requests[0].url.params) == {"metric": "uni", "returnProjectInfo": "false"}


@pytest.mark.parametrize("entries", [[], [{"mean": "many"}], "text"])
def test_a_faulty_exploration_is_told(entries: JsonValue) -> None:
    client, _ = client_of(answer(values={"KSVDMap": {"values": entries}}))
    with pytest.raises(MalformedError, match="/projects/p/explore"):
        client.explore("p", ["a"])


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_density_is_read_bare_and_wrapped(is_wrapped: bool) -> None:
    entries: JsonValue = [{"attrName": "a", "min": 0, "max": 1, "width": 0.5, "histogram": [1, 2]}]
    client, gateway = client_of(
        answer(values={"densityList": {"values": entries} if is_wrapped else entries})
    )
    [found] = client.density("p", ["a"], bins=2, peer="u")
    assert (found.attr_name, found.width, found.histogram) == ("a", 0.5, (1.0, 2.0))
    [context] = json.loads(gateway.requests[0].content)["values"]
    assert context["inputAttributeNames"] == ["a"]
    assert context["extraParameters"] == {"hist_bins": 2, "fed_peer_uuid_for_explore": "u"}


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda client: client.start_pulse("p"), "GET /fedml/p/startPulse"),
        (lambda client: client.stop_pulse("p"), "GET /fedml/p/stopPulse"),
        (lambda client: client.new_schedule("p", "h3"), "GET /fedml/p/newSchedule?newSchedule=h3"),
        (
            lambda client: client.allow_explore("p", True),
            "GET /fedml/p/setExplorePeers?allowExplore=true",
        ),
        (lambda client: client.clear_error_log("p"), "DELETE /fedml/p/clearErrorLog"),
    ],
)
def test_a_switch_is_one_call(call: Callable[[Client], None], expected: str) -> None:
    client, gateway = client_of(answer())
    call(client)
    [request] = gateway.requests
    assert f"{request.method} {request.url.raw_path.decode().removeprefix(BASE)}" == expected


def test_logs_are_lists_of_text() -> None:
    client, gateway = client_of(answer(values={"stringList": {"values": ["a", "b"]}}))
    assert (client.error_log("p"), client.sync_log("p")) == (["a", "b"], ["a", "b"])
    assert [request.url.path.rpartition("/")[2] for request in gateway.requests] == [
        "getErrorLog",
        "getSyncLog",
    ]


def test_jobs_are_listed_and_deleted() -> None:
    job: JsonValue = {"jobId": 7, "jobType": "build", "startingDate": 1_700_000_000_000, "isDone": True}
    client, _ = client_of(answer(values={"jobinfoList": [job]}), answer(200), answer(202))
    [found] = client.jobs()
    assert (found.job_id, found.is_done, found.started.year) == (7, True, 2023)
    assert client.delete_job(Job(7))
    assert not client.delete_job(Job(7))


def test_projects_are_described_by_a_job() -> None:
    listed: JsonValue = [{"pid": "p", "attributeNames": ["a"], "params": {"rows": 3}}]
    client, gateway = client_of(
        answer(202, headers={"sym-job-id": "7"}), answer(202), answer(values={"smlInfoList": listed})
    )
    [found] = client.describe_projects()
    assert (found.pid, found.attribute_names, found.rows) == ("p", ("a",), 3)
    assert [request.url.path.removeprefix(BASE) for request in gateway.requests] == [
        "/projects/info",
        "/jobs/7",
        "/jobs/7",
    ]


def test_an_answer_without_a_job_is_told() -> None:
    client, _ = client_of(answer(202))
    with pytest.raises(MalformedError, match="/projects/info: the answer names no job"):
        client.describe_projects()


GONE = httpx.Response(
    400, content=envelope(400, "Cannot Find SYMETRYML id[p] for Customer id [c1]").to_json()
)


def test_a_deletion_that_ended_while_the_call_was_to_be_repeated_is_done() -> None:
    client, gateway = client_of(answer(503, headers={"Retry-After": "0"}), GONE)
    client.delete("p")
    assert len(gateway.requests) == 2


def test_what_was_never_there_is_not_deleted() -> None:
    client, _ = client_of(GONE)
    with pytest.raises(ApiError, match="Cannot Find"):
        client.delete("p")
    client, _ = client_of(answer(503, headers={"Retry-After": "0"}), answer(409))
    with pytest.raises(ApiError, match="refused with 409"):
        client.delete("p")
