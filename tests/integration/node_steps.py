"""What most tests of several nodes do with them."""

from collections.abc import Sequence
from functools import partial

from tests.integration.node_world import PARTS, ROWS, SECONDS, NodeProcess
from tests.integration.servers import ServerError, wait_until


def learn_parts(nodes: Sequence[NodeProcess]) -> None:
    for node, part in zip(nodes, PARTS, strict=True):
        assert node.learn(ROWS[part]) == {"learned": len(ROWS[part]), "skipped": 0}


def _has_merged(node: NodeProcess, rows: int) -> bool:
    return bool(node.merged()["rows"] == rows)


def wait_for_rows(nodes: Sequence[NodeProcess], rows: int) -> str:
    """Waits until all have merged that many rows; the one digest that they must agree on."""
    for node in nodes:
        try:
            wait_until(partial(_has_merged, node, rows), f"{rows} rows are not merged", SECONDS)
        except ServerError as error:
            raise ServerError(f"{error}: {node.stats()}\n{node.log.read_text()}") from None
    digests = {str(node.merged()["digest"]) for node in nodes}
    assert len(digests) == 1, digests
    return digests.pop()
