"""Who is served in a namespace: slots, small unique numbers that route job ids, and projects. Pure."""

from collections.abc import Sequence
from itertools import takewhile

from symfed_operator.errors import SlotsExhaustedError
from symfed_wire.jobs import SLOT_LIMIT
from symfed_wire.resources import FederationPeer


def project_holder(oldest_first: Sequence[FederationPeer]) -> FederationPeer:
    """Which of the peers that name one project has it: who is served already, else the oldest.

    Creation times have whole seconds, so the age alone could take a project from a peer that runs.
    """
    return min(oldest_first, key=lambda peer: peer.status.slot is None)  # min keeps the order of equals


def choose_slot(peer: FederationPeer, oldest_first: Sequence[FederationPeer]) -> int:
    """The slot that the peer has, unless an older peer has it too; else the smallest free one from 1 on.

    Raises SlotsExhaustedError.
    """
    uid = peer.metadata.uid
    older = takewhile(lambda other: other.metadata.uid != uid, oldest_first)
    if peer.status.slot is not None and peer.status.slot not in {other.status.slot for other in older}:
        return peer.status.slot
    taken = {other.status.slot for other in oldest_first if other.metadata.uid != uid}
    free = next((slot for slot in range(1, SLOT_LIMIT) if slot not in taken), None)
    if free is None:
        raise SlotsExhaustedError(
            f"namespace {peer.metadata.namespace} has {len(taken)} peers, no more fit; use another namespace"
        )
    return free
