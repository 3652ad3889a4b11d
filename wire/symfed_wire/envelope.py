"""The answer envelope (wire.md, section 2)."""

from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class Envelope(BaseModel):
    """The shape of every answer, errors included."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    status_code: str = Field(alias="statusCode")
    status_string: str = Field(alias="statusString")
    values: dict[str, JsonValue] = {}

    def to_json(self) -> bytes:
        """The bytes on the wire."""
        return self.model_dump_json(by_alias=True).encode()


def envelope(status: int, text: str = "OK", values: dict[str, JsonValue] | None = None) -> Envelope:
    """Build an envelope from a numeric HTTP status."""
    return Envelope(status_code=status_name(status), status_string=text, values=values or {})


def status_name(status: int) -> str:
    """Name of an HTTP status as the envelope spells it.

    Some names differ between Python versions (413, 422), so those are fixed here.
    """
    fixed = {413: "REQUEST_ENTITY_TOO_LARGE", 422: "UNPROCESSABLE_ENTITY"}
    return fixed.get(status) or HTTPStatus(status).name
