"""Two states of one peer: a volume that was restored from an older copy, and two nodes at once."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx

from tests.integration.faults.nats_admin import NatsAdmin
from tests.integration.faults.peers import BATCH, SECONDS, federation, new_rows
from tests.integration.line import Line
from tests.integration.pods import NODE_PROGRAM, Pod
from tests.integration.servers import free_port, wait_until


def test_a_volume_restored_from_an_older_copy(line: Line, tmp_path: Path) -> None:
    """The peer goes on above what the others saw, and says which rows are not in the project any more."""
    with federation(line, "old-volume") as peers:
        north, south = peers.peers
        uuid = NatsAdmin(peers).identity(south).uuid
        with line.pods.without(south.namespace, south.pid) as pod:
            shutil.copytree(pod.data, tmp_path / "copy")
        kept = south.acknowledged
        south.learn(30)
        peers.settle()
        before, lost = north.stats().peers[uuid], south.acknowledged - kept
        with line.pods.without(south.namespace, south.pid) as pod:
            shutil.rmtree(pod.data)
            shutil.copytree(tmp_path / "copy", pod.data)
        south.acknowledged -= lost
        peers.agree()
        assert north.stats().peers[uuid].epoch > before.epoch
        words = (
            f"epoch {before.epoch} of this peer has {before.rows} rows and the project {kept}: "
            "the volume is new or an older copy"
        )
        assert peers.is_logged(south, words), south.stats().error_log

        def condition() -> str:
            return peers.cluster.condition(south.namespace, south.pid, "Exchanging")[2]

        wait_until(lambda: words in condition(), f"the condition says {condition()!r}", SECONDS)
        south.learn(lost)
        peers.settle()
        wait_until(lambda: condition() == "", f"the condition says {condition()!r}", SECONDS)


@contextmanager
def twin_of(pod: Pod, data: Path) -> Iterator[httpx.Client]:
    """A second node with a peer's Secret, on a copy of its volume in another cluster; its HTTP surface."""
    shutil.copytree(pod.data, data)
    port = free_port()
    environment = {
        "PATH": "/usr/bin:/bin",
        "SYMFED_NODE_CONFIG": str(pod.folder / "node.json"),
        "SYMFED_NODE_TOKEN": str(pod.folder / "token"),
        "SYMFED_DATA": str(data),
        "SYMFED_LISTEN": f"127.0.0.1:{port}",
        "SYMFED_KUBERNETES": "false",
    }
    headers = {"Authorization": f"Bearer {(pod.folder / 'token').read_text().strip()}"}
    with (
        (data / "twin.log").open("wb") as log,
        subprocess.Popen([NODE_PROGRAM], env=environment, stdout=log, stderr=log) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as http,
    ):
        try:
            twin = replace(pod, port=port, process=process)
            wait_until(twin.is_ready, f"the second node is not ready; its log is {log.name}")
            yield http
        finally:
            process.kill()


def test_a_second_node_with_the_same_identity(line: Line, tmp_path: Path) -> None:
    """The node that was started last goes on, the other one publishes nothing more and says why."""
    with federation(line, "twins") as peers:
        north, south = peers.peers
        uuid = NatsAdmin(peers).identity(south).uuid

        def seen() -> tuple[int, int]:
            stats = north.stats().peers[uuid]
            return stats.epoch, stats.rows

        def condition() -> tuple[str, str, str]:
            return peers.cluster.condition(south.namespace, south.pid, "Exchanging")

        with twin_of(south.pod, tmp_path / "copy") as twin:
            rows = new_rows(2 * BATCH).to_json()
            twin.post(f"/projects/{south.pid}/learn", json=rows).raise_for_status()
            twin.get(f"/fedml/{south.pid}/fullSyncRequest").raise_for_status()
            wait_until(lambda: seen()[1] == south.acknowledged + 2 * BATCH, f"north has {seen()}", SECONDS)
            wait_until(lambda: condition()[1] == "IdentityInUse", f"south says {condition()}", SECONDS)
            assert condition()[2] == (
                f"another node publishes as this peer: epoch {seen()[0]} is not of this one. Stop the other "
                "one, then restart this one; until then it publishes nothing"
            )
            taken = seen()
            south.learn()
            south.client.sync(south.pid)
            epoch = north.stats().merged.epoch_sum
            north.learn()
            north.client.sync(north.pid)
            wait_until(lambda: north.stats().merged.epoch_sum > epoch, "north does not publish", SECONDS)
            assert seen() == taken
        south.kill()
        peers.agree()
