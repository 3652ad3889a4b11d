"""The two calls to another operator's gateway: asking to join, and saying that one leaves."""

import logging
from http import HTTPStatus

import httpx
from pydantic import ValidationError

from symfed_operator.cluster import SecretObject
from symfed_operator.documents import first_document
from symfed_operator.errors import (
    AdminUnreachableError,
    AwaitingAdminError,
    InvitationIncompleteError,
    InvitationRefusedError,
)
from symfed_wire.documents import Signed, WireModel, describe_faults
from symfed_wire.envelope import Envelope
from symfed_wire.errors import MalformedError, SymfedError, UnsealError
from symfed_wire.join import CreatePolicies, JoinAnswer, JoinRequest, open_join, seal_join

TIMEOUT = 30.0
_CREATE_POLICIES = "/createPolicies"

_log = logging.getLogger(__name__)


class OpenedInvitation(WireModel):
    """The keys of an invitation that a join needs; `fed_secret_key` is base64."""

    fed_rest_url: str
    fed_req_token: str
    fed_secret_key: str
    fed_document_key: str | None = None

    @property
    def join_url(self) -> str:
        """Where to ask; a scheme is added when missing, as the gateway does it."""
        url = self.fed_rest_url
        return url if "://" in url else f"http://{url}"

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
    if not invitation.join_url.endswith(_CREATE_POLICIES):
        raise InvitationIncompleteError(
            f"Secret {secret.metadata.name}: fed_rest_url does not end with {_CREATE_POLICIES}; "
            "pass the opened invitation on unchanged"
        )
    return invitation


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
    response = await _post(http, invitation.join_url, body.model_dump_json())
    if response.status_code == HTTPStatus.FORBIDDEN:
        raise InvitationRefusedError(f"the admin refused: {_text(response)}")
    _raise_for_status(response, invitation.join_url)
    text = _envelope(response, invitation.join_url).values.get("join")
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
    if answer.nats is None:
        raise InvitationRefusedError("the admin granted no NATS access, and nothing else is supported yet")
    return answer


async def say_leave(http: httpx.AsyncClient, url: str, leave: Signed) -> None:
    """One attempt to leave; an admin that does not know the member any more is as good as a yes.

    Raises:
        AwaitingAdminError: the admin is busy.
        AdminUnreachableError: no answer of a gateway.
    """
    response = await _post(http, url, leave.model_dump_json())
    if response.status_code in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        _log.info("%s: the admin does not know this member any more: %s", url, _text(response))
        return
    _raise_for_status(response, url)


async def _post(http: httpx.AsyncClient, url: str, body: str) -> httpx.Response:
    try:
        return await http.post(
            url, content=body, headers={"Content-Type": "application/json"}, timeout=TIMEOUT
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise AdminUnreachableError(f"POST {url}: {type(error).__name__} {error}") from error


def _raise_for_status(response: httpx.Response, url: str) -> None:
    if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        raise AwaitingAdminError(f"the admin has not decided yet: {_text(response)}", _retry_after(response))
    if response.status_code != HTTPStatus.OK:
        raise AdminUnreachableError(f"POST {url}: HTTP {response.status_code}: {_text(response)}")


def _retry_after(response: httpx.Response) -> float:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0


def _envelope(response: httpx.Response, url: str) -> Envelope:
    try:
        return Envelope.model_validate_json(response.content)
    except ValidationError:
        raise AdminUnreachableError(f"POST {url}: the answer is not a gateway's") from None


def _text(response: httpx.Response) -> str:
    """What the admin says, cut to a length that fits into a condition."""
    try:
        text = Envelope.model_validate_json(response.content).status_string
    except ValidationError:
        text = response.reason_phrase
    return text[:200]
