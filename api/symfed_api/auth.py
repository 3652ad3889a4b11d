"""Request signatures, checked before routing and before anything is decrypted (wire.md, section 1)."""

import hmac
import os
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime

from symfed_api.caller import Caller
from symfed_api.customers import Customer
from symfed_api.errors import BadRequestError, UnauthorizedError
from symfed_wire.bodies import V2_PREFIX, RequestLine
from symfed_wire.errors import MalformedError
from symfed_wire.signing import (
    DateOutsideWindowError,
    SignedRequest,
    check_date,
    check_nonce,
    content_md5,
    is_signed,
    string_to_sign,
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
    if head.md5 and not hmac.compare_digest(head.md5.encode(), content_md5(body).encode()):
        raise BadRequestError("Md5 do not match")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise BadRequestError("The body is not text in UTF-8") from None
    if text.startswith(V2_PREFIX) and not head.nonce:
        raise BadRequestError("A body in the second form (v2.) needs the header sym-nonce")
    key = customer.secret_key if customer else _NOBODYS_KEY
    readings = [_signed(head, body, text, resource) for resource in _resources(head)]
    matches = [is_signed(reading, key, head.authorization) for reading in readings]
    if customer is None or not any(matches):
        raise _refusal(customer, readings[0], vendor_errors=vendor_errors)
    return Caller(
        customer=customer.id,
        namespace=customer.namespace,
        secret_key=customer.secret_key,
        line=RequestLine(head.verb, head.path, head.query, head.date),
        is_second_form=bool(head.nonce),
    )


def _resources(head: RequestHead) -> list[str]:
    """What the client may have signed: the path, or the full address up to the query."""
    return [head.path, *(origin + head.path for origin in head.origins)]


def _signed(head: RequestHead, body: bytes, text: str, resource: str) -> SignedRequest:
    return SignedRequest(
        verb=head.verb,
        date=head.date,
        customer=head.customer,
        resource=resource,
        query=head.query,
        body=text,
        md5=head.md5 or content_md5(body),
        nonce=head.nonce,
    )


def _refusal(customer: Customer | None, reading: SignedRequest, *, vendor_errors: bool) -> UnauthorizedError:
    if not vendor_errors:
        return UnauthorizedError("Invalid Signature")
    if customer is None:
        return UnauthorizedError("Invalid User")
    return UnauthorizedError("Invalid Signature", {"stringToSign": string_to_sign(reading, "SECRETKEY")})
