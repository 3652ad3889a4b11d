"""Dependencies point one way: gateway, operator and node import wire, and none imports another."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAY_IMPORT = {
    "wire/symfed_wire": {"symfed_wire"},
    "api/symfed_api": {"symfed_wire", "symfed_api"},
    "operator/symfed_operator": {"symfed_wire", "symfed_operator"},
    "node/symfed_node": {"symfed_wire", "symfed_node"},
}


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_part_imports_only_wire_and_itself(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for file in files:
        strangers = {name for name in _imported(file) if name.startswith("symfed_")} - MAY_IMPORT[package]
        assert not strangers, f"{file.relative_to(ROOT)} imports {', '.join(sorted(strangers))}"


def _imported(file: Path) -> set[str]:
    """The top-level packages that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names
