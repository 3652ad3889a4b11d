"""What the operator tells a node, in one file of its Secret."""

from typing import Literal, Self

from pydantic import Field, model_validator

from symfed_wire.documents import PeerUuid, Signed, WireModel
from symfed_wire.join import AwsGrant, NatsGrant


class PeerSecrets(WireModel):
    """A peer's own private keys: raw 32-byte seeds in base64, NATS seeds as nkey text."""

    identity_seed: str
    sealing_seed: str
    nats_writer_seed: str
    nats_reader_seed: str


class NatsLogin(WireModel):
    """How one logs in to a NATS that somebody else runs: one way at most; `ca` is PEM text for `tls://`."""

    user: str | None = None
    password: str | None = Field(default=None, repr=False)
    token: str | None = Field(default=None, repr=False)
    nkey_seed: str | None = Field(default=None, repr=False)
    ca: str | None = None


class AwsPlace(WireModel):
    """A peer's own side on AWS. Its credentials are files, or its ServiceAccount's role: never in here."""

    account_id: str
    region: str
    bucket: str
    queue_url: str
    endpoint_url: str | None = None


class Membership(WireModel):
    """The federation a node belongs to, and how it reaches the others.

    With `nats` alone its users are those of the grant; `nats_login` is there on a NATS that somebody else
    runs. On AWS `aws` is what the admin granted and `aws_place` the peer's own side.
    """

    federation: str
    admin: bool
    document_key: str
    document: Signed
    nats: NatsGrant | None = None
    nats_login: NatsLogin | None = None
    aws: AwsGrant | None = None
    aws_place: AwsPlace | None = None

    @model_validator(mode="after")
    def _one_backend(self) -> Self:
        if (self.nats is None) == (self.aws is None) or (self.aws is None) != (self.aws_place is None):
            raise ValueError("either nats, or aws and aws_place are needed")
        return self


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
