"""predict: a file's rows with a column more."""

import csv
import io
import json
from pathlib import Path

import pytest
from pydantic import JsonValue
from tests.unit.wire.cli.stub import Gateway, error_of, printed, run

from symfed_wire.frames import parse_frame

ROWS = "name,b,a\nAnn,2,1\nBob,,3\n"


@pytest.fixture
def file(gateway: Gateway, tmp_path: Path) -> str:
    """A file for model m, whose inputs are a and b."""
    info: JsonValue = {"modelId": "m", "modelType": "mlr", "attributeNames": ["a", "b"], "targetNames": ["y"]}
    gateway.on("GET /projects/p/models/m", values={"modelInfo": info})
    answer(gateway, {"res": "1.5"}, {"res": "2.5"})
    path = tmp_path / "rows.csv"
    path.write_text(ROWS)
    return str(path)


def answer(gateway: Gateway, *entries: dict[str, str]) -> None:
    gateway.on("POST /projects/p/predict/m", values={"KSVSMap": {"values": [{**entry} for entry in entries]}})


def test_csv_is_the_file_with_a_column_more(gateway: Gateway, file: str) -> None:
    assert printed(run("predict", "p", "m", file)) == "name,b,a,prediction\nAnn,2,1,1.5\nBob,,3,2.5\n"
    frame = parse_frame(gateway.requests[-1].content)
    assert (frame.attribute_names, frame.data) == (("a", "b"), [[1.0, 2.0], [3.0, None]])
    assert dict(gateway.requests[-1].url.params) == {"impute": "false"}


def test_batches_come_out_in_order(gateway: Gateway, file: str) -> None:
    answer(gateway, {"res": "9"})
    text = printed(run("predict", "p", "m", file, "--batch-rows", "1"))
    assert [row["prediction"] for row in csv.DictReader(io.StringIO(text))] == ["9", "9"]
    assert gateway.calls.count("POST /projects/p/predict/m") == 2


def test_impute_and_local_are_asked_for(gateway: Gateway, file: str) -> None:
    printed(run("predict", "p", "m", file, "--impute", "--local"))
    assert dict(gateway.requests[-1].url.params) == {"impute": "true", "useLocal": "true"}
    assert dict(gateway.requests[0].url.params) == {"useLocal": "true"}


def test_json_has_numbers_and_what_the_model_says_beside(gateway: Gateway, file: str) -> None:
    answer(gateway, {"res": "1", "resZ": "0.25"}, {"res": "setosa"})
    found = json.loads(printed(run("predict", "p", "m", file, "-o", "json", "--column", "class")))
    assert found[0] == {"name": "Ann", "b": "2", "a": "1", "class": 1.0, "resZ": "0.25"}
    assert found[1]["class"] == "setosa"


def test_the_table_shows_cells_as_they_are(gateway: Gateway, tmp_path: Path, file: str) -> None:
    Path(file).write_text("name,b,a\n[red]x[/],2,1\n,2,1\n")
    lines = printed(run("predict", "p", "m", file, "--output", "table")).splitlines()
    assert lines[-2].split() == ["[red]x[/]", "2", "1", "1.5"]


def test_stdin_is_read(gateway: Gateway, file: str) -> None:
    assert "Ann,2,1,1.5" in printed(run("predict", "p", "m", "-", stdin=ROWS))


@pytest.mark.parametrize(
    ("rows", "expected", "status"),
    [
        ("a\n1\n", "there is no column b, which model m needs; an empty column counts as missing", 1),
        ("a,b,prediction\n", "has a column prediction already: name another with --column", 2),
        ("a,b\n1,many\n", "row 1, column b is not a number", 1),
        ("a,b\n1\n", "row 1 has 1 cells for 2 columns", 1),
        ("", "the file is empty", 1),
    ],
)
def test_a_file_that_does_not_fit_is_told(
    gateway: Gateway, file: str, rows: str, expected: str, status: int
) -> None:
    Path(file).write_text(rows)
    line = error_of(run("predict", "p", "m", file), status)
    assert expected in line
    assert "many" not in line


def test_an_answer_with_another_number_of_rows_is_told(gateway: Gateway, file: str) -> None:
    answer(gateway, {"res": "1"})
    assert error_of(run("predict", "p", "m", file)).endswith("the answer has not one prediction a row")


def test_a_model_that_is_not_there_is_told(gateway: Gateway, file: str) -> None:
    gateway.on("GET /projects/p/models/m", 400, "no such model")
    assert "400 no such model" in error_of(run("predict", "p", "m", file))
