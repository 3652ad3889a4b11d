"""The flow itself: create, invite, join, learn, exchange, build, revoke. No printing, no cluster."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

import numpy as np
from examples.demo import data

from symfed_wire.client import ApiError, Client
from symfed_wire.client.results import ModelInfo, SyncStats
from symfed_wire.frames import DataFrame

MODEL = "petal_width"
ADMIN = "north"
JOINING = ("south", "west")
REVOKED = "west"
STAYING = tuple(peer for peer in (ADMIN, *JOINING) if peer != REVOKED)
EXCHANGE_SECONDS = 120.0
BUILD_SECONDS = 60.0
REMOVE_SECONDS = 90.0
LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Customer:
    """Who calls: a customer id and its base64 secret key."""

    name: str
    secret_key: str


@dataclass(frozen=True)
class Surroundings:
    """Where the flow runs. `url` is the gateway's address for clients and for other operators alike.

    `founding` says in a create map which backend it is, `joining` is what a peer adds to its invitation.
    """

    url: str
    customers: tuple[Customer, Customer]
    founding: Mapping[str, str]
    joining: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """Models by peer: `federated` from all rows, `local` from the peer's own."""

    federated: Mapping[str, ModelInfo]
    local: Mapping[str, ModelInfo]
    exchange: Mapping[str, SyncStats]


Step = Callable[[str], AbstractContextManager[None]]


class ExchangeError(RuntimeError):
    """The peers did not come to the same merged statistics in time; the message says what was seen."""


def run(surroundings: Surroundings, step: Step) -> Outcome:
    """Go through the flow; each step is announced by `step(text)`. The first customer hosts the admin."""
    first, second = surroundings.customers
    with _clients(surroundings) as clients:
        admin = clients[ADMIN]
        with step(f"{ADMIN} ({first.name}) creates the federation iris"):
            admin.create(ADMIN, "iris", "m1", surroundings.founding)
        for peer in JOINING:
            with step(f"{peer} ({second.name}) joins by an invitation"):
                invitation = admin.invitation(ADMIN, f"for-{peer}", rest_host=surroundings.url)
                opened = Client.open_invitation(invitation, f"for-{peer}")
                clients[peer].join(opened, surroundings.joining, pid=peer)
        for peer, rows in data.parts().items():
            with step(f"{peer} learns its {len(rows)} rows"):
                clients[peer].learn(peer, _frame(rows))
        with step("the peers exchange their statistics"):
            for peer, client in clients.items():
                client.sync(peer)
            exchange = _exchanged(clients)
        with step("every peer builds its model, and one of its own rows"):
            federated = {peer: _build(client, peer) for peer, client in clients.items()}
            local = {peer: _build(client, peer, use_local=True) for peer, client in clients.items()}
        return Outcome(federated, local, exchange)


def revoke(surroundings: Surroundings, remove_member: Callable[[str], None], step: Step) -> Outcome:
    """The admin removes a member, by `remove_member(uuid)`; those that stay build their models again.

    `local` then has the model of the removed peer alone, from its own rows, which it keeps.
    """
    with _clients(surroundings) as clients:
        staying = {peer: clients[peer] for peer in STAYING}
        with step(f"{ADMIN} removes {REVOKED} from the federation"):
            remove_member(clients[REVOKED].info(REVOKED).local_uuid)
            exchange = _exchanged(staying)
        with step(f"{' and '.join(STAYING)} build their model again, {REVOKED} one of its own rows"):
            federated = {peer: _build(client, peer) for peer, client in staying.items()}
            local = {REVOKED: _build(clients[REVOKED], REVOKED, use_local=True)}
        return Outcome(federated, local, exchange)


def remove_earlier(surroundings: Surroundings, step: Step) -> None:
    """Projects of an earlier run on the same cluster go first, members before the admin."""
    first, second = surroundings.customers
    for customer, projects in ((second, JOINING), (first, (ADMIN,))):
        with Client(surroundings.url, customer.name, customer.secret_key) as client:
            for project in set(client.projects()) & set(projects):
                with step(f"removing {project} of an earlier run"):
                    remove(client, project)


def remove(client: Client, peer: str) -> None:
    """Delete a project. An admin's goes when the members that are leaving have left."""
    deadline = time.monotonic() + REMOVE_SECONDS
    while True:
        try:
            client.delete(peer)
        except ApiError as error:
            if error.status != HTTPStatus.CONFLICT or time.monotonic() > deadline:
                raise
            time.sleep(LOOK_SECONDS)
        else:
            return


def _frame(rows: np.ndarray) -> DataFrame:
    types = ("C",) * len(data.COLUMNS)
    return DataFrame(data.COLUMNS, types, tuple(tuple(row) for row in rows.tolist()))


@contextmanager
def _clients(surroundings: Surroundings) -> Iterator[dict[str, Client]]:
    """Each peer's own customer, in the order of the peers' rows."""
    first, second = surroundings.customers
    with (
        Client(surroundings.url, first.name, first.secret_key) as admin,
        Client(surroundings.url, second.name, second.secret_key) as other,
    ):
        yield {peer: admin if peer == ADMIN else other for peer in (ADMIN, *JOINING)}


def _build(client: Client, peer: str, *, use_local: bool = False) -> ModelInfo:
    client.wait(
        client.build(peer, "mlr", MODEL, data.TARGET, data.INPUTS, use_local=use_local), BUILD_SECONDS
    )
    return client.model(peer, MODEL, use_local=use_local)


def _exchanged(clients: Mapping[str, Client]) -> dict[str, SyncStats]:
    """Wait until all these peers have merged the same statistics of all their rows, and no others."""
    rows = sum(len(part) for peer, part in data.parts().items() if peer in clients)
    deadline = time.monotonic() + EXCHANGE_SECONDS
    while True:
        seen = {peer: client.sync_stats(peer) for peer, client in clients.items()}
        digests = {stats.merged.digest for stats in seen.values()}
        if len(digests) == 1 and all(stats.merged.rows == rows for stats in seen.values()):
            return seen
        if time.monotonic() > deadline:
            raise ExchangeError(
                f"not all peers merged the same {rows} rows within {EXCHANGE_SECONDS:.0f} s; seen: "
                + ", ".join(
                    f"{peer} has {stats.merged.rows} rows of {len(stats.peers)} peers"
                    for peer, stats in seen.items()
                )
            )
        time.sleep(LOOK_SECONDS)
