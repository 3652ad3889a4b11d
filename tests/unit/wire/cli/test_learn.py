"""learn and forget: a file's rows, in batches."""

from pathlib import Path

import httpx
import pytest
from tests.unit.wire.cli.stub import Gateway, error_of, printed, run

from symfed_wire.frames import parse_frame


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
    assert run("learn", "p", str(file), "--skip-rows", "2").stdout == "1 row learnt\n"
    assert parse_frame(gateway.requests[0].content).data == [[3.0]]


def test_learn_reads_stdin(gateway: Gateway) -> None:
    gateway.on("POST /projects/p/learn")
    assert printed(run("learn", "p", "-", stdin="a\n1\n2\n")) == "2 rows learnt\n"


def test_stdin_is_read_as_a_file_is(gateway: Gateway) -> None:
    gateway.on("POST /projects/p/learn")
    printed(run("learn", "p", "-", "--ignore", "name", stdin='\ufeffa,name\r\n1,"x\r\ny"\r\n'))
    frame = parse_frame(gateway.requests[0].content)
    assert (frame.attribute_names, frame.data) == (("a", "name"), [[1.0, None]])
    assert error_of(run("learn", "p", "-", stdin=b"a\xff\n1\n")) == "stdin: after line 0: is not UTF-8"


def test_forget_sends_the_same_rows_with_a_request_id(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("a,name\n1,x\n,y\n")
    gateway.on("POST /projects/p/forget", values={"forgotten": 1, "skipped": 1})
    result = run("forget", "p", str(file), "--ignore", "name")
    assert printed(result) == "1 row forgotten, 1 skipped because a value is missing\n"
    [request] = gateway.requests
    assert parse_frame(request.content).data == [[1.0, None], [None, None]]
    assert len(request.headers["sym-request-id"]) == 32


def test_a_broken_forget_says_where_to_go_on(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("a\n1\n2\nbad\n")
    gateway.on("POST /projects/p/forget")
    line = error_of(run("forget", "p", str(file), "--batch-rows", "2"))
    assert line.endswith("the first 2 rows are forgotten, go on with --skip-rows 2")


def test_a_refused_forget_keeps_the_nodes_words(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("a\n1\n")
    gateway.on("POST /projects/p/forget", 400, "more rows than were learnt")
    assert error_of(run("forget", "p", str(file))).endswith("400 more rows than were learnt")


@pytest.mark.parametrize(
    ("content", "arguments", "expected"),
    [
        ("", [], "the file is empty"),
        ("a,a,\n", [], "column 3 has no name; column a comes twice"),
        ("a\n1\n", ["--ignore", "b"], "there is no column b"),
        ("a\n1\n", ["--types", "a=Q"], "Q is no type"),
        ("a,b\n1,2\n3\n", [], "row 2 has 1 cells for 2 columns"),
        ("a\n1\nmany\n", [], "row 2, column a is not a number; leave the column out with --ignore a"),
        ("a\ninf\n", [], "row 1, column a is not a number"),
        ("a\nyes\n", ["--types", "a=B"], "row 1, column a is not 0 or 1; leave the column out"),
        ("a;b\n1;2\n", [], "the columns are separated by ';'; symfed reads commas"),
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


def test_a_broken_learn_says_where_to_go_on(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("a\n1\n2\n3\nbad\n")
    gateway.on("POST /projects/p/learn")
    line = error_of(run("learn", "p", str(file), "--batch-rows", "2"))
    assert line.endswith("the first 2 rows are learnt, go on with --skip-rows 2")
    gateway.answers["POST /projects/p/learn"] = httpx.ReadTimeout("")
    line = error_of(run("learn", "p", str(file), "--batch-rows", "3"))
    assert "no answer in time" in line
    assert line.endswith(
        "it is not known whether rows 1 to 3 are learnt: the count of `symfed explore p --local` tells"
    )


def test_a_row_that_the_node_refuses_is_found_in_the_file(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("a\n1\n2\n3\n")
    gateway.on("POST /projects/p/learn", 400, "row 1, column 'a' is neither 0 nor 1 (type B)")
    line = error_of(run("learn", "p", str(file), "--skip-rows", "2", "--types", "a=B"))
    assert line.startswith(f"{file}, after row 2: POST /projects/p/learn: 400 row 1, column 'a'")


def test_ctrl_c_says_where_to_go_on(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("a\n1\n2\n3\n")
    gateway.answers["POST /projects/p/learn"] = KeyboardInterrupt()
    result = run("learn", "p", str(file), "--skip-rows", "1", "--batch-rows", "2")
    assert result.exit_code == 130
    assert result.stderr == (
        "interrupted; it is not known whether rows 2 to 3 are learnt: "
        "the count of `symfed explore p --local` tells; "
        "the first 1 rows are learnt, go on with --skip-rows 1\n"
    )


def test_a_type_needs_its_column(gateway: Gateway) -> None:
    assert "write COLUMN=TYPE" in error_of(run("learn", "p", "rows.csv", "--types", "B"), status=2)
