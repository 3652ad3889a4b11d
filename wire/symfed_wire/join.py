"""The join handshake between a peer's operator and the admin's gateway (federation.md)."""

import base64
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from symfed_wire.documents import (
    AwsAccountId,
    AwsRegion,
    BucketName,
    PeerUuid,
    PublicKey,
    SealingKey,
    Signed,
    WireModel,
    describe_faults,
)
from symfed_wire.errors import MalformedError
from symfed_wire.sealing import seal, unseal

_INFO = "symfed/join/v1"


class NatsUserKeys(WireModel):
    """Public nkeys (`U…`) of the peer's two NATS users; it keeps their seeds."""

    writer: str
    reader: str


class AwsMember(WireModel):
    """A joining peer's own side on AWS."""

    account_id: AwsAccountId
    region: AwsRegion
    bucket: BucketName
    queue_arn: Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:sqs:\S+$", max_length=2048)]


class JoinRequest(WireModel):
    """What a peer tells the admin about itself. Public keys only."""

    v: Literal[1] = 1
    peer_uuid: PeerUuid
    peer_name: str
    identity_key: PublicKey
    sealing_key: SealingKey
    nats_user_keys: NatsUserKeys | None = None
    aws: AwsMember | None = None

    @model_validator(mode="after")
    def _one_backend(self) -> Self:
        if (self.nats_user_keys is None) == (self.aws is None):
            raise ValueError("exactly one of nats_user_keys and aws is needed")
        return self


class NatsGrant(WireModel):
    """How a member talks NATS. Subjects are told, so that managed and external NATS are one code path.

    `data` and `head` are published as writer: chunks on `<data>.<epoch % 2>`, the head on `head`.
    `get` is the Direct Get subject of the federation document, `heads` the subscription that wakes
    readers, with `*` in the place of a uuid; `ask` is the prefix of the wake-up "send now": published as
    `<ask>.<own uuid>`, subscribed as `<ask>.*`. Without the two JWTs it is somebody else's NATS, to which
    all members log in with the credentials of their invitation.
    """

    hosts: tuple[str, ...]
    writer_jwt: str | None = None
    reader_jwt: str | None = None
    stream: str
    data: str
    head: str
    get: str
    heads: str
    ask: str


class AwsGrant(WireModel):
    """How a member talks AWS: the topic, and where the document is, `<prefix>federation.json`.

    `prefix` is `<federation uid>/`; a member's own keys begin with the prefix of its address in the document.
    """

    topic_arn: Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$")]
    region: AwsRegion
    bucket: BucketName
    prefix: str


class JoinAnswer(WireModel):
    """What the admin grants. `document_key` is as trusted as the invitation that sealed it.

    `federation` is a uuid, and nothing else: a peer lets others read what is below it in its own bucket.
    """

    v: Literal[1] = 1
    federation: PeerUuid
    document_key: PublicKey
    document: Signed
    nats: NatsGrant | None = None
    aws: AwsGrant | None = None

    @model_validator(mode="after")
    def _one_prefix(self) -> Self:
        if self.aws is not None and self.aws.prefix != f"{self.federation}/":
            raise ValueError(
                f"aws.prefix is {self.aws.prefix!r} and must be the federation's uid and a slash"
            )
        return self


class CreatePolicies(WireModel):
    """The body of `createPolicies`: the token, and the join request sealed under `fed_secret_key`."""

    fed_req_token: str
    peer: str


Message = TypeVar("Message", JoinRequest, JoinAnswer)


def seal_join(message: JoinRequest | JoinAnswer, join_key: str, token: str) -> str:
    """Seal a join message under the invitation's base64 `fed_secret_key`."""
    plain = message.model_dump_json(exclude_none=True).encode()
    return seal(plain, base64.b64decode(join_key), _INFO, _associated(type(message), token))


def open_join(text: str, join_key: str, token: str, model: type[Message]) -> Message:
    """Open and parse a join message.

    Raises:
        UnsealError: not sealed under this key and token.
        MalformedError: opened, but not of this form.
    """
    plain = unseal(text, base64.b64decode(join_key), _INFO, _associated(model, token))
    try:
        return model.model_validate_json(plain)
    except ValidationError as error:
        raise MalformedError(f"{model.__name__}: {describe_faults(error)}") from None


def _associated(model: type[JoinRequest] | type[JoinAnswer], token: str) -> str:
    direction = "request" if model is JoinRequest else "response"
    return f"{direction}\n{token}"
