"""Who sent a signed request, and the opening and sealing of the bodies that go with it."""

import json
from dataclasses import dataclass, field

from pydantic import JsonValue

from symfed_api.errors import BadRequestError
from symfed_wire.bodies import V2_PREFIX, RequestLine, open_body, open_body_v2, seal_body, seal_body_v2
from symfed_wire.errors import UnsealError

_DOES_NOT_OPEN = "The body is not an encrypted JSON map under this customer's secret key"
_IS_NO_MAP = "The body is not a JSON map"


@dataclass(frozen=True)
class Caller:
    """An authenticated customer with one request; `is_second_form` says in which form to answer."""

    customer: str
    namespace: str
    secret_key: str = field(repr=False)
    line: RequestLine
    is_second_form: bool

    def open_map(self, body: bytes) -> dict[str, JsonValue]:
        """The encrypted map in a body; an empty body is an empty map. Raises BadRequestError.

        One error for every failure: nobody learns how far the decryption came.
        """
        text = body.decode("ascii", "replace").strip()
        if not text:
            return {}
        try:
            opened = json.loads(self._open(text))
        except (UnsealError, ValueError, RecursionError):
            raise BadRequestError(_DOES_NOT_OPEN) from None
        if not isinstance(opened, dict):
            raise BadRequestError(_DOES_NOT_OPEN)
        return opened

    def plain_map(self, body: bytes) -> dict[str, JsonValue]:
        """The map in a body that is plain JSON; an empty body is an empty map. Raises BadRequestError."""
        try:
            plain = json.loads(self.open_plain(body).strip() or b"{}")
        except (ValueError, RecursionError):
            raise BadRequestError(_IS_NO_MAP) from None
        if not isinstance(plain, dict):
            raise BadRequestError(_IS_NO_MAP)
        return plain

    def open_plain(self, body: bytes) -> bytes:
        """A body that is plain JSON in the first form and may be sealed in the second."""
        if not body.startswith(V2_PREFIX.encode()):
            return body
        try:
            return self._open(body.decode("ascii", "replace").strip()).encode()
        except UnsealError:
            raise BadRequestError(_DOES_NOT_OPEN) from None

    def seal(self, plain: str) -> str:
        """An encrypted text for an answer, in the form that was asked in."""
        if self.is_second_form:
            return seal_body_v2(plain, self.secret_key, self.line, "response")
        return seal_body(plain, self.secret_key)

    def _open(self, text: str) -> str:
        if text.startswith(V2_PREFIX):
            return open_body_v2(text, self.secret_key, self.line)
        return open_body(text, self.secret_key)
