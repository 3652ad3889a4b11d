"""Servers that are away, or come back without what they stored."""

import os
import shutil
import signal

from symfed_wire.client import ApiError, Client
from tests.integration.faults.cluster import NewLines
from tests.integration.faults.peers import SECONDS, federation, new_rows
from tests.integration.line import Line
from tests.integration.servers import wait_until


def test_nats_comes_back_with_an_empty_disk(line: Line) -> None:
    """Accounts, streams, document and snapshots are made again; nothing is learnt in vain meanwhile."""
    with federation(line, "empty-disk") as peers:
        accounts = peers.cluster.accounts()
        epochs = {uuid: peer.epoch for uuid, peer in peers.admin.stats().peers.items()}
        with peers[0].learning(), peers[1].learning():
            nats = line.installation.nats
            nats.process.kill()
            for folder in ("accounts", "jetstream"):
                shutil.rmtree(peers.cluster.nats_folder / folder)
            nats.start()
            wait_until(lambda: peers.cluster.accounts() == accounts, "accounts are missing", SECONDS)

        def are_put_again() -> bool:
            seen = peers.admin.stats().peers
            return all(seen[uuid].epoch > epoch for uuid, epoch in epochs.items())

        wait_until(are_put_again, f"the snapshots after {epochs} are not put again", SECONDS)


def test_the_api_server_hangs(line: Line) -> None:
    """What the gateway cannot serve it refuses in words, and a client that waits loses nothing."""
    with federation(line, "api-server") as peers, peers[0].learning():
        installation = line.installation
        lines = NewLines(line)
        customer = peers[1].customer
        apiserver, operator = installation.control_plane.apiserver.pid, installation.processes["operator"]
        os.kill(apiserver, signal.SIGSTOP)
        try:
            with Client(line.url, customer.name, customer.secret_key, patience=0) as hasty:
                refused = refusal_of(hasty, peers[1].pid)
            code = operator.wait(SECONDS)
        finally:
            os.kill(apiserver, signal.SIGCONT)
        assert refused.status == 503
        assert refused.text == "The cluster cannot serve this at the moment; send the request again"
        assert refused.retry_after is not None
        assert code == 0  # not killed by kopf after 30 s, in which it would hang on
        assert "the lease symfed-operator runs out by itself: TimeoutError" in lines.text("operator.log")
        assert "the lease symfed-operator is lost: this replica ends" in lines.text("operator.log")
        with peers[1].learning():
            pass


def refusal_of(client: Client, project: str) -> ApiError:
    """What a learn is refused with."""
    try:
        client.learn(project, new_rows())
    except ApiError as error:
        return error
    raise AssertionError("the learn was answered, though the API server hangs")
