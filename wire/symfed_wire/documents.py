"""Signed documents between peers: the federation document and snapshot heads (federation.md)."""

import base64
import binascii
import hashlib
import json
import uuid
from collections.abc import Iterable
from typing import Annotated, Literal, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from symfed_wire.errors import MalformedError, SymfedError

FEDERATION_CONTEXT = "symfed/federation/v1"
HEAD_CONTEXT = "symfed/head/v1"
LEAVE_CONTEXT = "symfed/leave/v1"


class SignatureError(SymfedError):
    """A signed document is not from the key that it must be from."""

    reason = "SignatureInvalid"


def _canonical_uuid(text: str) -> str:
    try:
        canonical: str | None = str(uuid.UUID(text))
    except ValueError:
        canonical = None
    if canonical != text:
        raise ValueError("not a uuid in canonical lower case")
    return text


def _public_key(text: str) -> str:
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raw = b""
    if len(raw) != 32:
        raise ValueError("not a raw public key of 32 bytes in base64")
    return text


def _sealing_key(text: str) -> str:
    try:
        _PROBE.exchange(X25519PublicKey.from_public_bytes(base64.b64decode(_public_key(text))))
    except ValueError:
        raise ValueError("not an X25519 public key that can be sealed to, 32 bytes in base64") from None
    return text


# Any private key will do: a point of low order gives all of them the one secret, zero, which is refused.
_PROBE = X25519PrivateKey.from_private_bytes(bytes(range(32)))

# uuids become NATS subject tokens and S3 key parts, so they are checked wherever they come in.
PeerUuid = Annotated[str, AfterValidator(_canonical_uuid)]
PublicKey = Annotated[str, AfterValidator(_public_key)]
SealingKey = Annotated[str, AfterValidator(_sealing_key)]
# What another party says about AWS becomes ARNs in policies, and hosts.
AwsAccountId = Annotated[str, Field(pattern=r"^[0-9]{12}$")]
AwsRegion = Annotated[str, Field(pattern=r"^[a-z]{2,}(-[a-z]+)+-[0-9]+$", max_length=32)]
BucketName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
# Exact in every JSON reader; Python cannot even write the sum of two numbers of 4,300 digits.
Whole = Annotated[int, Field(ge=0, lt=1 << 53)]


class WireModel(BaseModel):
    """A frozen model whose fields are spelled as on the wire."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)


class Signed(WireModel):
    """Canonical JSON with its signature; `key` is the short id of the signer's public key."""

    payload: str
    key: str
    sig: str


class NatsAddress(WireModel):
    """Where readers get a member's snapshot: a Direct Get subject and its head's subject."""

    get: str
    head: str


class AwsAddress(WireModel):
    """Where readers get a member's snapshot on AWS."""

    account_id: AwsAccountId
    region: AwsRegion
    bucket: BucketName
    prefix: str


class Member(WireModel):
    """One peer of a federation, removed ones included."""

    uuid: PeerUuid
    name: str
    admin: bool = False
    state: Literal["active", "removed"] = "active"
    identity_key: PublicKey
    sealing_key: SealingKey
    nats: NatsAddress | None = None
    aws: AwsAddress | None = None


class FederationSettings(WireModel):
    """The terms of a federation, the same for all members."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    schedule: str
    encrypt: bool = False
    secure_sum: bool = False
    privacy: str = "None"
    contract: tuple[str, ...] = ()
    request_timeout_seconds: int = 30
    stream_max_bytes: int = 1 << 30


class KeyGeneration(WireModel):
    """One generation of the federation key, sealed to each member."""

    generation: int
    sealed_for: dict[str, str] = Field(alias="for")


class FederationDocument(WireModel):
    """Who belongs to a federation and under which terms; signed by the federation key pair."""

    v: Literal[1] = 1
    federation: str
    name: str
    version: int
    issued: str
    settings: FederationSettings
    keys: tuple[KeyGeneration, ...] = ()
    members: tuple[Member, ...] = ()

    def active_members(self) -> list[Member]:
        """Active members in the order of their uuids' bytes, which is the order of every sum."""
        return sorted((m for m in self.members if m.state == "active"), key=lambda m: m.uuid.encode())

    def member(self, peer: str) -> Member | None:
        """The member with this uuid, removed or not."""
        return next((m for m in self.members if m.uuid == peer), None)


class SnapshotHead(WireModel):
    """What a peer signs about its newest snapshot.

    `first` is the NATS sequence of the first chunk, `object` the S3 key; one of them is set.
    `size` and `chunk` are in bytes, `schema` is the digest of the feature list.
    """

    v: Literal[1] = 1
    federation: str
    peer: PeerUuid
    epoch: Whole
    rows: Whole
    schema_digest: str = Field(alias="schema")
    size: Whole
    chunk: Whole
    first: Whole | None = None
    object: str | None = None
    sha256: str
    created: str
    key_generation: Whole = 0
    explore: bool = False


class Leave(WireModel):
    """A member's wish to leave, signed by its identity key."""

    federation: str
    uuid: PeerUuid
    at: str


Document = TypeVar("Document", bound=WireModel)


def canonical_json(value: JsonValue) -> bytes:
    """UTF-8, keys sorted, no blanks; raises MalformedError for a float."""
    if _has_float(value):
        raise MalformedError("canonical JSON has no floats")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sign_document(document: BaseModel, context: str, key: Ed25519PrivateKey) -> Signed:
    """Sign a model's canonical JSON under a context, which keeps kinds of documents apart."""
    payload = canonical_json(document.model_dump(mode="json", by_alias=True, exclude_none=True))
    return Signed(
        payload=base64.b64encode(payload).decode(),
        key=key_id(key.public_key().public_bytes_raw()),
        sig=base64.b64encode(key.sign(_signing_input(context, payload))).decode(),
    )


def verify_document(signed: Signed, context: str, public_key: str, model: type[Document]) -> Document:
    """Check a signature, then parse the payload.

    Raises:
        SignatureError: not signed by this key under this context.
        MalformedError: signed, but not a document of this form.
    """
    try:
        payload = base64.b64decode(signed.payload, validate=True)
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(signed.sig, validate=True), _signing_input(context, payload))
    except (InvalidSignature, ValueError):
        raise SignatureError(f"the {context} document is not signed by the expected key") from None
    try:
        return model.model_validate_json(payload)
    except ValidationError as error:
        raise MalformedError(f"the signed {context} document: {describe_faults(error)}") from None


def parse_signed(data: bytes | str) -> Signed:
    """Parse the outer form of a signed document. Raises MalformedError."""
    try:
        return Signed.model_validate_json(data)
    except ValidationError as error:
        raise MalformedError(f"not a signed document: {describe_faults(error)}") from None


def describe_faults(error: ValidationError) -> str:
    """The faults of a model in words, each field by name, without the values."""
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
        for fault in error.errors(include_url=False, include_input=False, include_context=False)
    )


def key_id(public_key: bytes) -> str:
    """Short id of a public key: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(public_key).hexdigest()[:16]


def schema_digest(features: Iterable[tuple[str, str]]) -> str:
    """SHA-256 of the canonical JSON of `[[name, type], …]`."""
    return hashlib.sha256(canonical_json([[name, kind] for name, kind in features])).hexdigest()


def _signing_input(context: str, payload: bytes) -> bytes:
    return context.encode() + b"\n" + payload


def _has_float(value: JsonValue) -> bool:
    if isinstance(value, dict):
        return any(_has_float(item) for item in value.values())
    if isinstance(value, list):
        return any(_has_float(item) for item in value)
    return isinstance(value, float)
