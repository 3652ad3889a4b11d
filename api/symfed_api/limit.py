"""How often one address may be refused before it has to wait."""

import time
from collections.abc import Callable

from symfed_api.errors import TooManyFailuresError

BURST = 10
SECONDS_PER_FAILURE = 6.0
ADDRESSES_KEPT = 10_000


class FailureLimit:
    """A bucket of failures per address, which empties with time.

    Held in this process's memory: with several replicas an address has as many buckets. Clients behind one
    proxy share its bucket.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._empty_at: dict[str, float] = {}

    def check(self, address: str) -> None:
        """Raises TooManyFailuresError when the address has to wait."""
        wait = self._level(address) - (BURST - 1) * SECONDS_PER_FAILURE
        if wait > 0:
            raise TooManyFailuresError(
                "Too many refused requests from this address", retry_after=int(wait) + 1
            )

    def count(self, address: str) -> None:
        """Note one failure."""
        empty_at = self._clock() + self._level(address) + SECONDS_PER_FAILURE
        self._empty_at.pop(address, None)
        self._empty_at[address] = empty_at
        while len(self._empty_at) > ADDRESSES_KEPT:
            del self._empty_at[next(iter(self._empty_at))]

    def _level(self, address: str) -> float:
        """Seconds until the address's bucket is empty."""
        return max(0.0, self._empty_at.get(address, 0.0) - self._clock())
