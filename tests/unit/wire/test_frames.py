"""Bodies of the data plane: what is read, and the words for what is not."""

import json

import pytest
from pydantic import JsonValue

from symfed_wire.errors import MalformedError
from symfed_wire.frames import (
    DataFrame,
    MLContext,
    StringList,
    is_missing,
    parse_context,
    parse_explore,
    parse_frame,
    parse_strings,
)


def frame(**changes: JsonValue) -> bytes:
    whole: dict[str, JsonValue] = {
        "attributeNames": ["a", "b"],
        "attributeTypes": ["C", "S"],
        "data": [["1.5", "x"], [2, ""]],
    }
    return json.dumps(whole | changes).encode()


def test_a_frame_is_read_and_written_again() -> None:
    parsed = parse_frame(frame(errorHandling="none"))
    assert parsed.attribute_names == ("a", "b")
    assert parsed.data == [["1.5", "x"], [2, ""]]
    assert parse_frame(parsed.to_json()) == parsed


def test_nan_and_null_are_cells() -> None:
    parsed = parse_frame(b'{"attributeNames":["a","b"],"attributeTypes":["C","C"],"data":[[NaN,null]]}')
    assert [is_missing(cell) for cell in parsed.data[0]] == [True, True]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "DataFrame: the body is not JSON (Expecting property name"),
        (b"\xff", "DataFrame: the body is not JSON (not UTF-8)"),
        (b"[" * 100_000, "DataFrame: the body is not JSON (nested too deep"),
        (b"[" + b"9" * 5000 + b"]", "DataFrame: the body is not JSON (nested too deep or a number too long)"),
        (b"[]", "DataFrame: the body must be a JSON map"),
        (frame(attributeNames="a"), "DataFrame: attributeNames must be a list of texts"),
        (frame(attributeNames=[], attributeTypes=[]), "DataFrame: attributeNames names no column"),
        (frame(attributeTypes=["C"]), "DataFrame: 2 attributeNames but 1 attributeTypes"),
        (frame(attributeNames=["a", ""]), "DataFrame: column 2 has an empty name"),
        (
            frame(attributeNames=["a", "b" * 1001]),
            "DataFrame: column 2 has a name of more than 1000 characters",
        ),
        (frame(attributeNames=["a", "a"]), "DataFrame: column 'a' comes twice"),
        (frame(attributeNames=["a", "b\ud800"]), "DataFrame: column 2 has a name that UTF-8 cannot write"),
        (frame(attributeTypes=["C", "Q"]), "DataFrame: column 'b' has type 'Q'; the types are B, C, L, P"),
        (frame(data=None), "DataFrame: data must be a list of rows"),
        (frame(data=[["1", "x"], "row"]), "DataFrame: row 2 is not a list of cells"),
        (frame(data=[["1", "x"], ["2"]]), "DataFrame: row 2 has 1 cells for 2 columns"),
        (frame(data=[["1", "x", "y"]]), "DataFrame: row 1 has 3 cells for 2 columns"),
        (frame(data=[["1", True]]), "DataFrame: row 1, column 'b' is neither a text nor a number"),
        (frame(data=[[["secret"], "x"]]), "DataFrame: row 1, column 'a' is neither a text nor a number"),
    ],
)
def test_what_is_no_frame_is_named(body: bytes, message: str) -> None:
    with pytest.raises(MalformedError) as raised:
        parse_frame(body)
    assert str(raised.value).startswith(message)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("cell", ["", " ", None, float("nan"), "NaN", "nan"])
def test_missing_cells(cell: str | float | None) -> None:
    assert is_missing(cell)


@pytest.mark.parametrize("cell", ["0", 0, 0.0, "x", float("inf")])
def test_cells_that_are_there(cell: str | float) -> None:
    assert not is_missing(cell)


NAMES = ("a", "b", "c")


def test_a_context_by_index_and_by_name() -> None:
    by_index = parse_context(b'{"targets":["2"],"inputAttributes":["0",1],"extraParameters":{"lambda":"1"}}')
    by_name = parse_context(b'{"targetAttributeNames":["c"],"inputAttributeNames":["a","b"]}')
    for context in (by_index, by_name, parse_context(by_index.to_json())):
        assert context.input_positions(NAMES) == [0, 1]
        assert context.target_positions(NAMES) == [2]
    assert by_index.extra_parameters == {"lambda": "1"}


@pytest.mark.parametrize(
    ("context", "message"),
    [
        (
            MLContext(input_attributes=("3",)),
            "inputAttributes: no attribute has index '3'; the project has 3",
        ),
        (MLContext(input_attributes=("-1",)), "inputAttributes: no attribute has index '-1'"),
        (MLContext(input_attributes=("a",)), "inputAttributes: no attribute has index 'a'"),
        (
            MLContext(input_attribute_names=("d",)),
            "inputAttributeNames: no attribute is named 'd'; there are a, b, c",
        ),
        (
            MLContext(input_attributes=("0",), input_attribute_names=("b",)),
            "inputAttributes and inputAttributeNames name different attributes: send one of them",
        ),
    ],
)
def test_attributes_that_are_not_there(context: MLContext, message: str) -> None:
    with pytest.raises(MalformedError) as raised:
        context.input_positions(NAMES)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"targets":"2"}', "MLContext: targets must be a list of texts"),
        (b'{"targets":[true]}', "MLContext: targets must be a list of texts"),
        (b'{"extraParameters":[]}', "MLContext: extraParameters must be a map"),
    ],
)
def test_what_is_no_context_is_named(body: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        parse_context(body)


def test_string_lists() -> None:
    assert parse_strings(b'{"values":["a"]}') == StringList(("a",))
    with pytest.raises(MalformedError, match="StringList: values must be a list of texts"):
        parse_strings(b"{}")


def test_a_frame_does_not_show_its_rows_in_messages() -> None:
    assert "secret" not in repr(DataFrame(("a",), ("S",), [["secret"]]))


def test_an_explore_context_is_a_list_of_contexts() -> None:
    context = parse_explore('{"values": [{"inputAttributes": [0, "3"]}, {"inputAttributeNames": ["a"]}]}')
    assert context.values == (MLContext(input_attributes=("0", "3")), MLContext(input_attribute_names=("a",)))
    assert parse_explore(context.to_json()) == context


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "ExploreContext: the body must be a JSON map"),
        ({}, "ExploreContext: values must be a list of MLContexts"),
        ({"values": ["a"]}, "ExploreContext: values must be a list of MLContexts"),
        ({"values": [{"inputAttributes": "0"}]}, "MLContext: inputAttributes must be a list of texts"),
    ],
)
def test_what_is_no_explore_context_is_told(body: JsonValue, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        parse_explore(body)
