"""The cluster of the end-to-end tests: the one of `make up`, brought up for them if it is not there."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from examples.demo.flow import Surroundings
from examples.demo.surroundings import ENVIRONMENT, read_surroundings

from tests.cluster.console import ClusterError
from tests.cluster.machine import cluster_kind


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks everything in this folder; the first test may wait for the cluster."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(2400))


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Iterator[Surroundings]:
    """A running cluster with the chart as it is in the checkout; one that was up before stays up."""
    try:
        cluster_kind()
    except ClusterError as error:
        pytest.skip(str(error))
    was_up = ENVIRONMENT.exists()
    _tell_and_run(pytestconfig, "tests.cluster.up")
    yield read_surroundings()
    if not was_up:
        _tell_and_run(pytestconfig, "tests.cluster.down")


def _tell_and_run(config: pytest.Config, module: str) -> None:
    """Run a step of minutes with its progress on the terminal, which pytest would keep back."""
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        subprocess.run([sys.executable, "-m", module], check=True)
