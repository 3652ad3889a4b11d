"""docs/conditions.md names every reason that operator and node can write, and no other one."""

import ast
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from symfed_wire.aws_errors import AwsReason

ROOT = Path(__file__).parents[2]
TYPES = {
    "Federation": ["Ready", "BackendReady", "NameClaimed", "Secure"],
    "FederationPeer": ["Ready", "Joined", "BackendReady", "NodeReady", "Exchanging", "Granted"],
}
#: what a pod, a container or a StatefulSet says, which `NodeReady` passes on
FROM_KUBERNETES = {
    "FailedCreate", "Unschedulable", "SchedulingGated", "SchedulerError", "ErrImagePull", "ImagePullBackOff",
    "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError",
    "RunContainerError", "CrashLoopBackOff", "OOMKilled", "Error", "Completed", "ContainerCannotRun",
    "StartError", "ContainerStatusUnknown",
}  # fmt: skip
NEVER_IN_A_CONDITION = {
    # roots of hierarchies that are not raised themselves, and sums that are always brought together first
    "OperatorFailed", "NodeFailed", "StatisticsFailed",
    # the program does not start
    "BootstrapFailed", "ConfigurationInvalid",
    # answers to calls at the node
    "BadCell", "ExploreForbidden", "NeverLearnt", "NoInput", "NoSuchProject", "NoSuchModel", "NoSuchJob",
    "NoRows", "TooLarge", "JournalFailed", "OutcomeUnknown", "GpuFailed", "RepeatedNonce", "ValueOutOfRange",
    "ModelNotPossible", "ConstantFeature", "Collinear",
    # words in the message of another reason, PeerBehind, or in the error log
    "HeadRejected", "DocumentRejected",
    # handled where it is raised
    "WatchExpired",
}  # fmt: skip
_PARTS = ("operator/symfed_operator", "node/symfed_node")
_SHARED_ERRORS = ("errors", "kube_errors", "documents", "snapshot", "snapshot_histogram")
_WRITTEN_BY = {"true", "false", "Exchanging"}


def test_the_document_has_a_table_for_each_condition() -> None:
    found = {kind: list(tables) for kind, tables in _documented().items()}
    assert found == TYPES


def test_every_error_that_can_be_a_reason_is_documented() -> None:
    missing = _error_reasons() - NEVER_IN_A_CONDITION - _all_documented()
    assert not missing, f"docs/conditions.md lacks {', '.join(sorted(missing))}"


def test_every_literal_reason_is_documented_under_its_condition() -> None:
    tables = list(chain.from_iterable(tables.items() for tables in _documented().values()))
    for name, reason in _literal_reasons():
        found = {word for type_, words in tables if name in (None, type_) for word in words}
        assert reason in found, f"docs/conditions.md lacks {reason} under {name or 'any condition'}"


def test_what_aws_refuses_a_node_is_documented() -> None:
    missing = (
        {*AwsReason} - {AwsReason.QUEUE_DELETED_RECENTLY} - _documented()["FederationPeer"]["Exchanging"]
    )
    assert not missing, f"docs/conditions.md lacks {', '.join(sorted(missing))} under Exchanging"


def test_the_document_names_no_reason_that_nobody_writes() -> None:
    literals = {reason for _, reason in _literal_reasons()}
    known = literals | FROM_KUBERNETES | {*AwsReason} | (_error_reasons() - NEVER_IN_A_CONDITION)
    strangers = _all_documented() - known
    assert not strangers, f"docs/conditions.md has {', '.join(sorted(strangers))}, which nobody writes"


def test_the_reasons_that_are_left_out_exist() -> None:
    assert _error_reasons() >= NEVER_IN_A_CONDITION


def _documented() -> dict[str, dict[str, set[str]]]:
    """The first column of all tables: kind → condition → reasons."""
    result: dict[str, dict[str, set[str]]] = {}
    kind = name = ""
    for line in (ROOT / "docs/conditions.md").read_text().splitlines():
        if line.startswith("## "):
            kind = line.removeprefix("## ")
            result[kind] = {}
        elif line.startswith("### "):
            name = line.removeprefix("### ")
            result[kind][name] = set()
        elif row := re.match(r"\| `(\w+)` \| [^|]+ \| [^|]+ \|$", line):
            assert row[1] not in result[kind][name], f"{row[1]} is twice under {kind} {name}"
            result[kind][name].add(row[1])
        else:
            assert not line.startswith("| `"), f"not a row of three columns: {line}"
    return result


def _all_documented() -> set[str]:
    return {reason for tables in _documented().values() for reasons in tables.values() for reason in reasons}


def _error_reasons() -> set[str]:
    """The `reason` of all classes of the parts, and of those errors in wire that they raise."""
    shared = [ROOT / f"wire/symfed_wire/{name}.py" for name in _SHARED_ERRORS]
    files = chain(shared, *((ROOT / part).rglob("*.py") for part in _PARTS))
    return {
        str(statement.value.value)
        for tree in map(_parse, files)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        if any(isinstance(target, ast.Name) and target.id == "reason" for target in statement.targets)
    }


def _literal_reasons() -> set[tuple[str | None, str]]:
    """Condition and reason wherever the code writes a reason as a word; None where the condition varies."""
    return {
        pair
        for part in _PARTS
        for file in (ROOT / part).rglob("*.py")
        for node in ast.walk(_parse(file))
        for pair in _reasons_at(node)
    }


def _reasons_at(node: ast.AST) -> Iterator[tuple[str | None, str]]:
    match node:
        case ast.Call(func=ast.Name(id=called), args=[first, second, *_]) if called in _WRITTEN_BY:
            own = "Exchanging" if called == "Exchanging" else next(_words(first), None)
            yield from ((own, word) for word in _words(second))
        case ast.keyword(arg="reason", value=value):
            yield from ((None, word) for word in _words(value))
        case ast.FunctionDef(name=function, body=body) if not function.endswith("_reason"):
            assigned = [line for line in body if isinstance(line, ast.Assign)]
            named = [line for line in assigned if ast.unparse(line.targets[0]) == "reason"]
            yield from ((None, word) for line in named for word in _words(line.value))
        case ast.FunctionDef():
            returned = [line.value for line in ast.walk(node) if isinstance(line, ast.Return)]
            pairs = [value for value in returned if isinstance(value, ast.Tuple)]
            yield from ((None, word) for pair in pairs for word in _words(pair.elts[0]))


def _words(node: ast.expr) -> Iterator[str]:
    """The texts in an expression that have the form of a reason."""
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and re.fullmatch(r"([A-Z][a-z]+)+", str(part.value)):
            yield str(part.value)


def _parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text())
