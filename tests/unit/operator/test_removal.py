"""The removal of members: each for itself."""

from dataclasses import dataclass, field
from typing import cast

import pytest

from symfed_operator.backends.base import (
    Backend,
    BackendError,
    GoneMember,
    MemberSeeds,
    UnreachableError,
    WantedFederation,
)
from symfed_operator.backends.nats.keys import new_federation_seeds, new_member_seeds
from symfed_operator.context import Context
from symfed_operator.errors import raise_first
from symfed_operator.members import LeavingMember
from symfed_operator.queue import Key
from symfed_operator.records import FederationRecord, MemberRecord, Stored, new_federation_record
from symfed_operator.removal import remove_members
from symfed_operator.retention import with_retained
from symfed_wire.documents import Signed
from symfed_wire.errors import SymfedError
from symfed_wire.kube_errors import ConflictError
from symfed_wire.resources import FederationPeer

DOCUMENT = Signed(payload="e30=", key="k", sig="s")
WANTED = WantedFederation("u1", "iris", new_federation_seeds(), 1 << 24)


@dataclass
class _Outside:
    """Backend, records and queue as far as a removal uses them; a member with a broken account fails."""

    broken: MemberSeeds | None = None
    removed: list[MemberSeeds] = field(default_factory=list)
    retained: list[MemberSeeds] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    queued: list[Key] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    is_full: bool = False

    async def remove_member(self, _wanted: WantedFederation, gone: GoneMember) -> None:
        if gone.seeds == self.broken:
            raise UnreachableError("no answer")
        self.removed.append(gone.seeds)
        self.done.append("cut and freed")

    async def retain_member(self, _wanted: WantedFederation, gone: GoneMember) -> None:
        self.retained.append(gone.seeds)

    async def publish_document(self, _wanted: WantedFederation, _document: Signed) -> None:
        if self.is_full:
            raise BackendError("stream is full")
        self.done.append("document")

    async def delete(self, name: str) -> None:
        self.done.append("record")
        self.deleted.append(name)

    def add(self, key: Key, _after: float = 0.0) -> None:
        self.queued.append(key)

    @property
    def records(self) -> "_Outside":
        return self

    @property
    def queue(self) -> "_Outside":
        return self

    async def remove(self, *leaving: LeavingMember, retains: bool = False) -> list[SymfedError]:
        context, backend = cast("Context", self), cast("Backend", self)
        return await remove_members(context, backend, WANTED, DOCUMENT, leaving, retains=retains)


def _leaving(name: str) -> LeavingMember:
    peer = FederationPeer.model_validate(
        {"metadata": {"name": name, "namespace": "n", "uid": name}, "spec": {"project": name}}
    )
    return LeavingMember(peer, Stored(f"member-{name}", "1", MemberRecord(seeds=new_member_seeds())))


async def test_one_that_cannot_be_removed_stops_no_other() -> None:
    first, second = _leaving("first"), _leaving("second")
    outside = _Outside(broken=first.stored.record.seeds)
    faults = await outside.remove(first, second)
    assert [fault.reason for fault in faults] == ["Unreachable"]
    assert outside.deleted == ["member-second"]
    assert outside.queued == [Key("peer", "n", "second")]


async def test_what_a_retained_member_stored_stays() -> None:
    leaving = _leaving("first")
    outside = _Outside()
    assert await outside.remove(leaving, retains=True) == []
    assert (outside.removed, outside.retained) == ([], [leaving.stored.record.seeds])
    assert outside.deleted == ["member-first"]


def test_the_keys_of_what_stays_are_in_the_federations_record_once() -> None:
    record = new_federation_record(new_federation_seeds())
    first, second = _leaving("first"), _leaving("second")
    once = with_retained(record, [first])
    assert once.retained == (first.stored.record.seeds,)
    assert with_retained(once, [first]) is once
    both = with_retained(once, [first, second])
    assert both.retained == (first.stored.record.seeds, second.stored.record.seeds)
    assert FederationRecord.model_validate_json(both.model_dump_json(by_alias=True)) == both


async def test_the_others_hear_of_it_first_and_the_record_goes_last() -> None:
    outside = _Outside()
    assert await outside.remove(_leaving("first")) == []
    assert outside.done == ["document", "cut and freed", "record"]


async def test_a_document_that_cannot_be_published_stops_no_removal() -> None:
    outside = _Outside(is_full=True)
    assert await outside.remove(_leaving("first")) == []
    assert outside.done == ["cut and freed", "record"]


def test_a_conflict_is_raised_only_where_nothing_else_is_wrong() -> None:
    raise_first([])
    with pytest.raises(UnreachableError):
        raise_first([ConflictError("changed"), UnreachableError("no answer")])
    with pytest.raises(ConflictError):
        raise_first([ConflictError("changed")])
