"""Rows that cannot be learnt, as DataFrames and as CSV files, against all parts."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.foreign.client import Answer, Json, frame
from tests.integration.bad_input import PROJECT, ROWS, Case, Target, check, each, new_target
from tests.integration.line import Line, namespace_of

SYMFED = Path(sys.executable).parent / "symfed"
MIB = 1024
GATEWAY_LIMIT_MIB = 512  # the chart's limit of the gateway's container
NODE_LIMIT_MIB = 1024
BIG_BYTES = 50_000_000
COLUMNS = ("age", "weight")
Send = Callable[[Target], Answer]


@pytest.fixture(scope="module")
def target(line: Line) -> Target:
    """The customer of this table."""
    return new_target(line, "bad-rows")


def learn(rows: Json | list[object]) -> Send:
    """`learn` of any JSON."""
    return lambda target: target.client.call("POST", f"/projects/{PROJECT}/learn", json.dumps(rows))


def cells(*rows: Sequence[object], types: str = "CC", names: Sequence[str] = COLUMNS) -> Send:
    """`learn` of a frame."""
    return learn(frame(names, rows, list(types)))


GOOD = ("31", "70.5")
CASES = [
    Case("text", cells(GOOD, ("old", "81")), 400, "row 2, column 'age' is not a number (type C)"),
    Case("a decimal comma", cells(("31", "70,5")), 400, "row 1, column 'weight' is not a number (type C)"),
    Case("infinity", cells(GOOD, GOOD, ("Infinity", "1")), 400, "row 3, column 'age' is infinite"),
    Case("minus infinity", cells(("31", "-inf")), 400, "row 1, column 'weight' is infinite"),
    Case("JSON's own infinity", cells((float("inf"), 1)), 400, "row 1, column 'age' is infinite"),
    Case("a number beyond float64", cells(("1e400", "1")), 400, "row 1, column 'age' is infinite"),
    Case(
        "a number that is too far away",
        cells(("1e300", "1")),
        400,
        "age: a value is missing, infinite or beyond ±1e+70; leave such rows out",
    ),
    Case("true", cells((True, "1")), 400, "DataFrame: row 1, column 'age' is neither a text nor a number"),
    Case("a short row", cells(GOOD, ("31",)), 400, "DataFrame: row 2 has 1 cells for 2 columns"),
    Case("a long row", cells((*GOOD, "9")), 400, "DataFrame: row 1 has 3 cells for 2 columns"),
    Case("an empty map", learn({}), 400, "DataFrame: attributeNames must be a list of texts"),
    Case("a list", learn([[1, 2]]), 400, "DataFrame: the body must be a JSON map"),
    Case("no columns", cells(types="", names=()), 400, "DataFrame: attributeNames names no column"),
    Case("a column twice", cells(GOOD, names=("age", "age")), 400, "DataFrame: column 'age' comes twice"),
    Case(
        "a column without a name",
        cells(GOOD, names=("age", "")),
        400,
        "DataFrame: column 2 has an empty name",
    ),
    Case(
        "a type that is none",
        cells(GOOD, types="CQ"),
        400,
        "DataFrame: column 'weight' has type 'Q'; the types are B, C, L, P, S, T, X",
    ),
    Case("a type to come", cells(GOOD, types="SC"), 400, "attribute 'age' has type S: not supported yet"),
    Case(
        "other columns than before",
        cells(GOOD, names=("age", "height")),
        400,
        "rows without weight and with new height: "
        "all rows of a project must have the attributes of the first ones",
    ),
]


@each(CASES)
def test_nothing_is_learnt(target: Target, case: Case) -> None:
    check(target, case)


def test_a_frame_without_rows_is_no_error_and_no_change(target: Target) -> None:
    answer = cells()(target)
    assert (answer.status, answer.values) == (200, {"learned": 0, "skipped": 0})
    assert rows_of(target) == len(ROWS["data"])


def test_a_missing_cell_leaves_its_row_out(target: Target) -> None:
    answer = cells(("NaN", "70"), ("", "70"), (None, "70"), (float("nan"), 70))(target)
    assert (answer.status, answer.values) == (200, {"learned": 0, "skipped": 4})
    assert rows_of(target) == len(ROWS["data"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "age,weight\n31,70\nold,81\n",
            "row 2, column age is not a number; leave the column out with --ignore age",
        ),
        ("age,weight\n31,70\n44\n", "row 2 has 1 cells for 2 columns"),
        (
            "age,weight\n31,inf\n",
            "row 1, column weight is not a number; leave the column out with --ignore weight",
        ),
        ("", "the file is empty; the first line must name the columns"),
        ("age,age\n31,70\n", "column age comes twice; the first line must name the columns: age, age"),
    ],
)
def test_nothing_of_a_bad_file_is_learnt(target: Target, tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "visits.csv"
    file.write_text(text)
    environment = {
        "SYMFED_URL": target.line.url,
        "SYMFED_CUSTOMER": target.client.cid,
        "SYMFED_SECRET_KEY": target.client.secret_key,
        "COLUMNS": "400",
    }
    with target.unchanged():
        done = subprocess.run(
            [SYMFED, "learn", PROJECT, str(file)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert f"{file}: {says}" in done.stderr
    assert done.stdout == ""


def test_50_megabytes_in_one_request_are_learnt_in_bounded_memory(line: Line, target: Target) -> None:
    assert target.client.create_project("big", {}).status == 201
    names = [f"x{column}" for column in range(10)]
    rows = [[f"{row / (column + 3):.9f}" for column in range(10)] for row in range(BIG_BYTES // 180)]
    body = json.dumps(frame(names, rows))
    assert len(body) > BIG_BYTES

    learnt = target.client.call("POST", "/projects/big/learn", body)

    assert (learnt.status, learnt.values) == (200, {"learned": len(rows), "skipped": 0})
    node = line.pods.find(namespace_of(target.client.cid), "big")
    assert node is not None
    assert peak_mib(line.installation.processes["gateway"].pid) < GATEWAY_LIMIT_MIB
    assert peak_mib(node.process.pid) < NODE_LIMIT_MIB


def rows_of(target: Target) -> int:
    """How many rows the project holds."""
    return int(target.client.project(PROJECT).values["smlInfo"]["params"]["rows"])


def peak_mib(pid: int) -> int:
    """The most memory that a process has ever held."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) // MIB
