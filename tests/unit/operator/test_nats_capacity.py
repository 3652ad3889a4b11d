"""Whether a NATS server has the storage that a federation asks for."""

import pytest

from symfed_operator.backends.base import NoCapacityError
from symfed_operator.backends.nats.backend import check_capacity
from symfed_operator.backends.nats.system import Storage


def test_what_is_reserved_already_is_not_needed_again() -> None:
    check_capacity("iris", {"A": 60, "B": 40}, Storage(max_bytes=100, reserved={"A": 60}, is_cluster=False))


def test_a_server_that_promised_too_much_serves_what_it_has() -> None:
    check_capacity("iris", {"A": 60}, Storage(max_bytes=50, reserved={"A": 60}, is_cluster=False))


def test_a_server_without_room_is_told_how_much_is_missing() -> None:
    full = Storage(max_bytes=100, reserved={"A": 60}, is_cluster=False)
    with pytest.raises(NoCapacityError, match=r"iris needs 41 bytes of storage more and .* has 40 of 100"):
        check_capacity("iris", {"B": 41}, full)


def test_a_cluster_decides_when_a_stream_comes() -> None:
    check_capacity("iris", {"B": 41}, Storage(max_bytes=0, reserved={}, is_cluster=True))
