"""Which namespace is whose."""

from typing import Any

from symfed_api.customers import Namespaces
from symfed_wire.kube import JsonObject, WatchEvent


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
