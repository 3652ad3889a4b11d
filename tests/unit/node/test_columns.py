"""From cells to columns, and the words for cells that are none."""

import numpy as np
import pytest

from symfed_node.columns import input_columns, numeric_columns
from symfed_node.errors import BadCellError, NodeError, NoInputError, NotSupportedError
from symfed_node.statistics.state import Feature
from symfed_wire.frames import Cell, DataFrame


def frame(rows: list[list[Cell]], types: tuple[str, ...] = ("C", "B")) -> DataFrame:
    return DataFrame(tuple("abcdef"[: len(types)]), types, rows)


def test_numbers_and_their_texts() -> None:
    columns = numeric_columns(frame([["1.5", "1"], [-2, 0], [" 3e2 ", "0.0"], ["+.5", 1.0]]))
    assert columns.features == (Feature("a", "C"), Feature("b", "B"))
    np.testing.assert_array_equal(columns.values, [[1.5, -2, 300, 0.5], [1, 0, 0, 1]])
    assert columns.skipped == 0


def test_rows_with_missing_values_are_left_out_and_counted() -> None:
    rows: list[list[Cell]] = [[1, 1], ["", 0], [2, None], [float("nan"), 1], [3, "NaN"], [" null", 1], [4, 0]]
    columns = numeric_columns(frame(rows))
    np.testing.assert_array_equal(columns.values, [[1, 4], [1, 0]])
    assert columns.skipped == 5
    numbers = numeric_columns(frame([[1, 1], [2.5, None], [float("nan"), 1], [2**70, 0]]))
    np.testing.assert_array_equal(numbers.values, [[1, 2.0**70], [1, 0]])


def test_ignored_columns_may_hold_anything() -> None:
    columns = numeric_columns(frame([[1, "x", 0]], ("C", "X", "B")))
    assert [feature.name for feature in columns.features] == ["a", "c"]


def test_inputs_are_found_by_name_and_what_is_missing_stays_so() -> None:
    given = frame([[1, "secret", 0, "x"], ["", "", None, "x"], [" 2.5", None, 1.0, 3]], ("C", "S", "B", "X"))
    found = input_columns(given, ("c", "nobody's", "d", "a"))
    nothing = [np.nan] * 3
    np.testing.assert_array_equal(found, [[0, np.nan, 1], nothing, nothing, [1, np.nan, 2.5]])
    assert input_columns(frame([]), ("b", "a")).shape == (2, 0)


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (("x", "y"), NoInputError, "the DataFrame has none of the model's inputs x, y"),
        (("d", "x"), NoInputError, "the DataFrame has none of the model's inputs d, x"),
        (("a", "b"), BadCellError, "row 2, column 'a' is not a number (type C)"),
        (("c",), BadCellError, "row 1, column 'c' is infinite"),
        (("b",), NotSupportedError, "attribute 'b' has type S: not supported yet"),
    ],
)
def test_bad_inputs_are_named(names: tuple[str, ...], error: type[NodeError], message: str) -> None:
    given = frame([[1, "secret", 1e999, 1], ["secret", "", 1, 1]], ("C", "S", "C", "X"))
    with pytest.raises(error) as raised:
        input_columns(given, names)
    assert str(raised.value) == message


def test_no_rows() -> None:
    assert numeric_columns(frame([])).values.shape == (2, 0)


@pytest.mark.parametrize(
    ("rows", "types", "error", "message"),
    [
        ([[1, 1], ["secret", 1]], ("C", "B"), BadCellError, "row 2, column 'a' is not a number (type C)"),
        (
            [["\u00a01", 1], ["1\u00a02", 1]],
            ("C", "B"),
            BadCellError,
            "row 2, column 'a' is not a number (type C)",
        ),
        ([["1_000", 1]], ("C", "B"), BadCellError, "row 1, column 'a' is not a number (type C)"),
        ([["١", 1]], ("C", "B"), BadCellError, "row 1, column 'a' is not a number (type C)"),
        ([["0x10", 1]], ("C", "B"), BadCellError, "row 1, column 'a' is not a number (type C)"),
        ([["inf", 1]], ("C", "B"), BadCellError, "row 1, column 'a' is infinite"),
        ([[1, 1], [1e999, 1]], ("C", "B"), BadCellError, "row 2, column 'a' is infinite"),
        ([["1e999", 1]], ("C", "B"), BadCellError, "row 1, column 'a' is infinite"),
        ([[10**400, 1]], ("C", "B"), BadCellError, "row 1, column 'a' is infinite"),
        ([[1, 0.5]], ("C", "B"), BadCellError, "row 1, column 'b' is neither 0 nor 1 (type B)"),
        ([[1, 1]], ("C", "S"), NotSupportedError, "attribute 'b' has type S: not supported yet"),
        ([[1, 1]], ("T", "C"), NotSupportedError, "attribute 'a' has type T: not supported yet"),
        ([[1, 1]], ("C", "L"), NotSupportedError, "attribute 'b' has type L: not supported yet"),
        ([[1, 1]], ("C", "P"), NotSupportedError, "attribute 'b' has type P: not supported yet"),
        ([[1, 1]], ("X", "X"), NotSupportedError, "all attributes have type X: there is nothing to learn"),
    ],
)
def test_bad_input_is_named(
    rows: list[list[Cell]], types: tuple[str, ...], error: type[NodeError], message: str
) -> None:
    with pytest.raises(error) as raised:
        numeric_columns(frame(rows, types))
    assert str(raised.value) == message


def test_a_zero_has_no_sign() -> None:
    columns = numeric_columns(DataFrame(("a",), ("C",), [["-0"], [-0.0], [0]]))
    assert not np.signbit(columns.values).any()
