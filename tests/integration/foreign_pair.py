"""A federation of two customers' projects, made with the client that shares no code with symfed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sklearn.datasets import load_iris

from tests.foreign.client import Answer, Client, Json, frame
from tests.foreign.signing import open_invitation
from tests.integration.line import Line
from tests.integration.servers import wait_until

ADMIN, MEMBER = "clinic.A", "clinic.B"
PASSWORD = "for-clinic-b"
COLUMNS = ("sepal_length", "sepal_width", "petal_length", "petal_width")


def iris(first: int, end: int) -> Json:
    """Rows of Fisher's iris as texts, as a client that reads a CSV file sends them."""
    return frame(COLUMNS, [[repr(float(cell)) for cell in row] for row in flowers()[first:end]])


def flowers() -> list[list[float]]:
    """The 150 rows as they are published most, with two that differ from Fisher's own."""
    rows: list[list[float]] = load_iris().data.tolist()
    rows[34] = rows[37] = [4.9, 3.1, 1.5, 0.1]
    return rows


@dataclass(frozen=True)
class Pair:
    """The admin's client signs paths, the member's full addresses."""

    admin: Client
    member: Client
    answers: dict[str, Answer]
    """What the calls that made the federation were answered."""


def new_pair(line: Line, name: str) -> Pair:
    """Customers `<name>-1` and `<name>-2` with one federation; no rows yet."""
    first, second = line.new_customer(f"{name}-1"), line.new_customer(f"{name}-2")
    admin = Client(line.url, first.name, first.secret_key)
    member = Client(line.url, second.name, second.secret_key, sign_full_url=True)
    created = admin.create(ADMIN, create_keys(line, name))
    invited = admin.get_encrypted(ADMIN, {"passwd": PASSWORD, "fed_rest_host": line.url})
    invitation = open_invitation(PASSWORD, invited.values["fedInfoEncrypted"])
    joined = member.create_join({**invitation, "fed_local_type": "cpu"}, MEMBER)
    return Pair(admin, member, {"create": created, "getEncrypted": invited, "createJoin": joined})


def create_keys(line: Line, name: str) -> Json:
    """What `create` needs, every value as a text."""
    return {"fed_name": name, "sync_sched": "d1", "nats_hosts": line.nats, "fed_encrypt": "true"}


def exchange(pair: Pair, rows: int) -> Json:
    """Ask for an exchange, and wait until both have merged that many rows; the merged statistics' digest."""
    projects = ((pair.admin, ADMIN), (pair.member, MEMBER))
    for client, pid in projects:
        assert client.full_sync_request(pid).status == 200
    seen = partial(_merged, projects)
    wait_until(lambda: seen() == [rows, rows], f"not everybody merged {rows} rows; seen last: {seen()}")
    stats: Json = pair.admin.sync_stats(ADMIN).values["fedSyncStats"]
    return stats


def _merged(projects: Sequence[tuple[Client, str]]) -> list[int]:
    return [client.sync_stats(pid).values["fedSyncStats"]["merged"]["rows"] for client, pid in projects]
