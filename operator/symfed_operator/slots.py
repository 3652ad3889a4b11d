"""Slots: small numbers, unique among the peers of a namespace, that route job ids."""

from collections.abc import Iterable

from symfed_operator.errors import SlotsExhaustedError
from symfed_wire.jobs import SLOT_LIMIT
from symfed_wire.resources import FederationPeer


def choose_slot(peer: FederationPeer, oldest_first: Iterable[FederationPeer]) -> int:
    """The peer's slot, if no older peer has it too; else the smallest free one from 1 on.

    Raises SlotsExhaustedError.
    """
    others = [other for other in oldest_first if other.metadata.uid != peer.metadata.uid]
    taken = {other.status.slot for other in others}
    if peer.status.slot is not None and peer.status.slot not in taken:
        return peer.status.slot
    free = next((slot for slot in range(1, SLOT_LIMIT) if slot not in taken), None)
    if free is None:
        raise SlotsExhaustedError(
            f"namespace {peer.metadata.namespace} has {len(taken)} peers, no more fit; use another namespace"
        )
    return free
