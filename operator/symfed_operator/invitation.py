"""The opened invitation by which a peer asks to join: read, and checked before anybody is called."""

import base64
import re

import httpx
from pydantic import Field, ValidationError, field_validator

from symfed_operator.cluster import SecretObject
from symfed_operator.errors import InvitationIncompleteError
from symfed_wire.documents import WireModel, describe_faults
from symfed_wire.errors import MalformedError
from symfed_wire.node_config import NatsLogin

_CREATE_POLICIES = "/createPolicies"
_PATH = re.compile(rb".*/fedml/[^/]+/createPolicies")


class OpenedInvitation(WireModel):
    """The keys of an invitation that an operator needs; `fed_secret_key` is base64.

    `fed_name` and `aws_topic_arn` say what the peer must have on AWS, the `nats_` ones how it logs in to a
    NATS that somebody else runs.
    """

    fed_rest_url: str
    fed_req_token: str
    fed_secret_key: str
    fed_document_key: str | None = None
    fed_name: str = ""
    aws_topic_arn: str | None = None
    nats_sec_user: str | None = None
    nats_sec_passwd: str | None = Field(default=None, repr=False)
    nats_sec_token: str | None = Field(default=None, repr=False)
    nats_sec_nkey_seed: str | None = Field(default=None, repr=False)
    nats_tls_ca: str | None = None

    @field_validator("fed_rest_url")
    @classmethod
    def _is_create_policies(cls, text: str) -> str:
        if not _leads_to_create_policies(_with_scheme(text)):
            raise ValueError("not http(s)://…/fedml/<pid>/createPolicies without user, query and fragment")
        return text

    @field_validator("fed_secret_key")
    @classmethod
    def _is_base64(cls, text: str) -> str:
        try:
            base64.b64decode(text)
        except ValueError:
            raise ValueError("not base64") from None
        return text

    @property
    def nats_login(self) -> NatsLogin:
        """How the federation's members log in to NATS, where that is not by users of their own."""
        return NatsLogin(
            user=self.nats_sec_user,
            password=self.nats_sec_passwd,
            token=self.nats_sec_token,
            nkey_seed=self.nats_sec_nkey_seed,
            ca=self.nats_tls_ca,
        )

    @property
    def join_url(self) -> str:
        """Where to ask; a scheme is added when missing, as the gateway does it."""
        return _with_scheme(self.fed_rest_url)

    @property
    def leave_url(self) -> str:
        """The sibling path of `createPolicies`."""
        return f"{self.join_url.removesuffix(_CREATE_POLICIES)}/leave"


def parse_invitation(secret: SecretObject) -> OpenedInvitation:
    """Read the Secret with the opened invitation's keys. Raises InvitationIncompleteError."""
    try:
        texts = {key: secret.text(key) for key in secret.data}
        invitation = OpenedInvitation.model_validate(texts)
    except MalformedError as error:
        raise InvitationIncompleteError(f"{error}; pass the opened invitation on unchanged") from None
    except ValidationError as error:
        raise InvitationIncompleteError(
            f"Secret {secret.metadata.name}: {describe_faults(error)}; "
            "pass the opened invitation on unchanged"
        ) from None
    return invitation


def _with_scheme(url: str) -> str:
    return url if "://" in url else f"http://{url}"


def _leads_to_create_policies(text: str) -> bool:
    """By the parts that httpx will use, so that no two parsers can differ."""
    if "?" in text or "#" in text:
        return False
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        return False
    is_plain = url.scheme in ("http", "https") and url.host != "" and url.userinfo == b""
    return is_plain and _PATH.fullmatch(url.raw_path) is not None
