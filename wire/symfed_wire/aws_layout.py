"""What lies in a bucket and travels over the topic of a federation on AWS."""

from typing import Final, Literal, Self

from pydantic import ValidationError

from symfed_wire.documents import WireModel, canonical_json, describe_faults
from symfed_wire.errors import MalformedError

DOCUMENT_OBJECT: Final = "federation.json"
"""after the federation's prefix in the admin's bucket: the signed federation document"""
HEAD_OBJECT: Final = "latest.json"
"""after a peer's prefix in its own bucket: the signed head of its newest snapshot"""
PEER_ATTRIBUTE: Final = "peer"
"""the message attribute by which a subscription leaves out what the peer has sent itself"""


class Pointer(WireModel):
    """A message on the topic. It only wakes: what it tells of is read anew, and nothing in it is trusted."""

    v: Literal[1] = 1
    kind: Literal["head", "ask", "document"]
    federation: str
    peer: str
    """the sender's uuid, or `names.FEDERATION`; also the attribute `PEER_ATTRIBUTE`"""

    def to_text(self) -> str:
        """The message's body."""
        return canonical_json(self.model_dump(mode="json")).decode()

    @classmethod
    def parse(cls, text: str) -> Self:
        """The pointer in a message's body. Raises MalformedError."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise MalformedError(f"a message on the topic: {describe_faults(error)}") from None


def snapshot_object(epoch: int, sha256: str) -> str:
    """The name of a snapshot after its peer's prefix; `sha256` is the digest of its body."""
    return f"{epoch}-{sha256[:16]}"
