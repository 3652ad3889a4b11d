"""The keys of a map that belong to one backend, NATS or AWS, as typed values (wire.md, section 6)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import urlsplit

from cryptography import x509

from symfed_wire.map_keys import MapKeys
from symfed_wire.names import NATS_LOGIN_KEYS, NATS_LOGIN_WAYS

# Any text may be meant by these. Keys in base64 and nkeys have no blanks, and clients may add some.
_AS_SENT: Final = ("nats_sec_passwd", "nats_sec_token")
_GIB: Final = 1 << 30

_HOST = re.compile(r"(nats|tls)://[^\s/@,]+/?")
_USER_SEED = re.compile(r"SU[A-Z2-7]{56}")
_REGION = re.compile(r"(?=.{1,32}$)[a-z]{2,}(-[a-z]+)+-[0-9]+")
_ACCOUNT = re.compile(r"[0-9]{12}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_TOPIC_ARN = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]+:[A-Za-z0-9_.-]+")
_ENDPOINT = re.compile(r"https?://[^\s@]{1,1000}")
_ACCESS_KEY = re.compile(r"[A-Za-z0-9_]{1,128}")
_PRINTABLE = re.compile(r"[ -~]+")


@dataclass(frozen=True)
class NatsInMap:
    """What a map says of NATS; `credentials` has the keys of the Secret that a Federation names."""

    hosts: tuple[str, ...]
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    request_timeout_seconds: int = 30
    stream_max_bytes: int = _GIB


@dataclass(frozen=True)
class AwsInMap:
    """What a map says of the caller's own side on AWS; `credentials` as in `NatsInMap`."""

    region: str
    bucket: str
    credentials: Mapping[str, str] = field(repr=False)
    account_id: str | None = None
    endpoint_url: str | None = None


def backend_of(keys: MapKeys) -> Literal["nats", "aws", "unclear"]:
    """Which backend a map is about."""
    has_nats, has_aws = bool(keys.text("nats_hosts")), bool(keys.text("aws_access_key"))
    if has_nats == has_aws:
        problem = "only one of them is possible" if has_nats else "missing; one of them chooses the backend"
        keys.fault("nats_hosts, aws_access_key", problem)
        return "unclear"
    return "nats" if has_nats else "aws"


def nats_in(keys: MapKeys) -> NatsInMap:
    """The keys of NATS."""
    hosts = [host.strip() for host in keys.required("nats_hosts").split(",") if host.strip()]
    hosts = [host if "://" in host else f"nats://{host}" for host in hosts]
    if not hosts or not all(_HOST.fullmatch(host) and _has_host_and_port(host) for host in hosts):
        keys.fault("nats_hosts", "not nats://host:port or tls://host:port, without user and password")
    texts = {entry: text_or_secret(keys, key) for entry, key in NATS_LOGIN_KEYS.items()}
    credentials = {entry: text for entry, text in texts.items() if text}
    used = [way for way in NATS_LOGIN_WAYS if credentials.keys() & set(way)]
    if len(used) > 1:
        named = (NATS_LOGIN_KEYS[entry] for way in used for entry in way)
        keys.fault(", ".join(named), "one way to authenticate at most")
    elif ("user" in credentials) != ("password" in credentials):
        keys.fault("nats_sec_user, nats_sec_passwd", "both or none")
    elif "nkeySeed" in credentials and not _USER_SEED.fullmatch(credentials["nkeySeed"]):
        keys.fault("nats_sec_nkey_seed", "not the seed of a NATS user: SU and 56 letters and digits")
    if "ca.crt" in credentials and not _has_certificates(credentials["ca.crt"]):
        keys.fault("nats_tls_ca", "not certificates in PEM")
    return NatsInMap(
        hosts=tuple(hosts),
        credentials=credentials,
        request_timeout_seconds=int(keys.number("nats_req_timeout", 30, 1, 600, whole=True)),
        stream_max_bytes=int(keys.number("nats_stream_max_memory", _GIB, 1 << 24, 1 << 40, whole=True)),
    )


def aws_in(keys: MapKeys, *, needs_account: bool) -> AwsInMap:
    """The keys of AWS."""
    region = aws_region(keys, "aws_region", keys.required("aws_region"))
    account = keys.required("aws_id") if needs_account else keys.text("aws_id")
    if account:
        keys.checked("aws_id", account, _ACCOUNT, "an account id of 12 digits")
    credentials = aws_credentials(keys)
    bucket = keys.required("s3_bucket")
    if bucket:
        keys.checked("s3_bucket", bucket, _BUCKET, "a bucket's name: lower case letters, digits, - and .")
    endpoint = keys.text("aws_endpoint_url")
    if endpoint:
        keys.checked("aws_endpoint_url", endpoint, _ENDPOINT, "http(s)://host:port")
    return AwsInMap(
        region=region,
        bucket=bucket,
        credentials=credentials,
        account_id=account or None,
        endpoint_url=endpoint or None,
    )


def aws_credentials(keys: MapKeys) -> dict[str, str]:
    """An access key, with the names of the Secret's keys; of temporary ones with its session token."""
    access_key, token = keys.required("aws_access_key"), keys.secret("aws_session_token")
    if access_key and not _ACCESS_KEY.fullmatch(access_key):  # not shown: it may be the other key
        keys.fault("aws_access_key", "not an access key id of letters and digits")
    if token and not _PRINTABLE.fullmatch(token):
        keys.fault("aws_session_token", "not a session token of printable characters")
    texts = {
        "accessKeyId": access_key,
        "secretAccessKey": keys.required_secret("aws_secret_key"),
        "sessionToken": token,
    }
    return {entry: text for entry, text in texts.items() if text}


def aws_region(keys: MapKeys, key: str, text: str) -> str:
    """A region in AWS's own spelling; empty when the text is."""
    region = text.lower().replace("_", "-")
    if region:
        keys.checked(key, region, _REGION, "a region such as US_EAST_1 or us-east-1")
    return region


def spelled_region(region: str) -> str:
    """A region as the contract's clients spell it: `US_EAST_1`."""
    return region.upper().replace("-", "_")


def check_topic(keys: MapKeys, problem: str) -> None:
    """An invitation's keys of AWS; the region has two names. `problem` is what is said of a missing one."""
    keys.matching("aws_topic_arn", _TOPIC_ARN, "a topic's ARN", problem)
    if not keys.text("aws_topic_region"):
        keys.rename("topic_region", "aws_topic_region")
    aws_region(keys, "aws_topic_region", keys.required("aws_topic_region", problem))


def text_or_secret(keys: MapKeys, key: str) -> str:
    """A value as text; what any text may be meant by, exactly as it was sent."""
    return keys.secret(key) if key in _AS_SENT else keys.text(key)


def _has_host_and_port(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _has_certificates(text: str) -> bool:
    try:
        return bool(x509.load_pem_x509_certificates(text.encode()))
    except ValueError:
        return False
