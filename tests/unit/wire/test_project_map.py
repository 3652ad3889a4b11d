"""The map of a plain project: what is accepted, and what is refused by name."""

from typing import Any

import pytest

from symfed_wire.map_keys import FederationMapError
from symfed_wire.project_map import parse_project


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"sml_project_autosave": "true", "sml_project_learn_merge": "false"},
        {"sml_project_autosave": False, "sml_project_predicate_row_filter": None},
        {"sml_project_rolling_window_size": "0", "sml_project_predicate_row_filter": " "},
        {"sml_project_rolling_window_size": -1, "partitionSplit": [0.5, 0.5]},
        {"sml_project_rolling_window_size": 0.0},
    ],
)
def test_what_old_clients_always_send_is_accepted(values: dict[str, Any]) -> None:
    parsed = parse_project(values, "p1", enable_histogram="false")
    assert (parsed.peer.project, parsed.peer.persist, parsed.unknown_keys) == ("p1", True, ())


@pytest.mark.parametrize(
    ("kind", "compute"), [(None, "cpu"), ("cpu", "cpu"), ("dynamic", "cpu"), ("gpu", "gpu")]
)
def test_types(kind: str | None, compute: str) -> None:
    assert parse_project({}, "p1", kind).peer.compute == compute


def test_unknown_keys_are_named() -> None:
    assert parse_project({"b": 1, "a": {}}, "p1").unknown_keys == ("a", "b")


def test_what_nobody_does_is_refused_with_every_other_fault() -> None:
    values: dict[str, Any] = {
        "sml_project_autosave": "maybe",
        "sml_project_rolling_window_size": 1000,
        "sml_project_predicate_row_filter": "a==1",
    }
    with pytest.raises(FederationMapError) as refused:
        parse_project(values, "p/1", "partition", "perhaps", "often")
    assert str(refused.value) == (
        "type: 'partition' is not cpu or gpu; "
        "enableHistogram: 'often' is not true or false; "
        "sml_project_autosave: 'maybe' is not true or false; "
        "sml_project_predicate_row_filter: not supported by this version; "
        "sml_project_rolling_window_size: not supported by this version; "
        "pid: 'p/1' is not letters, digits, _, - and ., at most 63, a letter or digit first; "
        "persist: 'perhaps' is not true or false"
    )
