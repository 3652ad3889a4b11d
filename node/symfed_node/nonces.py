"""Requests that were seen before: an intercepted one cannot be sent again while its date is good."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from symfed_node.errors import NodeError
from symfed_wire.errors import MalformedError

KEPT_SECONDS: Final = 6 * 60  # a request's date may be 5 minutes behind and 1 ahead (wire.md, section 1)
_LENGTHS: Final = range(16, 65)


class RepeatedNonceError(NodeError):
    """A request with this nonce was here before.

    Not 401: for the gateway that is a bearer token which has changed.
    """

    reason = "RepeatedNonce"
    status = HTTPStatus.BAD_REQUEST

    def __init__(self) -> None:
        super().__init__("Repeated nonce")


class Nonces:
    """Those of the last minutes, in memory alone.

    After a restart a request may thus come a second time; a learn is then still known by its sym-request-id.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, float] = {}

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._seen)

    def take(self, nonce: str) -> None:
        """Remember a nonce. Raises RepeatedNonceError, and MalformedError for a wrong length."""
        if len(nonce) not in _LENGTHS:
            raise MalformedError(f"sym-nonce must have {_LENGTHS[0]} to {_LENGTHS[-1]} characters")
        now = self._clock()
        while self._seen and now - next(iter(self._seen.values())) > KEPT_SECONDS:  # the oldest come first
            del self._seen[next(iter(self._seen))]
        if nonce in self._seen:
            raise RepeatedNonceError
        self._seen[nonce] = now
