"""Joining and leaving: the invitation's Secret, the admin's answers, and what becomes of them."""

import asyncio
import base64
import gzip
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from pydantic import JsonValue

from symfed_operator import join
from symfed_operator.backends.base import FederationSeeds
from symfed_operator.cluster import SecretObject, secret_data
from symfed_operator.errors import (
    AdminUnreachableError,
    AwaitingAdminError,
    InvitationIncompleteError,
    InvitationRefusedError,
)
from symfed_operator.invitation import OpenedInvitation, parse_invitation
from symfed_operator.join import ask_to_join, say_leave
from symfed_operator.records import new_federation_record
from symfed_wire.documents import (
    FEDERATION_CONTEXT,
    FederationDocument,
    FederationSettings,
    Signed,
    sign_document,
)
from symfed_wire.envelope import envelope
from symfed_wire.join import (
    CreatePolicies,
    JoinAnswer,
    JoinRequest,
    NatsGrant,
    NatsUserKeys,
    open_join,
    seal_join,
)

UUID = "00000000-0000-4000-8000-000000000001"
URL = "http://admin.example.org/symetry/rest/c1/fedml/p1/createPolicies"
KEY = base64.b64encode(bytes(range(32))).decode()
RECORD = new_federation_record(FederationSeeds("a", "s", "r"))
OTHER = new_federation_record(FederationSeeds("a", "s", "r"))
INVITATION = OpenedInvitation(
    fed_rest_url=URL, fed_req_token="FEDTOKEN0123456789abcdef", fed_secret_key=RECORD.join_key
)
REQUEST = JoinRequest(
    peer_uuid=UUID,
    peer_name="p",
    identity_key=KEY,
    sealing_key=KEY,
    nats_user_keys=NatsUserKeys(writer="U1", reader="U2"),
)
FEDERATION = "5f0c6a52-6e5e-4b3f-9d1f-1f0b7c3d2a11"
DOCUMENT = FederationDocument(
    federation=FEDERATION, name="f", version=1, issued="", settings=FederationSettings(schedule="m1")
)
GRANT = NatsGrant(
    hosts=(), writer_jwt="w", reader_jwt="r", stream="S", data="d", head="h", get="g", heads="hs", ask="a"
)
LEAVE = Signed(payload="", key="", sig="")

Handler = Callable[[httpx.Request], httpx.Response]


def _answer(document_key: str = RECORD.document_key, *, nats: NatsGrant | None = GRANT) -> JoinAnswer:
    signed = sign_document(DOCUMENT, FEDERATION_CONTEXT, RECORD.document_key_pair)
    return JoinAnswer(federation=FEDERATION, document_key=document_key, document=signed, nats=nats)


def _response(status: int, content: bytes = b"", headers: dict[str, str] | None = None) -> httpx.Response:
    """As it comes over a wire, where nothing has been read yet."""

    async def chunks() -> AsyncIterator[bytes]:
        yield content

    return httpx.Response(status, content=chunks(), headers=headers)


def _granting(answer: JoinAnswer) -> Handler:
    def handle(request: httpx.Request) -> httpx.Response:
        body = CreatePolicies.model_validate_json(request.content)
        asked = open_join(body.peer, INVITATION.fed_secret_key, body.fed_req_token, JoinRequest)
        assert (str(request.url), asked) == (URL, REQUEST)
        sealed = seal_join(answer, INVITATION.fed_secret_key, INVITATION.fed_req_token)
        return _response(200, envelope(200, values={"join": sealed}).to_json())

    return handle


def _saying(status: int, text: str = "", headers: dict[str, str] | None = None) -> Handler:
    return lambda _: _response(status, envelope(status, text).to_json(), headers)


async def _ask(handler: Handler, invitation: OpenedInvitation = INVITATION) -> JoinAnswer:
    async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as http:
        return await ask_to_join(http, invitation, REQUEST)


async def test_granted() -> None:
    assert await _ask(_granting(_answer())) == _answer()
    trusting = INVITATION.model_copy(update={"fed_document_key": RECORD.document_key})
    assert await _ask(_granting(_answer()), trusting) == _answer()


async def test_an_answer_that_is_not_the_admins_is_a_refusal() -> None:
    trusting = INVITATION.model_copy(update={"fed_document_key": OTHER.document_key})
    with pytest.raises(InvitationRefusedError, match="document key"):
        await _ask(_granting(_answer()), trusting)
    with pytest.raises(InvitationRefusedError, match="federation document"):
        await _ask(_granting(_answer(OTHER.document_key)))
    with pytest.raises(InvitationRefusedError, match="does not open"):
        await _ask(lambda _: _response(200, envelope(200, values={"join": "AAAA"}).to_json()))
    with pytest.raises(InvitationRefusedError, match="neither NATS nor AWS"):
        await _ask(_granting(_answer(nats=None)))


async def test_refused_is_final_and_busy_is_not() -> None:
    with pytest.raises(InvitationRefusedError, match="Invitation refused"):
        await _ask(_saying(403, "Invitation refused"))
    with pytest.raises(AwaitingAdminError) as busy:
        await _ask(_saying(503, "later", {"Retry-After": "7"}))
    assert busy.value.retry_after == 7
    for status in (400, 404, 500, 302):
        with pytest.raises(AdminUnreachableError, match=f"HTTP {status}"):
            await _ask(_saying(status))
    with pytest.raises(AdminUnreachableError, match="not a gateway's"):
        await _ask(lambda _: _response(200, b"<html>"))


@pytest.mark.parametrize("status", [403, 404, 410])
async def test_what_a_proxy_answers_is_neither_a_refusal_nor_a_farewell(status: int) -> None:
    def proxy(_: httpx.Request) -> httpx.Response:
        return _response(status, b"default backend")

    with pytest.raises(AdminUnreachableError, match=f"HTTP {status}"):
        await _ask(proxy)
    async with httpx.AsyncClient(transport=httpx.MockTransport(proxy)) as http:
        with pytest.raises(AdminUnreachableError, match=f"HTTP {status}: the answer is not a gateway's"):
            await say_leave(http, INVITATION.leave_url, LEAVE)


async def test_no_connection_is_unreachable() -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(AdminUnreachableError, match="ConnectError"):
        await _ask(fail)


def _streaming(body: AsyncIterator[bytes]) -> Handler:
    return lambda _: httpx.Response(200, content=body)


async def test_an_endless_answer_is_cut_off() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield bytes(65536)

    with pytest.raises(AdminUnreachableError, match="longer than"):
        await _ask(_streaming(endless()))
    assert sent == 17


async def test_a_compressed_answer_is_not_inflated() -> None:
    asked: list[str] = []

    def bomb(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["Accept-Encoding"])
        inflated = envelope(200, "inflated").to_json()
        return _response(200, gzip.compress(inflated), {"Content-Encoding": "gzip"})

    with pytest.raises(AdminUnreachableError, match="not a gateway's"):
        await _ask(bomb)
    assert asked == ["identity"]


async def test_an_answer_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    monkeypatch.setattr(join, "TIMEOUT", 0.05)
    with pytest.raises(AdminUnreachableError, match="no whole answer"):
        await _ask(_streaming(silent()))
    async with httpx.AsyncClient(transport=httpx.MockTransport(_streaming(silent()))) as http:
        with pytest.raises(AdminUnreachableError, match="no whole answer"):
            await say_leave(http, INVITATION.leave_url, LEAVE)


async def test_a_redirect_is_not_followed() -> None:
    asked: list[str] = []

    def redirect(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return _response(307, headers={"Location": "http://inside.example.org/", "Set-Cookie": "a=b"})

    async with httpx.AsyncClient(transport=httpx.MockTransport(redirect), follow_redirects=True) as http:
        with pytest.raises(AdminUnreachableError, match="HTTP 307"):
            await ask_to_join(http, INVITATION, REQUEST)
        assert not http.cookies
    assert asked == [URL]


async def test_what_the_admin_says_is_one_short_line() -> None:
    with pytest.raises(InvitationRefusedError) as refused:
        await _ask(_saying(403, "no\nINFO \x1b[31mforged" + "x" * 1000))
    assert str(refused.value).startswith("the admin refused: no INFO  [31mforgedxxx")
    assert len(str(refused.value)) < 250


@pytest.mark.parametrize("status", [200, 403, 404, 410])
async def test_leave_ends_when_the_admin_knows_or_never_knew(status: int) -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(_saying(status))) as http:
        await say_leave(http, INVITATION.leave_url, LEAVE)


async def test_leave_is_repeated_else() -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(_saying(500))) as http:
        with pytest.raises(AdminUnreachableError):
            await say_leave(http, INVITATION.leave_url, LEAVE)


def _secret(keys: dict[str, str]) -> SecretObject:
    body: dict[str, JsonValue] = {"metadata": {"name": "s"}, "data": secret_data(keys)}
    return SecretObject.model_validate(body)


def test_invitation_from_its_secret() -> None:
    keys = {"fed_rest_url": URL, "fed_req_token": "t", "fed_secret_key": KEY, "sync_sched": "m1"}
    invitation = parse_invitation(_secret(keys))
    assert invitation.leave_url == "http://admin.example.org/symetry/rest/c1/fedml/p1/leave"
    assert parse_invitation(_secret({**keys, "fed_rest_url": URL.removeprefix("http://")})).join_url == URL


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"fed_rest_url": URL, "fed_req_token": "t"},
        {"fed_rest_url": "http://x/y", "fed_req_token": "t", "fed_secret_key": "SECRETTEXT"},
        {"fed_rest_url": URL, "fed_req_token": "t", "fed_secret_key": "SECRETTEXT="},
    ],
)
def test_an_incomplete_invitation_says_what_is_wrong_without_its_secrets(keys: dict[str, str]) -> None:
    with pytest.raises(InvitationIncompleteError, match="unchanged") as error:
        parse_invitation(_secret(keys))
    assert "SECRETTEXT" not in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://h/createPolicies",
        "http://h/fedml//createPolicies",
        "http://h/fedml/p/x/createPolicies",
        "http://h/fedml/../createPolicies",
        "http://h/fedml%2Fp%2FcreatePolicies",
        "http://h/other?x=/fedml/p/createPolicies",
        "http://h/other#/fedml/p/createPolicies",
        "http://h/fedml/p/createPolicies?",
        "http://h/fedml/p/createPolicies#",
        "http://h/fedml/p/createPolicies/",
        "http://USERTEXT:SECRETTEXT@h/fedml/p/createPolicies",
        "ftp://h/fedml/p/createPolicies",
        "file:///fedml/p/createPolicies",
        "http:///fedml/p/createPolicies",
        "http://h:port/fedml/p/createPolicies",
        "http://h/\n/fedml/p/createPolicies",
    ],
)
def test_an_address_that_is_not_createPolicies_is_not_called(url: str) -> None:  # noqa: N802 - the call's name
    keys = {"fed_rest_url": url, "fed_req_token": "t", "fed_secret_key": KEY}
    with pytest.raises(InvitationIncompleteError, match="fed_rest_url") as error:
        parse_invitation(_secret(keys))
    assert "SECRETTEXT" not in str(error.value)
