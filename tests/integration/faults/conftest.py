"""One line for all faults: each test has a federation of its own, and mends what it breaks."""

from collections.abc import Iterator

import pytest

from tests.integration.line import Line, started_line

# What no event tells is found soon, so that no test waits for minutes.
DRIFT_SECONDS = "5"
POLL_SECONDS = "3"
CUSTOMERS = ("c1", "c2")


@pytest.fixture(scope="package")
def line(programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """All parts, running."""
    with started_line(
        tmp_path_factory.mktemp("faults"),
        operator={"SYMFED_DRIFT_SECONDS": DRIFT_SECONDS},
        node={"SYMFED_POLL_SECONDS": POLL_SECONDS},
    ) as running:
        for customer in CUSTOMERS:
            running.new_customer(customer)
        yield running
