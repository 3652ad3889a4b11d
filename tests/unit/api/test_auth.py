"""Every line of the contract's table of authentication errors, each in the envelope."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from symfed_api.auth_middleware import Authentication
from symfed_api.caller import Caller
from symfed_api.customers import Customer
from symfed_api.errors import BadRequestError
from symfed_api.settings import Settings
from symfed_wire.bodies import RequestLine, open_body, open_body_v2, seal_body, seal_body_v2
from symfed_wire.kube_errors import KubeError
from symfed_wire.signing import SignedRequest, content_md5, format_date, sign, signatures, string_to_sign

KEY = base64.b64encode(bytes(range(16))).decode()
PATH = "/symetry/rest/c1/projects/p%201/learn"
HOST = "http://gateway.test"
NONCE = "0123456789abcdef0123456789abcdef"


class Directory:
    """One customer, c1."""

    async def find(self, customer: str) -> Customer | None:
        """As the gateway's own directory does it."""
        if customer == "broken":
            raise KubeError("GET /: ConnectError")
        return Customer("c1", "ns-1", KEY) if customer == "c1" else None


async def routed(scope: Scope, receive: Receive, send: Send) -> None:
    """What comes behind: says who was let in, with which body."""
    request = Request(scope, receive)
    caller = getattr(request.state, "caller", None)
    body = request.state.body.decode()
    answer = {
        "customer": caller and caller.customer,
        "second": caller and caller.is_second_form,
        "body": body,
    }
    await JSONResponse(answer)(scope, receive, send)


@dataclass(frozen=True)
class Sent:
    """A request with its headers as a client makes them; tests change one thing."""

    verb: str = "POST"
    path: str = PATH
    query: str = "async=false"
    body: bytes = b'{"a": 1}'
    customer: str = "c1"
    resource: str = PATH
    nonce: str = ""
    date: str = ""
    headers: Mapping[str, str | bytes | None] | None = None
    content: AsyncIterator[bytes] | None = None

    def signed(self) -> SignedRequest:
        """What is under the signature."""
        return SignedRequest(
            verb=self.verb,
            date=self.date or format_date(datetime.now(UTC)),
            customer=self.customer,
            resource=self.resource,
            query=self.query,
            body=self.body.decode(),
            md5=content_md5(self.body),
            nonce=self.nonce,
        )

    async def send(self, layer: Authentication | None = None, **settings: Any) -> httpx.Response:
        """Sign and send it through the layer."""
        signed = self.signed()
        headers: dict[str, str | bytes | None] = {
            "Authorization": sign(signed, KEY),
            "sym-date": signed.date,
            "Content-MD5": signed.md5,
            "sym-nonce": self.nonce or None,
            **(self.headers or {}),
        }
        layer = layer or Authentication(routed, Settings(**settings), Directory())  # type: ignore[arg-type]  # a directory
        transport = httpx.ASGITransport(layer)
        async with httpx.AsyncClient(transport=transport, base_url=HOST) as client:
            return await client.request(
                self.verb,
                f"{HOST}{self.path}" + (f"?{self.query}" if self.query else ""),
                content=self.content or self.body,
                headers=[
                    (name.encode(), _bytes(value)) for name, value in headers.items() if value is not None
                ],
            )


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def minutes(number: float) -> str:
    """A date that far from now."""
    return format_date(datetime.now(UTC) + timedelta(minutes=number))


async def test_a_signed_request_comes_through_whole() -> None:
    answer = await Sent().send()
    assert answer.json() == {"customer": "c1", "second": False, "body": '{"a": 1}'}


@pytest.mark.parametrize(
    "sent",
    [
        Sent(resource=f"{HOST}{PATH}"),
        Sent(resource=f"https://gateway.test{PATH}"),
        Sent(headers={"Content-MD5": None}),
        Sent(headers={"Content-MD5": ""}),
        Sent(verb="GET", body=b"", query=""),
    ],
)
async def test_variants_that_real_clients_send(sent: Sent) -> None:
    assert (await sent.send()).json()["customer"] == "c1"


async def test_a_date_of_whole_seconds_is_accepted() -> None:
    sent = Sent(date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S;000000"))
    assert (await sent.send()).json()["customer"] == "c1"


async def test_the_external_address_may_be_signed_too() -> None:
    sent = Sent(resource=f"https://outside.test{PATH}")
    assert (await sent.send()).status_code == 401
    assert (await sent.send(external_url="https://outside.test")).status_code == 200


async def test_a_nonce_is_signed_and_means_the_second_form() -> None:
    sent = Sent(nonce=NONCE)
    assert (await sent.send()).json()["second"] is True
    assert (await replace(sent, headers={"sym-nonce": NONCE[::-1]}).send()).status_code == 401


async def test_a_query_does_not_pass_for_a_nonce_nor_a_nonce_for_a_query() -> None:
    """Both stand on the last line of what is signed."""
    captured = Sent(verb="GET", body=b"", query="useLocal=true", date=minutes(0))
    assert (await captured.send()).status_code == 200
    replayed = replace(captured, query="", nonce="useLocal=true")
    assert sign(replayed.signed(), KEY) == sign(captured.signed(), KEY)
    answer = await replayed.send()
    assert (answer.status_code, answer.json()["statusString"]) == (
        400,
        "sym-nonce is not 16 to 64 letters, digits and -",
    )
    with_nonce = Sent(verb="GET", body=b"", query="", nonce=NONCE, date=minutes(0))
    assert (await with_nonce.send()).status_code == 200
    replayed = replace(with_nonce, query=NONCE, nonce="")
    assert sign(replayed.signed(), KEY) == sign(with_nonce.signed(), KEY)
    assert (await replayed.send()).status_code == 400


@pytest.mark.parametrize(
    "nonce", ["n1", "n" * 65, "0123456789abcde=", "0123456789abcde\xfc", "0123456789abcde_"]
)
async def test_what_is_no_nonce_is_refused(nonce: str) -> None:
    assert (await Sent(nonce=nonce).send()).status_code == 400


async def test_a_body_in_the_second_form_needs_a_nonce() -> None:
    answer = await Sent(body=b"v2.AAAA").send()
    assert (answer.status_code, answer.json()["statusString"]) == (
        400,
        "A body in the second form (v2.) needs the header sym-nonce",
    )
    assert (await Sent(body=b"v2.AAAA", nonce=NONCE).send()).status_code == 200


@pytest.mark.parametrize(
    ("sent", "status", "name", "text"),
    [
        (Sent(headers={"Content-MD5": "AAAA"}), 400, "BAD_REQUEST", "Md5 do not match"),
        (Sent(headers={"Authorization": None}), 400, "BAD_REQUEST", "Authentication header is null"),
        (Sent(headers={"sym-date": None}), 400, "BAD_REQUEST", "sym-date header is null"),
        (Sent(date="yesterday"), 400, "BAD_REQUEST", "Invalid Date Format"),
        (Sent(date="2026-13-01 00:00:00;1"), 400, "BAD_REQUEST", "Invalid Date Format"),
        (Sent(headers={"Authorization": "bm9uc2Vuc2U="}), 401, "UNAUTHORIZED", "Invalid Signature"),
        (Sent(headers={"Authorization": b"\xfc"}), 401, "UNAUTHORIZED", "Invalid Signature"),
        (
            Sent(path="/symetry/rest/c2/jobs", resource="/symetry/rest/c2/jobs", customer="c2"),
            401,
            "UNAUTHORIZED",
            "Invalid Signature",
        ),
        (Sent(path="/symetry/rest/c1/projects"), 401, "UNAUTHORIZED", "Invalid Signature"),
        (
            Sent(path="/elsewhere"),
            404,
            "NOT_FOUND",
            "No such path; all calls are below /symetry/rest/<customer id>/",
        ),
        (
            Sent(path="/symetry/rest/c1/projects%2Fp/fedml/x/leave"),
            400,
            "BAD_REQUEST",
            "An encoded slash is not possible in a path",
        ),
        (
            Sent(path="/symetry/rest/broken/jobs"),
            503,
            "SERVICE_UNAVAILABLE",
            "The cluster cannot serve this at the moment; send the request again",
        ),
    ],
)
async def test_refusals(sent: Sent, status: int, name: str, text: str) -> None:
    answer = await sent.send()
    assert answer.status_code == status
    assert answer.json() == {"statusCode": name, "statusString": text, "values": {}}


async def test_the_vendors_errors_tell_more_when_they_are_switched_on() -> None:
    unknown = Sent(path="/symetry/rest/c2/jobs", customer="c2")
    assert (await unknown.send(auth_vendor_errors=True)).json()["statusString"] == "Invalid User"
    wrong = Sent(date=minutes(0), headers={"Authorization": "bm9uc2Vuc2U="})
    answer = (await wrong.send(auth_vendor_errors=True)).json()
    assert answer["statusString"] == "Invalid Signature"
    assert answer["values"] == {"stringToSign": string_to_sign(wrong.signed(), "SECRETKEY")}
    assert KEY not in json.dumps(answer)


async def test_a_body_over_the_limit_is_413() -> None:
    answer = await Sent(body=b"x" * 101).send(body_limit_bytes=100)
    assert answer.status_code == 413
    assert answer.json() == {
        "statusCode": "REQUEST_ENTITY_TOO_LARGE",
        "statusString": "The body is larger than 100 bytes; send it in parts",
        "values": {},
    }


async def test_a_large_body_waits_for_room_and_says_when_there_is_none() -> None:
    layer = Authentication(routed, Settings(wait_seconds=0.01), Directory())  # type: ignore[arg-type]  # a directory
    async with layer.large_bodies.held(1 << 40):
        answer = await Sent(body=b"x" * 300_000).send(layer)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert (await Sent().send(layer)).status_code == 200  # small ones do not wait
    assert (await Sent(body=b"x" * 300_000).send(layer)).status_code == 200


async def test_a_body_that_does_not_come_is_given_up() -> None:
    async def never() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    answer = await Sent(content=never()).send(body_seconds=0.01)
    assert (answer.status_code, answer.json()["statusString"]) == (408, "The body did not come within 0.01 s")


async def test_every_spelling_of_the_address_is_signed_over_the_body_once() -> None:
    request = Sent(body=b"x" * 10).signed()
    resources = [PATH, HOST + PATH]
    assert list(signatures(request, KEY, resources)) == [
        sign(replace(request, resource=resource), KEY) for resource in resources
    ]


async def test_a_large_body_is_admitted_too() -> None:
    assert (await Sent(body=b"x" * 300_000).send()).json()["body"] == "x" * 300_000


@pytest.mark.parametrize("call", ["createPolicies", "leave"])
async def test_calls_of_other_operators_need_no_signature_and_have_no_caller(call: str) -> None:
    path = f"/symetry/rest/c1/fedml/p1/{call}"
    unsigned = {"Authorization": None, "sym-date": None, "Content-MD5": None}
    answer = await Sent(path=path, headers=unsigned).send()
    assert answer.json() == {"customer": None, "second": None, "body": '{"a": 1}'}


LINE = RequestLine("POST", "/symetry/rest/c1/fedml/create", "pid=p1", "2026-11-22 10:00:00;000000")


def caller(*, second: bool) -> Caller:
    """A caller who asked in one of the two forms."""
    return Caller("c1", "ns-1", KEY, LINE, is_second_form=second)


def test_a_map_opens_in_both_forms_and_is_answered_in_the_same() -> None:
    assert caller(second=False).open_map(seal_body('{"a": 1}', KEY).encode() + b"\n") == {"a": 1}
    assert caller(second=True).open_map(seal_body_v2('{"a": 1}', KEY, LINE).encode()) == {"a": 1}
    assert open_body(caller(second=False).seal("x"), KEY) == "x"
    assert open_body_v2(caller(second=True).seal("x"), KEY, LINE, "response") == "x"
    assert caller(second=False).open_map(b"") == {}


@pytest.mark.parametrize(
    "body",
    [b"%", b"AAAA", b"v2.AAAA", seal_body("[]", KEY).encode(), seal_body("{", KEY).encode(), b"\xff"],
)
def test_every_map_that_does_not_open_has_one_error(body: bytes) -> None:
    with pytest.raises(
        BadRequestError, match=r"^The body is not an encrypted JSON map under this customer's"
    ):
        caller(second=False).open_map(body)


def test_rows_may_be_sealed_in_the_second_form() -> None:
    assert caller(second=False).open_plain(b'{"data": []}') == b'{"data": []}'
    assert caller(second=True).open_plain(seal_body_v2("{}", KEY, LINE).encode()) == b"{}"


def test_a_caller_does_not_show_its_key() -> None:
    assert KEY not in repr(caller(second=False))
    assert KEY not in repr(Customer("c1", "ns-1", KEY))


@pytest.mark.parametrize("off", [-5.1, 1.1])
async def test_a_date_outside_the_window_is_refused(off: float) -> None:
    answer = await Sent(date=minutes(off)).send()
    assert answer.status_code == 400
    text = "Please update your server time, it is likely out of sync with UTC"
    assert answer.json()["statusString"] == text
