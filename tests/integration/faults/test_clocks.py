"""A clock that is an hour off, at the client and in each part: what works all the same, and what says so."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from symfed_wire.client import ApiError
from tests.integration.faults.clocks import wrong_clock
from tests.integration.faults.cluster import NewLines
from tests.integration.faults.peers import SECONDS, Peers, checked, federation
from tests.integration.line import Line
from tests.integration.servers import wait_until

OUT_OF_SYNC = "Please update your server time, it is likely out of sync with UTC"
COMMAND = Path(sys.executable).parent / "symfed"

ahead_and_behind = pytest.mark.parametrize("hours", [1, -1])


@pytest.fixture(scope="module")
def peers(line: Line) -> Iterator[Peers]:
    """One federation for all clocks: each test leaves it as it was."""
    with federation(line, "clocks") as made:
        yield made


@ahead_and_behind
def test_a_clients_clock(line: Line, hours: int) -> None:
    customer = line.customers["c1"]
    environment = {
        **os.environ,
        **wrong_clock(hours),
        "SYMFED_URL": line.url,
        "SYMFED_CUSTOMER": customer.name,
        "SYMFED_SECRET_KEY": customer.secret_key,
    }
    said = subprocess.run([COMMAND, "projects"], env=environment, capture_output=True, text=True)
    assert said.returncode != 0
    assert OUT_OF_SYNC in " ".join(said.stderr.split())


@ahead_and_behind
def test_the_gateways_clock(line: Line, peers: Peers, hours: int) -> None:
    """It refuses everybody in the same words, and nothing else suffers."""
    with line.installation.changed("gateway", **wrong_clock(hours)), pytest.raises(ApiError) as refused:
        peers.admin.learn()
    assert (refused.value.status, refused.value.text) == (400, OUT_OF_SYNC)
    peers.settle()


@ahead_and_behind
def test_a_nodes_clock(line: Line, peers: Peers, hours: int) -> None:
    """It learns, exchanges and answers as ever: order comes from epochs, not from dates."""
    south = peers[1]
    with line.pods.changed(south.namespace, south.pid, **wrong_clock(hours)):
        peers.settle()
    peers.settle()


def test_an_operators_clock_that_is_ahead(line: Line) -> None:
    """A federation is made, joined and removed under it, and lives on under the right one."""
    lines = NewLines(line)
    with checked(line, "ahead") as made:
        with line.installation.changed("operator", **wrong_clock(1)):
            made.create()
            made.join(made[1])
            made.check()
        made.settle()
        with line.installation.changed("operator", **wrong_clock(1)):
            made.remove()
    assert "ahead-south: the admin knows that it left" in lines.text("operator.log")
    assert "left without telling its admin" not in lines.text("operator.log")


def test_an_operators_clock_that_is_behind(line: Line, peers: Peers) -> None:
    """NATS takes its users for expired: the Federation says so, and the nodes go on."""
    path = peers.cluster.federation_path(peers.name)

    def conditions() -> dict[str, str]:
        return {c["type"]: c["message"] for c in peers.cluster.get(path)["status"]["conditions"]}

    with line.installation.changed("operator", **wrong_clock(-1)):
        words = "that the clock of the operator's machine is right"
        wait_until(lambda: words in conditions()["BackendReady"], f"{conditions()}", SECONDS)
        peers.settle()
    wait_until(lambda: words not in conditions()["BackendReady"], f"{conditions()}", SECONDS)
