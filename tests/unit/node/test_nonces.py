"""Nonces are refused again as long as the request's date is good, and then forgotten."""

import pytest

from symfed_node.nonces import KEPT_SECONDS, Nonces, RepeatedNonceError
from symfed_wire.errors import MalformedError

NONCE = "0123456789abcdef"


def test_a_nonce_counts_for_its_window() -> None:
    now = 0.0
    nonces = Nonces(lambda: now)
    nonces.take(NONCE)
    for now in (0.0, 1.0, float(KEPT_SECONDS)):  # noqa: B007 - the clock reads it
        with pytest.raises(RepeatedNonceError, match="Repeated nonce"):
            nonces.take(NONCE)
    now = KEPT_SECONDS + 1.0
    nonces.take(NONCE)


def test_old_ones_are_forgotten() -> None:
    now = 0.0
    nonces = Nonces(lambda: now)
    for number in range(1000):
        now = float(number)
        nonces.take(f"{number:016}")
    assert len(nonces) == KEPT_SECONDS + 1


@pytest.mark.parametrize("length", [1, 15, 65, 10_000])
def test_its_length_is_bounded(length: int) -> None:
    with pytest.raises(MalformedError, match="sym-nonce must have 16 to 64 characters"):
        Nonces().take("x" * length)
