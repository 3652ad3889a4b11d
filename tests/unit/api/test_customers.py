"""Which namespace is whose."""

import base64
import logging
from typing import Any

import pytest

from symfed_api.customers import Customer, Customers, Namespaces
from symfed_wire.kube import JsonObject, WatchEvent
from symfed_wire.kube_errors import ForbiddenError, KubeError, NotFoundError


def namespace(name: str, customer: str | None, **metadata: Any) -> JsonObject:
    """A Namespace as a watch tells it."""
    labels: JsonObject = {"symfed.dev/customer": customer} if customer else {}
    return {"metadata": {"name": name, "labels": labels, **metadata}}


def test_a_customer_is_a_labelled_namespace() -> None:
    known = Namespaces()
    known.replace_all([namespace("a", "c1"), namespace("b", None)])
    assert (known.find("c1"), known.find("c2"), known.find("")) == ("a", None, None)


def test_of_two_namespaces_with_one_id_neither_serves() -> None:
    known = Namespaces()
    known.replace_all([namespace("a", "c1"), namespace("b", "c1")])
    assert known.find("c1") is None
    known.apply(WatchEvent("DELETED", namespace("b", "c1")))
    assert known.find("c1") == "a"


def test_changes_are_followed() -> None:
    known = Namespaces()
    known.apply(WatchEvent("ADDED", namespace("a", "c1")))
    known.apply(WatchEvent("MODIFIED", namespace("a", "c2")))
    assert (known.find("c1"), known.find("c2")) == (None, "a")
    known.apply(WatchEvent("MODIFIED", namespace("a", "c2", deletionTimestamp="2026-11-22T10:00:00Z")))
    assert known.find("c2") is None


def test_a_whole_list_forgets_what_is_not_in_it() -> None:
    known = Namespaces()
    known.apply(WatchEvent("ADDED", namespace("a", "c1")))
    known.replace_all([namespace("b", "c2")])
    assert (known.find("c1"), known.find("c2")) == (None, "b")


class Cluster:
    """An API server that answers each read of a Secret alike."""

    def __init__(self, answer: JsonObject | KubeError) -> None:
        self._answer = answer

    async def get(self, *_: object) -> JsonObject:
        """The Secret, or the refusal."""
        if isinstance(self._answer, KubeError):
            raise self._answer
        return self._answer


def directory(answer: JsonObject | KubeError) -> Customers:
    """A directory that knows the namespace of c1, and gets this answer for its Secret."""
    customers = Customers(Cluster(answer))  # type: ignore[arg-type]  # as much of it as is asked
    customers.namespaces.apply(WatchEvent("ADDED", namespace("ns-1", "c1")))
    return customers


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (
            ForbiddenError("forbidden: hidden"),
            "customer c1 waits: the gateway may not read Secrets in namespace ns-1 "
            "until the operator lets it",
        ),
        (
            NotFoundError("not found"),
            "customer c1 waits: namespace ns-1 has no Secret symfed-customer; it is to hold secretKey",
        ),
        (
            {"data": {"secretKey": "aGlkZGVu"}},
            "customer c1 waits: Secret symfed-customer in namespace ns-1 has no secretKey "
            "of 16 bytes in base64",
        ),
    ],
)
async def test_a_new_customer_waits_and_the_log_says_for_what(
    answer: JsonObject | KubeError, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    customers = directory(answer)
    for _ in range(3):
        assert await customers.find("c1") is None
        assert await customers.find("nobody") is None
    assert caplog.messages == [line]  # once as long as the answer is remembered, and for customers only


async def test_a_customer_that_is_served_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    key = base64.b64encode(bytes(16))
    found = await directory({"data": {"secretKey": base64.b64encode(key).decode()}}).find("c1")
    assert found == Customer("c1", "ns-1", key.decode())
    assert caplog.messages == []
