"""The messages of a WebSocket (wire.md, section 8): `<n>,<header><payload>`. Pure."""

import json
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from symfed_api.errors import BadRequestError

HEADER_LENGTH: Final = 4096
_DIGITS: Final = len(str(HEADER_LENGTH))
_FORM: Final = (
    'The header is not {"headers": [date, MD5, signature, customer id], "extraKeys": [project id]}, '
    "for predict with the model id after the project id"
)


@dataclass(frozen=True)
class MessageHeader:
    """Who sends a message, and to which project; `model` is there for predict alone."""

    date: str
    md5: str
    signature: str
    customer: str
    project: str
    model: str | None = None

    @property
    def extra_keys(self) -> list[str]:
        """The keys as they are signed."""
        return [self.project] if self.model is None else [self.project, self.model]


@dataclass(frozen=True)
class Message:
    """A message; one without a header goes to where the connection's last header said."""

    header: MessageHeader | None
    payload: str


def parse_message(text: str, *, with_model: bool) -> Message:
    """A message as it came; `with_model` is true for predict. Raises BadRequestError."""
    length, comma, _ = text[: _DIGITS + 1].partition(",")
    if not comma or not (length.isascii() and length.isdecimal()):
        raise BadRequestError(
            f"The message does not begin with its header's length, {HEADER_LENGTH} at most, and a comma"
        )
    size, start = int(length), len(length) + 1
    if size > HEADER_LENGTH:
        raise BadRequestError(f"The header is longer than {HEADER_LENGTH} characters")
    if size > len(text) - start:
        raise BadRequestError(f"The header's length is {size}, but only {len(text) - start} characters came")
    payload = text[start + size :]
    if size == 0:
        return Message(None, payload)
    return Message(_parse_header(text[start : start + size], with_model=with_model), payload)


def _parse_header(text: str, *, with_model: bool) -> MessageHeader:
    try:
        header: JsonValue = json.loads(text)
    except (ValueError, RecursionError):
        raise BadRequestError(_FORM) from None
    if not isinstance(header, dict):
        raise BadRequestError(_FORM)
    signed, keys = _texts(header.get("headers")), _texts(header.get("extraKeys"))
    if signed is None or len(signed) != 4 or keys is None or len(keys) != (2 if with_model else 1):
        raise BadRequestError(_FORM)
    date, md5, signature, customer = signed
    return MessageHeader(date, md5, signature, customer, *keys)


def _texts(values: JsonValue) -> list[str] | None:
    """A list of texts; `null` stands for an empty one, as in a header that was left out."""
    if not isinstance(values, list):
        return None
    texts = [value or "" for value in values if value is None or (isinstance(value, str) and _is_text(value))]
    return texts if len(texts) == len(values) else None


def _is_text(value: str) -> bool:
    """Whether it can be signed: JSON may hold halves of characters."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
