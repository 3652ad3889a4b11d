"""The two calls to another operator's gateway: asking to join, and saying that one leaves.

A customer chooses whom they go to, so nothing that comes back may cost the operator more than a little:
not its length, not its time, not where it points to.
"""

import asyncio
import logging
from dataclasses import dataclass
from http import HTTPStatus

import httpx
from pydantic import ValidationError

from symfed_operator.documents import first_document
from symfed_operator.errors import AdminUnreachableError, AwaitingAdminError, InvitationRefusedError
from symfed_operator.invitation import OpenedInvitation
from symfed_wire.documents import Signed
from symfed_wire.envelope import Envelope
from symfed_wire.errors import MalformedError, SymfedError, UnsealError
from symfed_wire.join import CreatePolicies, JoinAnswer, JoinRequest, open_join, seal_join

TIMEOUT = 30.0  # of a whole call, in seconds
_LONGEST_ANSWER = 1024 * 1024
_LONGEST_TEXT = 200

_log = logging.getLogger(__name__)


async def ask_to_join(
    http: httpx.AsyncClient, invitation: OpenedInvitation, request: JoinRequest
) -> JoinAnswer:
    """One attempt at the admin's gateway.

    Raises:
        InvitationRefusedError: the admin said no, or its answer is not the admin's.
        AwaitingAdminError: the admin's operator has not granted it yet.
        AdminUnreachableError: no answer of a gateway.
    """
    sealed = seal_join(request, invitation.fed_secret_key, invitation.fed_req_token)
    body = CreatePolicies(fed_req_token=invitation.fed_req_token, peer=sealed)
    answer = await _post(http, invitation.join_url, body.model_dump_json())
    if answer.status == HTTPStatus.FORBIDDEN:
        _envelope(answer, invitation.join_url)  # what a proxy says on the way is no refusal
        raise InvitationRefusedError(f"the admin refused: {answer.text}")
    _raise_for_status(answer, invitation.join_url)
    text = _envelope(answer, invitation.join_url).values.get("join")
    return open_answer(invitation, str(text))


def open_answer(invitation: OpenedInvitation, text: str) -> JoinAnswer:
    """Open the admin's answer and check whose it is. Raises InvitationRefusedError."""
    try:
        answer = open_join(text, invitation.fed_secret_key, invitation.fed_req_token, JoinAnswer)
        if invitation.fed_document_key not in (None, answer.document_key):
            raise InvitationRefusedError(
                "the answer's document key is not the invitation's: it is not from the federation's admin"
            )
        first_document(answer)
    except (UnsealError, MalformedError) as error:
        raise InvitationRefusedError(f"the admin's answer: {error}") from error
    except InvitationRefusedError:
        raise
    except SymfedError as error:
        raise InvitationRefusedError(f"the admin's federation document: {error}") from error
    if (answer.nats is None) == (answer.aws is None):
        raise InvitationRefusedError("the admin's answer grants neither NATS nor AWS, or both")
    if (answer.aws is None) != (invitation.aws_topic_arn is None):
        raise InvitationRefusedError("the admin's answer is of another backend than its invitation")
    return answer


async def say_leave(http: httpx.AsyncClient, url: str, leave: Signed) -> None:
    """One attempt to leave; an admin that does not know the member any more is as good as a yes.

    Raises:
        AwaitingAdminError: the admin is busy.
        AdminUnreachableError: no answer of a gateway.
    """
    answer = await _post(http, url, leave.model_dump_json())
    if answer.status in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        _envelope(answer, url)  # a proxy whose gateway is away knows nothing of members
        _log.info("%s: the admin does not know this member any more: %s", url, answer.text)
        return
    _raise_for_status(answer, url)


@dataclass(frozen=True)
class _Answer:
    """What came back; `retry_after` is in seconds, 0 when the admin does not say."""

    status: int
    phrase: str
    retry_after: float
    content: bytes

    @property
    def text(self) -> str:
        """What the admin says: one line, short enough for a condition and a log."""
        try:
            text = Envelope.model_validate_json(self.content).status_string
        except ValidationError:
            text = self.phrase
        return _one_line(text)


async def _post(http: httpx.AsyncClient, url: str, body: str) -> _Answer:
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    try:
        async with (
            asyncio.timeout(TIMEOUT),
            http.stream("POST", url, content=body, headers=headers, follow_redirects=False) as response,
        ):
            return await _read(response, url)
    except TimeoutError:
        raise AdminUnreachableError(f"POST {url}: no whole answer within {TIMEOUT:.0f} s") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        said = _one_line(f"{type(error).__name__} {error}")
        raise AdminUnreachableError(f"POST {url}: {said}") from error
    finally:
        http.cookies.clear()  # one client for all admins would keep what each of them sets


async def _read(response: httpx.Response, url: str) -> _Answer:
    """As it comes over the wire: a compressed answer is not asked for, and not inflated."""
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > _LONGEST_ANSWER:
            raise AdminUnreachableError(f"POST {url}: the answer is longer than {_LONGEST_ANSWER} bytes")
    pause = response.headers.get("Retry-After", "")
    return _Answer(
        status=response.status_code,
        phrase=response.reason_phrase,
        retry_after=float(pause) if pause.isdecimal() else 0.0,
        content=bytes(content),
    )


def _raise_for_status(answer: _Answer, url: str) -> None:
    if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
        raise AwaitingAdminError(f"the admin has not decided yet: {answer.text}", answer.retry_after)
    if answer.status != HTTPStatus.OK:
        raise AdminUnreachableError(f"POST {url}: HTTP {answer.status}: {answer.text}")


def _envelope(answer: _Answer, url: str) -> Envelope:
    try:
        return Envelope.model_validate_json(answer.content)
    except ValidationError:
        raise AdminUnreachableError(
            f"POST {url}: HTTP {answer.status}: the answer is not a gateway's"
        ) from None


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text[:_LONGEST_TEXT])
