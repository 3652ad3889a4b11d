"""The keys of a peer: signing heads, and opening the federation key that is sealed to it."""

import base64

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from symfed_node.errors import NodeError
from symfed_wire.documents import HEAD_CONTEXT, FederationDocument, Signed, SnapshotHead, sign_document
from symfed_wire.node_config import PeerSecrets
from symfed_wire.sealing import ChunkSealer, unseal_to


class FederationKeyError(NodeError):
    """The document has no key of that generation for this peer."""

    reason = "FederationKeyMissing"


class PeerKeys:
    """What only this peer can do."""

    def __init__(self, peer: str, secrets: PeerSecrets) -> None:
        self._peer = peer
        self._identity = Ed25519PrivateKey.from_private_bytes(base64.b64decode(secrets.identity_seed))
        self._sealing = X25519PrivateKey.from_private_bytes(base64.b64decode(secrets.sealing_seed))

    def sign_head(self, head: SnapshotHead) -> Signed:
        """Sign an own head."""
        return sign_document(head, HEAD_CONTEXT, self._identity)

    def sealer(
        self, document: FederationDocument, generation: int, peer: str, epoch: int
    ) -> ChunkSealer | None:
        """For the chunks of `peer`'s snapshot; None for generation 0, which is not sealed.

        Raises FederationKeyError, and UnsealError when the key was sealed to another.
        """
        if generation == 0:
            return None
        sealed = {key.generation: key.sealed_for.get(self._peer) for key in document.keys}.get(generation)
        if sealed is None:
            raise FederationKeyError(f"the federation document has no key {generation} for this peer")
        info = f"symfed/federation-key/v1|{document.federation}|{generation}|{self._peer}"
        key = unseal_to(sealed, self._sealing, info)
        return ChunkSealer(key, document.federation, peer, epoch)


def newest_generation(document: FederationDocument) -> int:
    """The generation to seal new snapshots with; 0 when the federation does not encrypt."""
    if not document.settings.encrypt:
        return 0
    generation = max((key.generation for key in document.keys), default=0)
    if generation == 0:
        raise FederationKeyError("the federation encrypts, but its document has no key yet")
    return generation
