"""Which member's statistics may be explored alone. Pure."""

from collections.abc import Mapping

from symfed_node.errors import ExploreForbiddenError, NoRowsError
from symfed_node.federated import PeerSnapshot
from symfed_node.statistics.state import Statistics
from symfed_wire.documents import FederationDocument


def explorable(
    peer: str, own: str, document: FederationDocument, held: Mapping[str, PeerSnapshot]
) -> Statistics:
    """What an active member has published, if it allows that; the `own` peer always does.

    Raises ExploreForbiddenError, and NoRowsError when nothing of the member has been read yet.
    """
    member = document.member(peer)
    if member is None or member.state != "active":
        raise ExploreForbiddenError(f"no active member of the federation has the uuid {peer!r}")
    snapshot = held.get(peer)
    if snapshot is None:
        raise NoRowsError(f"{member.name} ({peer}) has published nothing yet")
    if peer != own and not snapshot.head.explore:
        raise ExploreForbiddenError(f"{member.name} ({peer}) does not allow that others explore it alone")
    return snapshot.stats
