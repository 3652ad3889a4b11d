"""The opened maps of `fedml/create`, `createJoin` and `getEncrypted` as typed values (wire.md, section 6).

Values may arrive as JSON text or as native numbers and booleans. Every missing and malformed key is
reported together in one error; the value of a secret is in no message and in no `repr`.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from pydantic import JsonValue

from symfed_wire.map_keys import MapKeys
from symfed_wire.resources import ContractAction

TOKEN = re.compile(r"FEDTOKEN[0-9A-Fa-f]{16}")
PASS_UNCHANGED = "missing; pass the opened invitation on unchanged"  # noqa: S105 - a message

PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
SCHEDULE = re.compile(r"([mhd])([1-9][0-9]{0,3})")
SCHEDULE_FORM = "m<n>, h<n> or d<n>"
_HOST = re.compile(r"(nats|tls)://[^\s/@,]+/?")
_POLICIES_URL = re.compile(r"https?://[^\s@?#]+/createPolicies")
_REST_HOST = re.compile(r"https?://[^\s/@?#]+(/[^\s@?#]*)?")
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]+")
_ACCOUNT = re.compile(r"[0-9]{12}")
_COMPUTE = re.compile("cpu|gpu")
_ACTION = re.compile(r"(?:.*_)?(block|allow)")
_LETTERS = "letters, digits, _ and -, at most 63, a letter or digit first"
PROJECT_LETTERS = "letters, digits, _, - and ., at most 63, a letter or digit first"
_GIB = 1 << 30

# What an invitation may hold, and so what a peer's operator needs of a join map.
_INVITATION_KEYS = (
    *("sync_sched", "fed_name", "fed_secret_key", "fed_rest_url", "fed_req_token", "fed_document_key"),
    *(
        "aws_topic_arn",
        "aws_topic_region",
        "nats_hosts",
        "nats_sec_user",
        "nats_sec_passwd",
        "nats_sec_token",
    ),
    *("nats_sec_nkey_seed", "nats_req_timeout", "nats_stream_max_memory", "fed_use_smpc", "fed_encrypt"),
)
# Any text may be meant by these. Keys in base64 and nkeys have no blanks, and clients may add some.
_SECRET_KEYS = ("nats_sec_passwd", "nats_sec_token")
# Also known: keys of the other backend, and an invitation's in a create map; old clients send them.
_KNOWN = frozenset(_INVITATION_KEYS) | {
    *("aws_id", "aws_access_key", "aws_secret_key", "aws_session_token"),
    *("aws_region", "s3_bucket", "topic_region"),
}


@dataclass(frozen=True)
class NatsSide:
    """How a NATS system is reached; `credentials` has the keys of the Secret that a Federation names."""

    hosts: tuple[str, ...]
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    request_timeout_seconds: int = 30
    stream_max_bytes: int = _GIB


@dataclass(frozen=True)
class AwsSide:
    """The caller's own side on AWS; `credentials` has the keys of the Secret that `spec.aws` names."""

    region: str
    bucket: str
    credentials: Mapping[str, str] = field(repr=False)
    account_id: str | None = None


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
    nats: NatsSide | None
    aws: AwsSide | None
    unknown_keys: tuple[str, ...]


@dataclass(frozen=True)
class JoinMap:
    """A peer that joins; `invitation` holds the invitation's keys as text, `aws` the peer's own side."""

    peer: LocalPeer
    name: str
    schedule: str
    invitation: Mapping[str, str] = field(repr=False)
    aws: AwsSide | None
    unknown_keys: tuple[str, ...]


@dataclass(frozen=True)
class InviteMap:
    """What `getEncrypted` is asked for; `rest_host` has a scheme and no slash at its end."""

    password: str = field(repr=False)
    rest_host: str | None
    token_hours: float
    format: Literal["v1", "v2"]


def parse_create_map(
    values: Mapping[str, JsonValue], pid: str | None, persist: str | None = None
) -> CreateMap:
    """The map of `fedml/create` with the query's `pid` and `persist`. Raises FederationMapError."""
    keys = MapKeys(values)
    backend = _backend(keys)
    parsed = CreateMap(
        peer=_local_peer(keys, keys.checked("pid", pid, PROJECT, PROJECT_LETTERS), persist),
        name=keys.matching("fed_name", _NAME, _LETTERS),
        schedule=_schedule(keys),
        encrypt=keys.flag("fed_encrypt"),
        secure_sum=keys.flag("fed_use_smpc"),
        hipaa=keys.flag("fed_enforce_hipaa_compliance"),
        nats=_nats(keys) if backend == "nats" else None,
        aws=_aws(keys, needs_account=False) if backend == "aws" else None,
        unknown_keys=keys.unknown(_KNOWN),
    )
    keys.raise_faults()
    return parsed


def parse_join_map(values: Mapping[str, JsonValue], pid: str | None, persist: str | None = None) -> JoinMap:
    """The map of `createJoin`: the invitation's keys, old names allowed, and the peer's own.

    Without a `pid` the project is called after the federation. Raises FederationMapError.
    """
    keys = MapKeys(values)
    backend = _backend(keys)
    if backend == "nats":
        _nats(keys)
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
        keys.required("aws_topic_arn", PASS_UNCHANGED)
        if not keys.text("aws_topic_region"):
            keys.rename("topic_region", "aws_topic_region")
            keys.required("aws_topic_region", PASS_UNCHANGED)
    parsed = JoinMap(
        peer=_local_peer(
            keys, keys.checked("pid", project, PROJECT, PROJECT_LETTERS) if name else "", persist
        ),
        name=name,
        schedule=schedule,
        invitation={key: text for key in _INVITATION_KEYS if (text := _text_or_secret(keys, key))},
        aws=_aws(keys, needs_account=True) if backend == "aws" else None,
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


def _backend(keys: MapKeys) -> Literal["nats", "aws", "unclear"]:
    has_nats, has_aws = bool(keys.text("nats_hosts")), bool(keys.text("aws_access_key"))
    if has_nats == has_aws:
        problem = "only one of them is possible" if has_nats else "missing; one of them chooses the backend"
        keys.fault("nats_hosts, aws_access_key", problem)
        return "unclear"
    return "nats" if has_nats else "aws"


def _nats(keys: MapKeys) -> NatsSide:
    hosts = [host.strip() for host in keys.required("nats_hosts").split(",") if host.strip()]
    hosts = [host if "://" in host else f"nats://{host}" for host in hosts]
    if not hosts or not all(_HOST.fullmatch(host) and _has_host_and_port(host) for host in hosts):
        keys.fault("nats_hosts", "not nats://host:port or tls://host:port, without user and password")
    names = {"user": "nats_sec_user", "password": "nats_sec_passwd"}
    names |= {"token": "nats_sec_token", "nkeySeed": "nats_sec_nkey_seed"}
    credentials = {entry: text for entry, key in names.items() if (text := _text_or_secret(keys, key))}
    ways = (("nats_sec_user", "nats_sec_passwd"), ("nats_sec_token",), ("nats_sec_nkey_seed",))
    used = [way for way in ways if any(_text_or_secret(keys, key) for key in way)]
    if len(used) > 1:
        keys.fault(", ".join(key for way in used for key in way), "one way to authenticate at most")
    elif ("user" in credentials) != ("password" in credentials):
        keys.fault("nats_sec_user, nats_sec_passwd", "both or none")
    return NatsSide(
        hosts=tuple(hosts),
        credentials=credentials,
        request_timeout_seconds=int(keys.number("nats_req_timeout", 30, 1, 600, whole=True)),
        stream_max_bytes=int(keys.number("nats_stream_max_memory", _GIB, 1 << 24, 1 << 40, whole=True)),
    )


def _aws(keys: MapKeys, *, needs_account: bool) -> AwsSide:
    region = keys.required("aws_region").lower().replace("_", "-")
    if region:
        keys.checked("aws_region", region, _REGION, "a region such as US_EAST_1 or us-east-1")
    account = keys.required("aws_id") if needs_account else keys.text("aws_id")
    if account:
        keys.checked("aws_id", account, _ACCOUNT, "an account id of 12 digits")
    credentials = {
        "accessKeyId": keys.required("aws_access_key"),
        "secretAccessKey": keys.required_secret("aws_secret_key"),
        "sessionToken": keys.secret("aws_session_token"),
    }
    return AwsSide(
        region=region,
        bucket=keys.required("s3_bucket"),
        credentials={entry: text for entry, text in credentials.items() if text},
        account_id=account or None,
    )


def _text_or_secret(keys: MapKeys, key: str) -> str:
    return keys.secret(key) if key in _SECRET_KEYS else keys.text(key)


def _has_host_and_port(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_key(text: str, size: int) -> bool:
    """Whether a text is a key of that many bytes in base64; one that is absent is reported elsewhere."""
    try:
        return not text or len(base64.b64decode(text, validate=True)) == size
    except binascii.Error:
        return False
