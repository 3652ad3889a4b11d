"""From cells to columns, and the words for cells that are none."""

import numpy as np
import pytest

from symfed_node.columns import numeric_columns
from symfed_node.errors import BadCellError, NodeError, NotSupportedError
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
    columns = numeric_columns(frame([[1, 1], ["", 0], [2, None], [float("nan"), 1], [3, "NaN"], [4, 0]]))
    np.testing.assert_array_equal(columns.values, [[1, 4], [1, 0]])
    assert columns.skipped == 4


def test_ignored_columns_may_hold_anything() -> None:
    columns = numeric_columns(frame([[1, "x", 0]], ("C", "X", "B")))
    assert [feature.name for feature in columns.features] == ["a", "c"]


def test_no_rows() -> None:
    assert numeric_columns(frame([])).values.shape == (2, 0)


@pytest.mark.parametrize(
    ("rows", "types", "error", "message"),
    [
        ([[1, 1], ["secret", 1]], ("C", "B"), BadCellError, "row 2, column 'a' is not a number (type C)"),
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
