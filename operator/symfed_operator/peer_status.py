"""What the operator says about a FederationPeer, written where it differs."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from symfed_operator.cluster import apply_status
from symfed_operator.conditions import failed, is_same_status, next_conditions, own_conditions, summary
from symfed_operator.context import Context
from symfed_operator.queue import peer_key
from symfed_wire.errors import SymfedError
from symfed_wire.kube import PEERS
from symfed_wire.kube_errors import ConflictError, NotFoundError
from symfed_wire.resources import Condition, FederationPeer, PeerStatus

_log = logging.getLogger(__name__)


@asynccontextmanager
async def telling(
    context: Context, peer: FederationPeer, name: str, before: Sequence[Condition] = ()
) -> AsyncIterator[None]:
    """An error within becomes the peer's condition of that name, and goes on to the worker's back-off."""
    try:
        yield
    except (ConflictError, NotFoundError):
        raise  # somebody was faster; the next reconcile sees what is there then
    except SymfedError as error:
        parts = [*before, failed(name, error)]
        await write_status(context, peer, peer.status, [summary(parts), *parts])
        raise


async def write_status(
    context: Context, peer: FederationPeer, status: PeerStatus, conditions: Sequence[Condition] | None
) -> None:
    """Write the operator's part of the status if it differs; without conditions those stay."""
    meta, old = peer.metadata, own_conditions(peer.status.conditions)
    stamped = old if conditions is None else next_conditions(old, conditions, meta.generation, context.now())
    new = PeerStatus(
        conditions=stamped,
        uuid=status.uuid,
        identity_key=status.identity_key,
        slot=status.slot,
        queue_url=status.queue_url,
    )
    if is_same_status(peer.status, new):
        return
    await apply_status(context.kube, PEERS, meta, new.to_json())
    for condition in stamped:
        if condition.type == "Ready":
            _log.info(
                "%s: Ready=%s %s %s", peer_key(meta), condition.status, condition.reason, condition.message
            )
