"""The end of a peer that joined elsewhere: its admin is told, whatever happened before."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast

import httpx
import pytest
from pydantic import JsonValue

from symfed_operator import departure
from symfed_operator.backends.absent import AbsentBackend
from symfed_operator.backends.base import FederationSeeds
from symfed_operator.backends.choice import Backends
from symfed_operator.backends.nats.keys import new_user_seed
from symfed_operator.calls import Calls
from symfed_operator.context import Context
from symfed_operator.departure import LEAVE_FOR
from symfed_operator.invitation import OpenedInvitation
from symfed_operator.queue import Key
from symfed_operator.records import PeerRecord, Stored, new_federation_record, new_peer_record
from symfed_wire.documents import (
    FEDERATION_CONTEXT,
    FederationDocument,
    FederationSettings,
    sign_document,
)
from symfed_wire.envelope import envelope
from symfed_wire.join import JoinAnswer, NatsGrant
from symfed_wire.kube import EVENTS, PEERS, JsonObject, Kube, Resource
from symfed_wire.names import FINALIZER
from symfed_wire.resources import FederationPeer

DELETED = datetime(2026, 3, 1, 12, tzinfo=UTC)
BASE = "http://admin.example.org/symetry/rest/c1/fedml/p1"
FEDERATION = new_federation_record(FederationSeeds("a", "s", "r"))
INVITATION = OpenedInvitation(
    fed_rest_url=f"{BASE}/createPolicies", fed_req_token="t", fed_secret_key=FEDERATION.join_key
)
UID = "5f0c6a52-6e5e-4b3f-9d1f-1f0b7c3d2a11"
DOCUMENT = FederationDocument(
    federation=UID, name="f", version=1, issued="", settings=FederationSettings(schedule="m1")
)
GRANT = NatsGrant(
    hosts=(), writer_jwt="w", reader_jwt="r", stream="S", data="d", head="h", get="g", heads="hs", ask="a"
)
ANSWER = JoinAnswer(
    federation=UID,
    document_key=FEDERATION.document_key,
    document=sign_document(DOCUMENT, FEDERATION_CONTEXT, FEDERATION.document_key_pair),
    nats=GRANT,
)
IDENTITY = new_peer_record(
    "00000000-0000-4000-8000-000000000001",
    new_user_seed(),
    new_user_seed(),
)
JOINED = IDENTITY.model_copy(update={"answer": ANSWER, "leave_url": f"{BASE}/leave"})
ASKED = IDENTITY.model_copy(update={"asked_with": INVITATION})
BODY: JsonObject = {
    "metadata": {
        "name": "p",
        "namespace": "n",
        "uid": "u",
        "deletionTimestamp": DELETED.isoformat(),
        "finalizers": [FINALIZER],
    },
    "spec": {"project": "p", "invitationSecretRef": {"name": "s"}},
}


@dataclass
class _World:
    """Kubernetes, records and settings as far as a departure uses them."""

    record: PeerRecord
    calls: Calls
    http: httpx.AsyncClient
    minutes: float = 0
    events: list[JsonValue] = field(default_factory=list)
    is_let_go: bool = False
    namespace: str = "system"
    drift_seconds: float = 120

    async def find(self, where: object, *_: object) -> object:
        if isinstance(where, Resource):
            return BODY if where is PEERS else None
        return Stored("peer-u", "1", self.record)

    async def create(self, resource: Resource, _namespace: str, body: JsonObject) -> None:
        assert resource is EVENTS
        self.events.append(body["message"])

    async def apply(self, *_: object, **__: object) -> None: ...

    async def delete(self, *_: object) -> None: ...

    async def patch(self, *_: object, **__: object) -> None:
        self.is_let_go = True

    def now(self) -> datetime:
        return DELETED + timedelta(minutes=self.minutes)

    @property
    def kube(self) -> "_World":
        return self

    @property
    def backends(self) -> Backends:
        return Backends(cast("Kube", self), AbsentBackend())

    @property
    def records(self) -> "_World":
        return self

    @property
    def settings(self) -> "_World":
        return self

    async def depart(self) -> float | None:
        return await departure.reconcile(cast("Context", self), FederationPeer.model_validate(BODY))


async def _departed(record: PeerRecord, minutes: float, answer: Callable[[str], httpx.Response]) -> _World:
    """A peer as it is after one call to its admin has ended."""
    reminded: asyncio.Queue[Key] = asyncio.Queue()
    calls = Calls(reminded.put_nowait)
    transport = httpx.MockTransport(lambda request: answer(request.url.path.rsplit("/", 1)[1]))
    async with httpx.AsyncClient(transport=transport) as http:
        world = _World(record, calls, http, minutes)
        if await world.depart() is not None:
            assert not world.is_let_go
            await reminded.get()
            await world.depart()
        await calls.close()
    return world


def _saying(status: int) -> httpx.Response:
    """As it comes over a wire, where nothing has been read yet."""

    async def chunks() -> AsyncIterator[bytes]:
        yield envelope(status).to_json()

    return httpx.Response(status, content=chunks())


def _away(_: str) -> httpx.Response:
    raise httpx.ConnectError("refused")


@pytest.mark.parametrize("minutes", [0, LEAVE_FOR.total_seconds() / 60 + 1])
async def test_the_admin_is_told_once_at_least_however_late_it_is(minutes: float) -> None:
    asked: list[str] = []

    def agree(call: str) -> httpx.Response:
        asked.append(call)
        return _saying(200)

    world = await _departed(JOINED, minutes, agree)
    assert (asked, world.is_let_go, world.events) == (["leave"], True, [])


async def test_an_admin_that_stays_away_is_given_up_in_words() -> None:
    assert not (await _departed(JOINED, 9, _away)).is_let_go
    world = await _departed(JOINED, 11, _away)
    assert world.is_let_go
    assert len(world.events) == 1
    said = "peer n/p left without telling its admin, who may list it as a member"
    assert str(world.events[0]).startswith(f"{said}: POST {BASE}/leave: ConnectError")


async def test_who_never_asked_to_join_tells_nobody() -> None:
    world = await _departed(IDENTITY, 0, _away)
    assert (world.is_let_go, world.events) == (True, [])


async def test_a_refused_join_is_none_to_leave() -> None:
    world = await _departed(ASKED, 0, lambda _: _saying(403))
    assert (world.is_let_go, world.events) == (True, [])


async def test_nobody_waits_for_an_admin_that_was_asked_and_is_not_there() -> None:
    world = await _departed(ASKED, 0, _away)
    assert world.is_let_go
    assert "createPolicies: ConnectError" in str(world.events)


async def test_an_admin_that_has_not_decided_is_waited_for() -> None:
    world = await _departed(ASKED, 0, lambda _: _saying(503))
    assert not world.is_let_go
