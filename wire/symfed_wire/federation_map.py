"""The opened maps of create, createJoin, getEncrypted and awsinfo as typed values (wire.md, section 6).

Values may arrive as JSON text or as native numbers and booleans. Every missing and malformed key is
reported together in one error; the value of a secret is in no message and in no `repr`.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue

from symfed_wire.backend_keys import (
    AwsInMap,
    NatsInMap,
    aws_credentials,
    aws_in,
    aws_region,
    backend_of,
    check_topic,
    nats_in,
    text_or_secret,
)
from symfed_wire.map_keys import MapKeys
from symfed_wire.names import NATS_LOGIN_KEYS
from symfed_wire.resources import ContractAction

TOKEN = re.compile(r"FEDTOKEN[0-9A-Fa-f]{16}")
PASS_UNCHANGED = "missing; pass the opened invitation on unchanged"  # noqa: S105 - a message

PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
SCHEDULE = re.compile(r"([mhd])([1-9][0-9]{0,3})")
SCHEDULE_FORM = "m<n>, h<n> or d<n>"
_POLICIES_URL = re.compile(r"https?://[^\s@?#]+/createPolicies")
_REST_HOST = re.compile(r"https?://[^\s/@?#]+(/[^\s@?#]*)?")
_COMPUTE = re.compile("cpu|gpu")
_ACTION = re.compile(r"(?:.*_)?(block|allow)")
_LETTERS = "letters, digits, _ and -, at most 63, a letter or digit first"
PROJECT_LETTERS = "letters, digits, _, - and ., at most 63, a letter or digit first"

# What an invitation may hold, and so what a peer's operator needs of a join map.
_INVITATION_KEYS = (
    *("sync_sched", "fed_name", "fed_secret_key", "fed_rest_url", "fed_req_token", "fed_document_key"),
    *("aws_topic_arn", "aws_topic_region", "nats_hosts"),
    *NATS_LOGIN_KEYS.values(),
    *("nats_req_timeout", "nats_stream_max_memory", "fed_use_smpc", "fed_encrypt"),
)
# Also known: keys of the other backend, and an invitation's in a create map; old clients send them.
_KNOWN = frozenset(_INVITATION_KEYS) | {
    *("aws_id", "aws_access_key", "aws_secret_key", "aws_session_token"),
    *("aws_region", "aws_endpoint_url", "s3_bucket", "topic_region"),
}


@dataclass(frozen=True)
class LocalPeer:
    """What both maps say of the new peer itself."""

    project: str
    persist: bool
    compute: Literal["cpu", "gpu"]
    send_action: ContractAction
    receive_action: ContractAction


@dataclass(frozen=True)
class CreateMap:
    """A new federation with its admin's peer; exactly one of `nats` and `aws`."""

    peer: LocalPeer
    name: str
    schedule: str
    encrypt: bool
    secure_sum: bool
    hipaa: bool
    nats: NatsInMap | None
    aws: AwsInMap | None
    unknown_keys: tuple[str, ...]


@dataclass(frozen=True)
class JoinMap:
    """A peer that joins; `invitation` holds the invitation's keys as text, `aws` the peer's own side."""

    peer: LocalPeer
    name: str
    schedule: str
    invitation: Mapping[str, str] = field(repr=False)
    aws: AwsInMap | None
    unknown_keys: tuple[str, ...]


@dataclass(frozen=True)
class InviteMap:
    """What `getEncrypted` is asked for; `rest_host` has a scheme and no slash at its end."""

    password: str = field(repr=False)
    rest_host: str | None
    token_hours: float
    format: Literal["v1", "v2"]


@dataclass(frozen=True)
class AwsInfoMap:
    """Whose topics and queues `awsinfo` lists, and in which region; None are all of them."""

    credentials: Mapping[str, str] = field(repr=False)
    region: str | None


def parse_create_map(
    values: Mapping[str, JsonValue], pid: str | None, persist: str | None = None
) -> CreateMap:
    """The map of `fedml/create` with the query's `pid` and `persist`. Raises FederationMapError."""
    keys = MapKeys(values)
    backend = backend_of(keys)
    parsed = CreateMap(
        peer=_local_peer(keys, keys.checked("pid", pid, PROJECT, PROJECT_LETTERS), persist),
        name=keys.matching("fed_name", _NAME, _LETTERS),
        schedule=_schedule(keys),
        encrypt=keys.flag("fed_encrypt"),
        secure_sum=keys.flag("fed_use_smpc"),
        hipaa=keys.flag("fed_enforce_hipaa_compliance"),
        nats=nats_in(keys) if backend == "nats" else None,
        aws=aws_in(keys, needs_account=False) if backend == "aws" else None,
        unknown_keys=keys.unknown(_KNOWN),
    )
    keys.raise_faults()
    return parsed


def parse_join_map(values: Mapping[str, JsonValue], pid: str | None, persist: str | None = None) -> JoinMap:
    """The map of `createJoin`: the invitation's keys, old names allowed, and the peer's own.

    Without a `pid` the project is called after the federation. Raises FederationMapError.
    """
    keys = MapKeys(values)
    backend = backend_of(keys)
    if backend == "nats":
        nats_in(keys)
    name = keys.required("fed_name", PASS_UNCHANGED)
    project = pid or re.sub(r"[^A-Za-z0-9_.-]", "-", name).lstrip("_.-")[:63]
    schedule = _schedule(keys)
    if not _is_key(keys.required("fed_secret_key", PASS_UNCHANGED), 16):
        keys.fault("fed_secret_key", "not 16 bytes in base64")
    if not _is_key(keys.text("fed_document_key"), 32):
        keys.fault("fed_document_key", "not 32 bytes in base64")
    keys.matching("fed_rest_url", _POLICIES_URL, "http(s)://.../createPolicies", PASS_UNCHANGED)
    if not TOKEN.fullmatch(keys.required("fed_req_token", PASS_UNCHANGED) or "FEDTOKEN" + "0" * 16):
        keys.fault("fed_req_token", "not FEDTOKEN and 16 hex digits")
    for flag in ("fed_encrypt", "fed_use_smpc"):
        keys.flag(flag)
    if backend == "aws":
        check_topic(keys, PASS_UNCHANGED)
    parsed = JoinMap(
        peer=_local_peer(
            keys, keys.checked("pid", project, PROJECT, PROJECT_LETTERS) if name else "", persist
        ),
        name=name,
        schedule=schedule,
        invitation={key: text for key in _INVITATION_KEYS if (text := text_or_secret(keys, key))},
        aws=aws_in(keys, needs_account=True) if backend == "aws" else None,
        unknown_keys=keys.unknown(_KNOWN),
    )
    keys.raise_faults()
    return parsed


def parse_invite_map(values: Mapping[str, JsonValue]) -> InviteMap:
    """The map of `getEncrypted`. Raises FederationMapError."""
    keys = MapKeys(values)
    form = keys.matching("fed_info_format", re.compile("v1|v2"), "v1 or v2", default="v1")
    password = keys.required_secret("passwd")
    if form == "v1" and len(password.encode()) > 16:
        keys.fault("passwd", f"{len(password.encode())} bytes, at most 16 are possible")
    host = keys.text("fed_rest_host")
    if host:
        host = (host if "://" in host else f"http://{host}").rstrip("/")
        keys.checked("fed_rest_host", host, _REST_HOST, "http(s)://host:port")
    hours = keys.number("fed_token_hours", 2, 0.01, 8760)
    keys.raise_faults()
    return InviteMap(password, host, hours, "v2" if form == "v2" else "v1")


def parse_aws_info_map(values: Mapping[str, JsonValue]) -> AwsInfoMap:
    """The map of `awsinfo`. Raises FederationMapError."""
    keys = MapKeys(values)
    region = aws_region(keys, "aws_region", keys.text("aws_region"))
    parsed = AwsInfoMap(aws_credentials(keys), region or None)
    keys.raise_faults()
    return parsed


def _local_peer(keys: MapKeys, project: str, persist: str | None) -> LocalPeer:
    """The new peer itself; its project id is checked already."""
    compute = keys.matching("fed_local_type", _COMPUTE, "cpu or gpu", default="cpu")
    return LocalPeer(
        project=project,
        persist=keys.boolean("persist", persist, default=True),
        compute="gpu" if compute == "gpu" else "cpu",
        send_action=_action(keys, "fed_psr_contract_snd_fail_action"),
        receive_action=_action(keys, "fed_psr_contract_rcv_fail_action"),
    )


def _action(keys: MapKeys, key: str) -> ContractAction:
    text = keys.matching(key, _ACTION, "..._block or ..._allow", default="block")
    return "Allow" if text.endswith("allow") else "Block"


def _schedule(keys: MapKeys) -> str:
    return keys.matching("sync_sched", SCHEDULE, SCHEDULE_FORM)


def _is_key(text: str, size: int) -> bool:
    """Whether a text is a key of that many bytes in base64; one that is absent is reported elsewhere."""
    try:
        return not text or len(base64.b64decode(text, validate=True)) == size
    except binascii.Error:
        return False
