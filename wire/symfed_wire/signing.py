"""Request signatures (wire.md, section 1)."""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from symfed_wire.errors import MalformedError, SymfedError

OLDEST = timedelta(minutes=5)
NEWEST = timedelta(minutes=1)

_NONCE = re.compile(r"[A-Za-z0-9-]{16,64}")
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2});\d+")


class DateOutsideWindowError(SymfedError):
    """The date of a request is too far from the server's clock."""

    reason = "DateOutsideWindow"


@dataclass(frozen=True)
class SignedRequest:
    """The parts of a request that its signature covers.

    `resource` is the path (or full URL up to `?`) and `query` the raw query, both as sent; `body` is text or
    its bytes in UTF-8, `md5` is base64 and empty without a body; `nonce` belongs to the second form only.
    """

    verb: str
    date: str
    customer: str
    resource: str
    query: str = ""
    body: str | bytes = ""
    md5: str = ""
    nonce: str = ""


def string_to_sign(request: SignedRequest, secret_key: str) -> str:
    """The text under the signature. `secret_key` is base64 text and part of it."""
    lines = [request.verb, request.md5, secret_key, request.date, request.customer]
    body = request.body if isinstance(request.body, str) else request.body.decode(errors="replace")
    lines += [part for part in (body, request.resource, request.query, request.nonce) if part]
    return "".join(f"{line}\n" for line in lines)


def signature(text: str, secret_key: str) -> str:
    """base64(HMAC-SHA256) of `text` under a base64 `secret_key`."""
    digest = hmac.digest(base64.b64decode(secret_key), text.encode(), "sha256")
    return base64.b64encode(digest).decode()


def sign(request: SignedRequest, secret_key: str) -> str:
    """The value of the Authorization header."""
    return next(signatures(request, secret_key, [request.resource]))


def signatures(request: SignedRequest, secret_key: str, resources: Iterable[str]) -> Iterator[str]:
    """The request's signature with each of these resources in the place of its own.

    The same as that of `string_to_sign`, but a large body is neither copied nor hashed more than once.
    """
    beginning = hmac.new(base64.b64decode(secret_key), digestmod="sha256")
    for line in (request.verb, request.md5, secret_key, request.date, request.customer):
        beginning.update(f"{line}\n".encode())
    if request.body:
        beginning.update(request.body if isinstance(request.body, bytes) else request.body.encode())
        beginning.update(b"\n")
    for resource in resources:
        whole = beginning.copy()
        for part in (resource, request.query, request.nonce):
            if part:
                whole.update(f"{part}\n".encode())
        yield base64.b64encode(whole.digest()).decode()


def is_signed(request: SignedRequest, secret_key: str, authorization: str) -> bool:
    """Whether `authorization` is the request's signature; takes the same time either way."""
    return hmac.compare_digest(sign(request, secret_key).encode(), authorization.encode())


def content_md5(body: bytes) -> str:
    """base64(MD5(body)), or the empty text without a body."""
    if not body:
        return ""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def format_date(now: datetime) -> str:
    """A `sym-date` header for a moment in UTC, in nanoseconds as the vendor's clients send it."""
    return now.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S;") + f"{now.microsecond * 1000:09d}"


def check_date(text: str, now: datetime) -> None:
    """Check a `sym-date` header against the server's clock.

    Raises:
        MalformedError: it is not `yyyy-MM-dd HH:mm:ss;<digits>`.
        DateOutsideWindowError: it is more than 5 minutes behind or 1 minute ahead.
    """
    match = _DATE.fullmatch(text)
    try:
        if match is None:
            raise ValueError(text)
        date = datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        raise MalformedError("Invalid Date Format") from None
    if not now - OLDEST <= date <= now + NEWEST:
        raise DateOutsideWindowError("Please update your server time, it is likely out of sync with UTC")


def check_nonce(nonce: str, query: str) -> None:
    """Check the header `sym-nonce`, empty when there is none, against the raw query.

    Query and nonce are both the last line of what is signed, so neither may look like the other: a request
    that was captured could be sent again with the one in the place of the other. Raises MalformedError.
    """
    if nonce and not _NONCE.fullmatch(nonce):
        raise MalformedError("sym-nonce is not 16 to 64 letters, digits and -")
    if not nonce and _NONCE.fullmatch(query):
        raise MalformedError("The query has the form of a sym-nonce; it needs a = at least")


def websocket_string_to_sign(
    *, md5: str, secret_key: str, date: str, customer: str, payload: str, url: str, extra_keys: list[str]
) -> str:
    """The text under the signature of a WebSocket message's header (wire.md, section 8)."""
    return "".join(f"{line}\n" for line in [md5, secret_key, date, customer, payload, url, *extra_keys])
