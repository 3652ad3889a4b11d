"""A tiny gateway in the process, which checks every signature as a gateway does."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
from pydantic import JsonValue

from symfed_wire import signing
from symfed_wire.bodies import open_body
from symfed_wire.client import Client
from symfed_wire.client.http import Form
from symfed_wire.envelope import envelope

KEY = "9cd4TmBShfeYyVYq3ChGyQ=="
URL = "http://gateway.example:8080"
BASE = "/symetry/rest/c1"


def answer(
    status: int = 200, values: dict[str, JsonValue] | None = None, headers: dict[str, str] | None = None
) -> httpx.Response:
    text = "OK" if status < 400 else f"refused with {status}"
    return httpx.Response(status, content=envelope(status, text, values).to_json(), headers=headers)


@dataclass
class Gateway:
    """Answers one after the other, the last one again and again; keeps what was asked."""

    answers: list[httpx.Response | Exception]
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert_signed(request)
        self.requests.append(request)
        given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(given, Exception):
            raise given
        return given

    @property
    def opened(self) -> JsonValue:
        """The last request's encrypted map."""
        opened: JsonValue = json.loads(open_body(self.requests[-1].content.decode(), KEY))
        return opened


def assert_signed(request: httpx.Request) -> None:
    path, _, query = request.url.raw_path.decode().partition("?")
    body = request.content
    signing.check_date(request.headers["sym-date"], datetime.now(UTC))
    assert request.headers.get("Content-MD5", "") == signing.content_md5(body)
    signed = signing.SignedRequest(
        verb=request.method,
        date=request.headers["sym-date"],
        customer="c1",
        resource=path,
        query=query,
        body=body.decode(),
        md5=signing.content_md5(body),
        nonce=request.headers.get("sym-nonce", ""),
    )
    signing.check_nonce(signed.nonce, query)
    assert signing.is_signed(signed, KEY, request.headers["Authorization"])


def client_of(
    *answers: httpx.Response | Exception, form: Form = "v1", patience: float = 5.0
) -> tuple[Client, Gateway]:
    gateway = Gateway(list(answers))
    transport = httpx.MockTransport(gateway)
    return Client(URL, "c1", KEY, form=form, patience=patience, transport=transport), gateway
