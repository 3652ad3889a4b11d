"""The federation key, which seals snapshots: its generations, and who gets them. Pure but for the randomness.

A new generation is made whenever somebody who could open the newest one is no active member any more.
"""

import base64
from collections.abc import Mapping, Sequence

from symfed_operator.records import FederationRecord, new_federation_key
from symfed_wire.documents import FederationDocument, KeyGeneration, Member
from symfed_wire.sealing import seal_to


def next_keys(
    record: FederationRecord, previous: FederationDocument | None, active: Sequence[Member]
) -> Mapping[int, str]:
    """The record's keys by generation, and a new one when it is due; the one before it is kept.

    Snapshots under that one stay readable until their members have put them again. A record from before the
    join key was one of its own has sealed snapshots with it, and every invitation carries it.
    """
    keys = record.federation_keys or {1: record.join_key}
    newest = max(keys)
    lost = _holders(previous.active_members()) - _holders(active) if previous else set()
    if not lost and keys[newest] != record.join_key:
        return keys
    return {newest: keys[newest], newest + 1: new_federation_key()}


def sealed_generations(
    keys: Mapping[int, str], previous: FederationDocument | None, federation: str, active: Sequence[Member]
) -> tuple[KeyGeneration, ...]:
    """Each key sealed to each active member; a sealed text is random, so it is made once and kept."""
    known = _holders(previous.active_members()) if previous else set()
    kept = {key.generation: key.sealed_for for key in previous.keys} if previous else {}

    def sealed(generation: int, member: Member) -> str:
        old = kept.get(generation, {}).get(member.uuid)
        if old is not None and (member.uuid, member.sealing_key) in known:
            return old
        return seal_to(
            base64.b64decode(keys[generation]),
            base64.b64decode(member.sealing_key),
            f"symfed/federation-key/v1|{federation}|{generation}|{member.uuid}",
        )

    return tuple(
        KeyGeneration(
            generation=generation, sealed_for={member.uuid: sealed(generation, member) for member in active}
        )
        for generation in sorted(keys)
    )


def _holders(members: Sequence[Member]) -> set[tuple[str, str]]:
    return {(member.uuid, member.sealing_key) for member in members}
