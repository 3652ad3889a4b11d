"""The root of every part's exception hierarchy."""


class SymfedError(Exception):
    """Something that the reader can act on: what happened, to which object, what to do.

    `reason` is a CamelCase code; operator and node use it as the condition's reason.
    Messages never contain a secret.
    """

    reason: str = "Error"


class MalformedError(SymfedError):
    """Bytes or a text from outside do not have the form that the contract gives them."""

    reason = "Malformed"


class UnsealError(SymfedError):
    """A ciphertext does not open. The cause is deliberately not told (no padding oracle)."""

    reason = "CannotOpen"

    def __init__(self) -> None:
        super().__init__("the encrypted text does not open with this key")
