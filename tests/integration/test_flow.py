"""The demo's flow with all parts as processes against a real API server, etcd and NATS."""

from collections.abc import Iterator
from contextlib import nullcontext

import pytest
from examples.demo import data, flow
from examples.demo.proof import prove

from tests.integration.line import Line, started_line

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """All parts, running."""
    with started_line(tmp_path_factory.mktemp("line")) as running:
        try:
            yield running
        finally:
            print(running.logs())


def test_three_peers_of_two_customers_get_the_pooled_model(line: Line) -> None:
    outcome = flow.run(line.surroundings, lambda text: nullcontext(print(text)))

    proof = prove(outcome.federated, data.pooled_reference())
    assert proof.are_bytes_equal
    assert proof.largest_difference <= 1e-10
    pooled = outcome.federated["north"].coefficients
    for peer, model in outcome.local.items():
        assert model.coefficients != pooled, f"{peer} alone gives the pooled answer: the data prove nothing"
    assert all(len(stats.peers) == 3 for stats in outcome.exchange.values())
