"""The workers: one key after the other, one reconcile for each kind; an error costs its own key alone."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from symfed_operator import customer, federation, peer
from symfed_operator.context import Context
from symfed_operator.queue import Key, WorkQueue
from symfed_wire.errors import SymfedError
from symfed_wire.kube_errors import ConflictError

Reconcile = Callable[[Context, Key], Awaitable[float | None]]

RECONCILES: Mapping[str, Reconcile] = {
    "federation": federation.reconcile,
    "peer": peer.reconcile,
    "customer": customer.reconcile,
}

_log = logging.getLogger(__name__)


async def work(context: Context, queue: WorkQueue) -> None:
    """Reconcile keys for ever."""
    while True:
        key = await queue.get()
        await _reconcile_one(context, queue, key)


async def _reconcile_one(context: Context, queue: WorkQueue, key: Key) -> None:
    start = time.monotonic()
    try:
        again_after = await RECONCILES[key.kind](context, key)
    except ConflictError as error:
        # Somebody wrote in between, as happens all the time: look again, nothing is wrong.
        delay = queue.failed(key)
        _log.debug("%s: %s; again in %.1f s", key, error, delay)
    except SymfedError as error:
        delay = queue.failed(key)
        _log.warning("%s: %s: %s; again in %.1f s", key, error.reason, error, delay)
    except Exception:  # noqa: BLE001 - one object that breaks the code must not stop the others
        delay = queue.failed(key)
        _log.exception("%s: unexpected error; again in %.1f s", key, delay)
    else:
        queue.succeeded(key, again_after)
        _log.debug("%s: settled in %.0f ms", key, (time.monotonic() - start) * 1000)
