"""Where things lie on NATS, as the grant tells it. Pure.

A grant names the place of the federation document; every member's is the same with its uuid instead.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from symfed_node.exchange.base import Wake
from symfed_wire.documents import Member, NatsAddress
from symfed_wire.errors import MalformedError
from symfed_wire.join import NatsGrant
from symfed_wire.names import FEDERATION


@dataclass(frozen=True)
class Place:
    """Where one's newest head is: the subject to ask, and that of the head inside of the stream."""

    get: str
    head: str

    def newest(self) -> bytes:
        """The request for the newest head."""
        return json.dumps({"last_by_subj": self.head}).encode()


@dataclass(frozen=True)
class Subjects:
    """The subjects of one peer's grant."""

    peer: str
    grant: NatsGrant

    @property
    def document(self) -> Place:
        """The federation document's."""
        return self._place(self._address(FEDERATION))

    def snapshot(self, member: Member) -> Place:
        """A member's, as the document tells it.

        Raises MalformedError for one that is not what the grant leads to: nobody is sent anywhere else.
        """
        if member.nats is None:
            raise MalformedError(f"the federation document has no NATS address of peer {member.uuid}")
        expected = self._address(member.uuid)
        if member.nats != expected:
            raise MalformedError(
                f"the federation document says that peer {member.uuid} is read at {member.nats.get} and "
                f"{member.nats.head}; in this federation that is {expected.get} and {expected.head}"
            )
        return self._place(expected)

    def wake_of(self, subject: str) -> Wake | None:
        """What a message on one of the subscriptions means; None for the peer's own."""
        if subject.startswith(f"{self.grant.ask}."):
            whose, wake = subject.removeprefix(f"{self.grant.ask}."), Wake.ASK
        else:
            whose = subject.split(".")[self.grant.heads.split(".").index("*")]
            wake = Wake.DOCUMENT if whose == FEDERATION else Wake.HEAD
        return None if whose == self.peer else wake

    def _address(self, who: str) -> NatsAddress:
        return NatsAddress(
            get=self.grant.get.removesuffix(FEDERATION) + who, head=self.grant.heads.replace("*", who)
        )

    def _place(self, address: NatsAddress) -> Place:
        """In an account of its own a stream's subjects are everybody's; in a shared one each has others."""
        is_shared = self.grant.writer_jwt is None
        return Place(address.get, address.head if is_shared else self.grant.head)
