"""What the operator tells a node, in one file of its Secret."""

from typing import Literal

from symfed_wire.documents import PeerUuid, Signed, WireModel
from symfed_wire.join import NatsGrant


class PeerSecrets(WireModel):
    """A peer's own private keys: raw 32-byte seeds in base64, NATS seeds as nkey text."""

    identity_seed: str
    sealing_seed: str
    nats_writer_seed: str
    nats_reader_seed: str


class Membership(WireModel):
    """The federation a node belongs to, and how it reaches the others."""

    federation: str
    admin: bool
    document_key: str
    document: Signed
    nats: NatsGrant


class NodeConfig(WireModel):
    """One node: whose project it is, who it is, and where it belongs.

    `name`, `namespace` and `object_uid` are those of its FederationPeer. A plain local project has
    no membership.
    """

    customer: str
    project: str
    namespace: str
    name: str
    object_uid: str
    slot: int
    compute: Literal["cpu", "gpu"] = "cpu"
    uuid: PeerUuid
    secrets: PeerSecrets
    membership: Membership | None = None
