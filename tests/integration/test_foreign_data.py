"""Every data call with a client that shares no code with symfed, against all parts."""

import pytest

from tests.foreign.client import Client, Json, context, frame
from tests.integration.foreign_pair import ADMIN, COLUMNS, MEMBER, Pair, exchange, flowers, iris, new_pair
from tests.integration.line import Line

INPUTS, TARGET = COLUMNS[:3], COLUMNS[3]
TABLE = ["attribute", "coefficient", "std.error", "scores", "p.values", "ci.low", "ci.high"]


@pytest.fixture(scope="module")
def pair(line: Line) -> Pair:
    """Two members with Fisher's 150 flowers between them, exchanged."""
    made = new_pair(line, "data")
    assert made.admin.learn(ADMIN, iris(0, 80)).status == 200
    assert made.member.learn(MEMBER, iris(80, 150)).status == 200
    exchange(made, 150)
    return made


def built(client: Client, pid: str, model: str, **query: str) -> Json:
    """A model of TARGET by INPUTS, built and read."""
    accepted = client.build(pid, "mlr", model, context(INPUTS, [TARGET]), **query)
    assert (accepted.status, accepted.text) == (202, "Job Created")
    assert accepted.headers["location"] == f"{client.server}{client.path('/jobs/')}{accepted.job}"
    finished = client.finished(accepted)
    assert (finished.status, finished.text) == (200, "Job is finished")
    info: Json = client.model(pid, model, **query).values["modelInfo"]
    return info


def test_a_model_is_the_same_on_both_members(pair: Pair) -> None:
    first, second = built(pair.admin, ADMIN, "width"), built(pair.member, MEMBER, "width")
    table = first["extra"]["coefficients"]
    assert table == second["extra"]["coefficients"]
    assert table["attributeNames"] == TABLE
    assert [row[0] for row in table["data"]] == ["intercept", *INPUTS]
    assert first["targetNames"] == [TARGET]
    assert pair.admin.delete_model(ADMIN, "width").status == 200
    gone = pair.admin.model(ADMIN, "width")
    assert gone.status == 400
    assert "width" in gone.text


def test_a_model_by_indexes_is_the_model_by_names(pair: Pair) -> None:
    by_names = built(pair.admin, ADMIN, "names")
    by_indexes = {"inputAttributes": ["0", "1", "2"], "targets": ["3"]}
    assert pair.admin.finished(pair.admin.build(ADMIN, "mlr", "indexes", by_indexes)).status == 200
    info = pair.admin.model(ADMIN, "indexes").values["modelInfo"]
    assert info["extra"]["coefficients"] == by_names["extra"]["coefficients"]


def test_a_prediction_is_what_the_coefficients_give(pair: Pair) -> None:
    info = built(pair.member, MEMBER, "predicts")
    weights = [float(row[1]) for row in info["extra"]["coefficients"]["data"]]
    chosen = flowers()[::50]
    rows = frame(COLUMNS, [[repr(float(cell)) for cell in flower] for flower in chosen])

    predicted = pair.member.predict(MEMBER, "predicts", rows)

    assert predicted.status == 200
    found = [float(entry["res"]) for entry in predicted.values["KSVSMap"]["values"]]
    expected = [weights[0] + sum(w * x for w, x in zip(weights[1:], f, strict=False)) for f in chosen]
    assert found == pytest.approx(expected, rel=1e-12)
    missing = frame(COLUMNS, [["", "3.0", "1.5", ""]])
    answers = [pair.member.predict(MEMBER, "predicts", missing, impute=text) for text in ("false", "true")]
    assert len({answer.body for answer in answers}) == 2


def test_the_local_project_has_the_members_own_rows(pair: Pair) -> None:
    federated, local = built(pair.member, MEMBER, "all"), built(pair.member, MEMBER, "own", useLocal="true")
    assert federated["extra"]["coefficients"] != local["extra"]["coefficients"]
    info = [pair.member.call("GET", f"/projects/{MEMBER}/info", useLocal=text) for text in ("false", "true")]
    assert [answer.values["smlInfo"]["params"]["rows"] for answer in info] == [150, 70]


def test_project_info_has_the_contracts_fields(pair: Pair) -> None:
    info = pair.admin.project(ADMIN).values["smlInfo"]
    assert info["pid"] == ADMIN
    assert info["attributeNames"] == list(COLUMNS)
    assert info["attributeTypes"] == ["C"] * 4
    assert info["params"]["fed_is_admin"] is True
    assert pair.admin.projects().values["stringList"]["values"] == [ADMIN]


def test_jobs_are_listed_read_and_forgotten(pair: Pair) -> None:
    accepted = pair.admin.build(ADMIN, "mlr", "listed", context(INPUTS, [TARGET]))
    info = pair.admin.finished(accepted).values["jobinfo"]
    assert {"jobId", "jobType", "owner", "startingDate", "isStarted", "isDone", "details"} <= info.keys()
    assert (str(info["jobId"]), info["owner"], info["isDone"]) == (accepted.job, "data-1", True)
    assert accepted.job in pair.admin.jobs().body
    assert pair.admin.kill_job(accepted.job).status == 200
    gone = pair.admin.job(accepted.job)
    assert (gone.status, gone.text) == (400, "No such job")


def test_an_algorithm_that_is_none_is_refused_at_once(pair: Pair) -> None:
    refused = pair.admin.build(ADMIN, "magic", "m", context(INPUTS, [TARGET]))
    assert refused.status == 400
    assert "magic" in refused.text
