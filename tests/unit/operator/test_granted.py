"""Whether an admin may grant a peer its place, and whether the peer still has it."""

import uuid
from dataclasses import dataclass
from typing import Any, cast

import pytest

from symfed_operator.backends.base import FederationSeeds
from symfed_operator.context import Context
from symfed_operator.errors import InvitationRefusedError
from symfed_operator.granted import check_uid, standing
from symfed_operator.records import (
    FederationRecord,
    PeerRecord,
    Stored,
    new_federation_record,
    new_peer_record,
)
from symfed_wire.documents import Signed
from symfed_wire.join import JoinAnswer
from symfed_wire.kube import JsonObject
from symfed_wire.resources import FederationPeer

OWN, ELSEWHERE = str(uuid.uuid4()), str(uuid.uuid4())


def peer(**exchanging: Any) -> FederationPeer:
    """A joined peer whose node says this of its exchange."""
    conditions = [{"type": "Exchanging", "status": "False", **exchanging}] if exchanging else []
    return FederationPeer.model_validate(
        {"metadata": {"name": "p"}, "spec": {}, "status": {"conditions": conditions}}
    )


def test_a_granted_peer_is_joined_whatever_else_keeps_it_from_exchanging() -> None:
    for state in (peer(), peer(reason="TooFewRows"), peer(reason="BackendUnreachable")):
        assert (standing(state).status, standing(state).reason) == ("True", "Granted")


def test_a_peer_that_reads_of_its_removal_is_no_longer_joined() -> None:
    removed = standing(peer(reason="Removed", message="the federation lists this peer as removed"))
    assert (removed.status, removed.reason) == ("False", "Removed")
    assert removed.message == "the federation lists this peer as removed"


@dataclass(frozen=True)
class _Known:
    """What an operator knows: its own federation, and a peer that has joined one elsewhere."""

    own: FederationRecord
    joined: PeerRecord

    @property
    def records(self) -> "_Known":
        return self

    @property
    def kube(self) -> "_Known":
        return self

    async def list_all(self, *_: object, **__: object) -> list[JsonObject]:
        return [{"metadata": {"name": "other", "uid": "u2"}, "spec": {"project": "other"}}]

    async def find(self, name: str, _: object) -> object:
        known = {f"fed-{OWN}": Stored(name, "1", self.own), "peer-u2": Stored(name, "1", self.joined)}
        return known.get(name)


def _answer(federation: str, record: FederationRecord) -> JoinAnswer:
    document = Signed(payload="", key="", sig="")
    return JoinAnswer(federation=federation, document_key=record.document_key, document=document)


async def test_an_admin_may_not_take_the_uid_of_another_federation() -> None:
    """It says whose objects in the peer's bucket its members may read."""
    own, elsewhere, hostile = (new_federation_record(FederationSeeds("a", "s", "r")) for _ in range(3))
    joined = new_peer_record(str(uuid.uuid4()), "w", "r").model_copy(
        update={"answer": _answer(ELSEWHERE, elsewhere)}
    )
    context = cast("Context", _Known(own, joined))
    for federation, right in ((OWN, own), (ELSEWHERE, elsewhere), (str(uuid.uuid4()), hostile)):
        await check_uid(context, peer(), _answer(federation, right))
    for federation in (OWN, ELSEWHERE):
        with pytest.raises(InvitationRefusedError, match=f"calls its federation {federation}"):
            await check_uid(context, peer(), _answer(federation, hostile))
