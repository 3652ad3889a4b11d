"""The flow itself: create, invite, join, learn, exchange, build. No printing, no cluster."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from http import HTTPStatus

import numpy as np
from examples.demo import data

from symfed_wire.client import ApiError, Client
from symfed_wire.client_results import ModelInfo, SyncStats
from symfed_wire.frames import DataFrame

MODEL = "petal_width"
ADMIN = "north"
EXCHANGE_SECONDS = 120.0
REMOVE_SECONDS = 90.0
LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Customer:
    """Who calls: a customer id and its base64 secret key."""

    name: str
    secret_key: str


@dataclass(frozen=True)
class Surroundings:
    """Where the flow runs. `url` is the gateway's address for clients and for other operators alike;
    `nats` is the embedded server as a `nats_hosts` value."""

    url: str
    nats: str
    customers: tuple[Customer, Customer]


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
    with ExitStack() as stack:

        def client(customer: Customer) -> Client:
            return stack.enter_context(Client(surroundings.url, customer.name, customer.secret_key))

        admin, other = client(first), client(second)
        clients = {ADMIN: admin, "south": other, "west": other}
        with step(f"{ADMIN} ({first.name}) creates the federation iris"):
            admin.create(ADMIN, "iris", "m1", {"nats_hosts": surroundings.nats})
        for peer in ("south", "west"):
            with step(f"{peer} ({second.name}) joins by an invitation"):
                invitation = admin.invitation(ADMIN, f"for-{peer}", rest_host=surroundings.url)
                other.join(Client.open_invitation(invitation, f"for-{peer}"), pid=peer)
        for peer, rows in data.parts().items():
            with step(f"{peer} learns its {len(rows)} rows"):
                clients[peer].learn(peer, _frame(rows))
        with step("the peers exchange their statistics"):
            exchange = _exchange(clients)
        with step("every peer builds its model, and one of its own rows"):
            for peer, member in clients.items():
                for use_local in (False, True):
                    job = member.build(peer, "mlr", MODEL, data.TARGET, data.INPUTS, use_local=use_local)
                    member.wait(job, deadline=60)
        return Outcome(
            federated={peer: member.model(peer, MODEL) for peer, member in clients.items()},
            local={peer: member.model(peer, MODEL, use_local=True) for peer, member in clients.items()},
            exchange=exchange,
        )


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


def _exchange(clients: Mapping[str, Client]) -> dict[str, SyncStats]:
    """Ask every peer to publish now, and wait until all have merged the same statistics of all rows."""
    for peer, client in clients.items():
        client.sync(peer)
    rows = sum(len(part) for part in data.parts().values())
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
