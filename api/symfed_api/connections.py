"""How many WebSockets may be open at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

from symfed_api.errors import NotReadyError


class Connections:
    """How many connections are open at a time."""

    def __init__(self, most: int) -> None:
        self._free = most

    @contextmanager
    def one(self) -> Iterator[None]:
        """Room for one. Raises NotReadyError when there is none."""
        if self._free <= 0:
            raise NotReadyError("The gateway has too many WebSockets at the moment")
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1
