"""One signed call to the gateway: sign, send, repeat where that is safe, open the envelope."""

from __future__ import annotations

import base64
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import httpx
import orjson
import tenacity
from pydantic import JsonValue, ValidationError

from symfed_wire import signing
from symfed_wire.bodies import V2_PREFIX, RequestLine, open_body, open_body_v2, seal_body, seal_body_v2
from symfed_wire.envelope import Envelope
from symfed_wire.errors import MalformedError, SymfedError

Form = Literal["v1", "v2"]
Body = Mapping[str, JsonValue]

_TIMEOUT = httpx.Timeout(90.0, connect=10.0)  # the gateway itself waits for a result for up to 60 s
# A gateway closes a connection that is idle for 5 s (uvicorn's default): none may be used that it is closing.
_LIMITS = httpx.Limits(keepalive_expiry=2)
_CONNECT_PATIENCE_SECONDS = 20.0  # a restart; longer is a wrong address
_RETRY_CAP_SECONDS = 30.0
_EXCERPT = 200
_ERROR_NUMBER = re.compile(r"^\[Errno -?\d+\] ")
_KEY_BYTES = 16


class ClientError(SymfedError):
    """Base of what a call can end with, the server's own answers included."""

    reason = "CallFailed"


class ConnectionFailedError(ClientError):
    """The gateway cannot be reached, or it broke the connection off."""

    reason = "Unreachable"


class DeadlineError(ClientError):
    """Something did not happen in time; it may still happen."""

    reason = "DeadlineExceeded"


class ApiError(ClientError):
    """The gateway answered, and not with success; `is_repeat` if the call had been sent before."""

    reason = "Refused"

    def __init__(
        self,
        call: str,
        status: int,
        text: str,
        values: Mapping[str, JsonValue] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{call}: {status} {text}")
        self.call = call
        self.status = status
        self.text = text
        self.values = dict(values or {})
        self.retry_after = retry_after
        self.is_repeat = False

    @property
    def is_about_no_project(self) -> bool:
        """Whether there is no such project, in the contract's words."""
        return self.status == httpx.codes.BAD_REQUEST and self.text.startswith("Cannot Find SYMETRYML")


class NotAnEnvelopeError(ApiError):
    """Something that is not a symfed gateway answered: a proxy, or another server."""


@dataclass(frozen=True)
class Call:
    """One call below `/symetry/rest/{cid}`; a `body` is sealed or sent as JSON.

    `request_id` makes a learn safe to repeat: the node answers the second as it did the first.
    """

    verb: Literal["GET", "POST", "DELETE"]
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    is_sealed: bool = False
    request_id: str | None = None

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be sent again although the first one may have arrived."""
        return self.verb == "GET" or self.request_id is not None

    def __str__(self) -> str:
        query = "&".join(f"{name}={value}" for name, value in self.query.items())
        return f"{self.verb} {self.path}?{query}".rstrip("?")


@dataclass(frozen=True)
class Answer:
    """A successful answer."""

    status: int
    text: str
    values: Mapping[str, JsonValue]
    line: RequestLine
    """the request's; answers in the second form are bound to it"""
    job_id: int | None = None


@dataclass(frozen=True)
class Credentials:
    """A customer's id and base64 secret key, which never shows up in a representation."""

    customer: str
    secret_key: str = field(repr=False)

    def __post_init__(self) -> None:
        try:
            size = len(base64.b64decode(self.secret_key, validate=True))
        except ValueError:
            size = 0
        if size != _KEY_BYTES:
            raise MalformedError(
                "the secret key is not 16 bytes in base64; take it as the administrator gave it"
            )


class Caller:
    """Sends calls of one customer to one gateway."""

    def __init__(
        self,
        base: str,
        credentials: Credentials,
        form: Form,
        patience: float,
        transport: httpx.BaseTransport | None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not base.startswith(("http://", "https://")):
            raise MalformedError(f"{base!r} is no address of a gateway; write it as http://host:port")
        self._base = base
        self._credentials = credentials
        self._form = form
        self._patience = patience
        self._sleep = sleep
        self._http = httpx.Client(timeout=_TIMEOUT, limits=_LIMITS, transport=transport)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, call: Call) -> Answer:
        """Send a call, again while that is safe and promises something, for `patience` seconds.

        What was certainly not done is always sent again: no connection came about, or the gateway said 503
        with `Retry-After`. A connection that broke on the way is tried again only for repeatable calls.
        Raises ApiError, ConnectionFailedError, MalformedError for a body that is no JSON.
        """
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: _is_worth_repeating(call, error)),
            wait=_wait,
            stop=self._is_out_of_patience,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return attempts(self._send_once, call)
        except ApiError as error:
            error.is_repeat = attempts.statistics["attempt_number"] > 1
            raise
        except httpx.TransportError as error:
            raise ConnectionFailedError(f"{call}: {self._base}: {_in_words(error)}") from error

    def unseal(self, sealed: str, answer: Answer) -> str:
        """Open an encrypted text of an answer, in whichever form it came. Raises UnsealError."""
        if sealed.startswith(V2_PREFIX):
            return open_body_v2(sealed, self._credentials.secret_key, answer.line, "response")
        return open_body(sealed, self._credentials.secret_key)

    def _is_out_of_patience(self, state: tenacity.RetryCallState) -> bool:
        """A gateway that answers is waited for longer than one that does not."""
        error = state.outcome.exception() if state.outcome else None
        patience = (
            self._patience if isinstance(error, ApiError) else min(self._patience, _CONNECT_PATIENCE_SECONDS)
        )
        return (state.seconds_since_start or 0.0) >= patience

    def _send_once(self, call: Call) -> Answer:
        line, request = self._sign(call)
        return _read(call, line, self._http.send(request))

    def _sign(self, call: Call) -> tuple[RequestLine, httpx.Request]:
        """The request with its signature, made anew for each attempt: the date is part of it."""
        customer, secret_key = self._credentials.customer, self._credentials.secret_key
        url = httpx.URL(self._base + call.path, params=dict(call.query) or None)
        # Signed is what goes over the wire, so path and query come from the URL as httpx sends it.
        path, _, query = url.raw_path.decode("ascii").partition("?")
        date = signing.format_date(datetime.now(UTC))
        line = RequestLine(call.verb, path, query, date)
        body = self._body(call, line)
        nonce = uuid.uuid4().hex if self._form == "v2" else ""
        md5 = signing.content_md5(body)
        signed = signing.SignedRequest(
            verb=call.verb,
            date=date,
            customer=customer,
            resource=path,
            query=query,
            body=body.decode(),
            md5=md5,
            nonce=nonce,
        )
        headers = {
            "Authorization": signing.sign(signed, secret_key),
            "sym-date": date,
            "Content-MD5": md5,
            "sym-nonce": nonce,
            "sym-request-id": call.request_id or "",
            "Customer-ID": customer,
            "sym-client": "symfed",
            "Content-Type": "" if not body else "text/plain" if call.is_sealed else "application/json",
        }
        present = {name: value for name, value in headers.items() if value}
        return line, self._http.build_request(call.verb, url, content=body or None, headers=present)

    def _body(self, call: Call, line: RequestLine) -> bytes:
        if call.body is None:
            return b""
        try:
            plain = orjson.dumps(call.body)
        except orjson.JSONEncodeError as error:
            raise MalformedError(f"{call}: the body is no JSON: {error}") from None
        if not call.is_sealed:
            return plain
        secret_key = self._credentials.secret_key
        if self._form == "v2":
            return seal_body_v2(plain.decode(), secret_key, line).encode()
        return seal_body(plain.decode(), secret_key).encode()


def _read(call: Call, line: RequestLine, response: httpx.Response) -> Answer:
    retry_after = _seconds(response.headers.get("Retry-After"))
    try:
        envelope = Envelope.model_validate_json(response.content)
    except ValidationError:
        text = f"not an answer of a symfed gateway: {response.text[:_EXCERPT]!r}"
        raise NotAnEnvelopeError(str(call), response.status_code, text, retry_after=retry_after) from None
    if not response.is_success:
        raise ApiError(str(call), response.status_code, envelope.status_string, envelope.values, retry_after)
    job = response.headers.get("sym-job-id") or response.headers.get("Location", "").rpartition("/jobs/")[2]
    return Answer(
        status=response.status_code,
        text=envelope.status_string,
        values=envelope.values,
        line=line,
        job_id=int(job) if job.isdecimal() else None,
    )


def _is_worth_repeating(call: Call, error: BaseException) -> bool:
    if isinstance(error, ApiError):
        return error.status == 503 and error.retry_after is not None
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return True
    return isinstance(error, httpx.TransportError) and call.is_repeatable


_back_off = tenacity.wait_random_exponential(multiplier=0.2, max=5.0)


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, ApiError) and error.retry_after is not None:
        return min(error.retry_after, _RETRY_CAP_SECONDS)
    return _back_off(state)


def _seconds(header: str | None) -> float | None:
    """A `Retry-After` in seconds; the form with a date is not in use between symfed's parts."""
    return float(header) if header is not None and header.isdecimal() else None


def _in_words(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return _ERROR_NUMBER.sub("", str(error)) or type(error).__name__
