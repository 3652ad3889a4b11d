"""docs/aws.md shows the table that the policies are judged by, and names every reason of AWS's own."""

import ast
from pathlib import Path

from tests.policies.cases import PAGE, table

ERRORS = Path(__file__).parents[2] / "operator/symfed_operator/backends/aws"
TEXT = PAGE.read_text()


def test_the_page_has_the_table_that_is_tested() -> None:
    """After a change of tests/policies/cases.py put the new one there, and read the difference."""
    shown = TEXT.partition("<!-- table -->\n")[2].partition("<!-- end of the table -->")[0]
    assert shown == table() + "\n"


def test_the_page_says_what_to_do_about_each_error() -> None:
    trees = [ast.parse(file.read_text()) for file in ERRORS.glob("*.py")]
    reasons = {
        str(statement.value.value)
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        if ast.unparse(statement.targets[0]) == "reason"
    }
    assert len(reasons) > 5
    missing = {reason for reason in reasons if f"| `{reason}` |" not in TEXT}
    assert not missing
