"""One line for all faults: each test has a federation of its own, and mends what it breaks."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.integration.line import Line, started_line
from tests.integration.operator_process import Installation

# What no event tells is found soon, so that no test waits for minutes.
DRIFT_SECONDS = "5"
POLL_SECONDS = "3"
LOOK_SECONDS = 0.5
CUSTOMERS = ("c1", "c2")


@pytest.fixture(scope="package")
def line(programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """All parts, running."""
    with quick_line(tmp_path_factory.mktemp("faults")) as running:
        yield running


@contextmanager
def quick_line(folder: Path) -> Iterator[Line]:
    """All parts with two customers; what no event tells is found soon, and what ends comes back."""
    with started_line(
        folder,
        operator={"SYMFED_DRIFT_SECONDS": DRIFT_SECONDS},
        node={"SYMFED_POLL_SECONDS": POLL_SECONDS},
    ) as running:
        for customer in CUSTOMERS:
            running.new_customer(customer)
        with restarting(running.installation):
            yield running


@contextmanager
def restarting(installation: Installation) -> Iterator[None]:
    """Operator and gateway come back when they end by themselves; a busy machine may cost the lease."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_SECONDS):
            with suppress(httpx.HTTPError):  # an API server that hangs gives no token
                installation.start_ended()

    thread = threading.Thread(target=look, name="deployments", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
