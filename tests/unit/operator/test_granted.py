"""Whether a peer that was granted its place still has it."""

from typing import Any

from symfed_operator.granted import standing
from symfed_wire.resources import FederationPeer


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
