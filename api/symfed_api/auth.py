"""Request signatures, checked before routing and before anything is decrypted (wire.md, section 1)."""

import hmac
import os
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from symfed_api.caller import Caller
from symfed_api.customers import Customer
from symfed_api.errors import BadRequestError, UnauthorizedError
from symfed_api.ws_messages import MessageHeader
from symfed_wire.bodies import V2_PREFIX, RequestLine
from symfed_wire.errors import MalformedError
from symfed_wire.signing import (
    DateOutsideWindowError,
    SignedRequest,
    check_date,
    check_nonce,
    content_md5,
    signature,
    signatures,
    string_to_sign,
    websocket_string_to_sign,
)

# Signatures of nobody are checked against this, so that they cost what a customer's cost.
_NOBODYS_KEY = b64encode(os.urandom(16)).decode()


@dataclass(frozen=True)
class RequestHead:
    """The parts of a request that its signature covers, but the body.

    `path` and `query` are as sent, percent-encoding untouched; `origins` are the `scheme://host` that the
    client may have signed in front of the path.
    """

    verb: str
    customer: str
    path: str
    query: str
    origins: tuple[str, ...]
    authorization: str
    date: str
    md5: str
    nonce: str


def check_head(head: RequestHead, now: datetime) -> None:
    """What can be refused before the body is read. Raises BadRequestError in the contract's words."""
    if not head.authorization:
        raise BadRequestError("Authentication header is null")
    if not head.date:
        raise BadRequestError("sym-date header is null")
    try:
        check_date(head.date, now)
        check_nonce(head.nonce, head.query)
    except (MalformedError, DateOutsideWindowError) as error:
        raise BadRequestError(str(error)) from None


def authenticate(
    head: RequestHead, body: bytes, customer: Customer | None, *, vendor_errors: bool = False
) -> Caller:
    """The caller of a signed request.

    An unknown customer and a wrong signature take the same work and, without `vendor_errors`, get the same
    answer. Raises BadRequestError, UnauthorizedError.
    """
    md5 = content_md5(body)
    if head.md5 and not hmac.compare_digest(head.md5.encode(), md5.encode()):
        raise BadRequestError("Md5 do not match")
    if body.startswith(V2_PREFIX.encode()) and not head.nonce:
        raise BadRequestError("A body in the second form (v2.) needs the header sym-nonce")
    key = customer.secret_key if customer else _NOBODYS_KEY
    request = _signed(head, body, md5)
    given = head.authorization.encode()
    # Which spelling of the address was signed is no secret, so the first one that fits ends the search.
    is_signed = any(
        hmac.compare_digest(expected.encode(), given)
        for expected in signatures(request, key, _resources(head))
    )
    if customer is None or not is_signed:
        raise _refusal(customer, string_to_sign(request, "SECRETKEY"), vendor_errors=vendor_errors)
    return Caller(
        customer=customer.id,
        namespace=customer.namespace,
        secret_key=customer.secret_key,
        line=RequestLine(head.verb, head.path, head.query, head.date),
        is_second_form=bool(head.nonce),
    )


def authenticate_message(
    header: MessageHeader,
    payload: str,
    customer: Customer | None,
    urls: Sequence[str],
    now: datetime,
    *,
    vendor_errors: bool = False,
) -> Customer:
    """The customer who signed a WebSocket's message for one of `urls`, as `authenticate` does it.

    Raises BadRequestError, UnauthorizedError.
    """
    if not header.signature:
        raise BadRequestError("Authentication header is null")
    if not header.date:
        raise BadRequestError("sym-date header is null")
    try:
        check_date(header.date, now)
    except (MalformedError, DateOutsideWindowError) as error:
        raise BadRequestError(str(error)) from None
    md5 = content_md5(payload.encode())
    if header.md5 and not hmac.compare_digest(header.md5.encode(), md5.encode()):
        raise BadRequestError("Md5 do not match")
    key = customer.secret_key if customer else _NOBODYS_KEY

    def signed_text(url: str, secret_key: str) -> str:
        return websocket_string_to_sign(
            md5=md5,
            secret_key=secret_key,
            date=header.date,
            customer=header.customer,
            payload=payload,
            url=url,
            extra_keys=header.extra_keys,
        )

    given = header.signature.encode()
    is_signed = any(
        hmac.compare_digest(signature(signed_text(url, key), key).encode(), given) for url in urls
    )
    if customer is None or not is_signed:
        raise _refusal(customer, signed_text(urls[0], "SECRETKEY"), vendor_errors=vendor_errors)
    return customer


def _resources(head: RequestHead) -> list[str]:
    """What the client may have signed: the path, or the full address up to the query."""
    return [head.path, *(origin + head.path for origin in head.origins if origin)]


def _signed(head: RequestHead, body: bytes, md5: str) -> SignedRequest:
    return SignedRequest(
        verb=head.verb,
        date=head.date,
        customer=head.customer,
        resource=head.path,
        query=head.query,
        body=body,
        md5=md5,
        nonce=head.nonce,
    )


def _refusal(customer: Customer | None, signed_text: str, *, vendor_errors: bool) -> UnauthorizedError:
    if not vendor_errors:
        return UnauthorizedError("Invalid Signature")
    if customer is None:
        return UnauthorizedError("Invalid User")
    return UnauthorizedError("Invalid Signature", {"stringToSign": signed_text})
