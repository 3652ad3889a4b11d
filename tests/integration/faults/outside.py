"""The backend of a federation, as clients ask for it and as its administrator sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tests.integration.faults.cluster import Cluster
from tests.integration.line import Line


class Outside(Protocol):
    """A kind of backend."""

    @property
    def founding(self) -> Mapping[str, str]:
        """What a create map says of it."""

    @property
    def joining(self) -> Mapping[str, str]:
        """What a joining peer adds to the keys of its invitation."""

    def made(self) -> frozenset[str]:
        """The names of everything that was made there, whoever made it."""

    def expected(self, members: int) -> int:
        """How many of these one federation with so many members has."""


@dataclass(frozen=True)
class ManagedNats:
    """The NATS that the operator administers: accounts for each member, the federation and its readers."""

    line: Line

    @property
    def founding(self) -> Mapping[str, str]:
        """See `Outside.founding`."""
        return {"nats_hosts": self.line.nats}

    @property
    def joining(self) -> Mapping[str, str]:
        """See `Outside.joining`."""
        return {}

    def made(self) -> frozenset[str]:
        """See `Outside.made`."""
        return Cluster(self.line).accounts()

    def expected(self, members: int) -> int:
        """See `Outside.expected`."""
        return 2 + members
