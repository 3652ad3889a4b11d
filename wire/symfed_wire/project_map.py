"""The query and the body of `POST projects` as typed values (dataplane.md, Projects)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from symfed_wire.federation_map import PROJECT, PROJECT_LETTERS, LocalPeer
from symfed_wire.map_keys import MapKeys

# `dynamic` is what older clients call the CPU.
_TYPES: Mapping[str, Literal["cpu", "gpu"]] = {"cpu": "cpu", "dynamic": "cpu", "gpu": "gpu"}
# What is always so, or changes no result: rows are saved with each answer, and a sum is a merge.
_WITHOUT_EFFECT = ("sml_project_autosave", "sml_project_learn_merge")
# What nobody does, with the values that ask for nothing.
_NOT_SUPPORTED = {
    "sml_project_predicate_row_filter": ("",),
    "sml_project_rolling_window_size": ("", "0", "-1"),
}
# How a partitioned project is split; there are none.
_KNOWN = frozenset({"partitionSplit"})


@dataclass(frozen=True)
class ProjectMap:
    """A new project that belongs to no federation."""

    peer: LocalPeer
    unknown_keys: tuple[str, ...]


def parse_project(
    values: Mapping[str, JsonValue],
    pid: str | None,
    kind: str | None = None,
    persist: str | None = None,
    enable_histogram: str | None = None,
) -> ProjectMap:
    """The map of `POST projects` with its query; histograms are always kept. Raises FederationMapError."""
    keys = MapKeys(values)
    compute = _TYPES.get(kind or "cpu")
    if compute is None:
        keys.fault("type", f"{(kind or '')[:80]!r} is not cpu or gpu")
    keys.boolean("enableHistogram", enable_histogram, default=True)
    for key in _WITHOUT_EFFECT:
        keys.flag(key)
    for key, harmless in _NOT_SUPPORTED.items():
        if keys.text(key) not in harmless:
            keys.fault(key, "not supported by this version")
    parsed = ProjectMap(
        peer=LocalPeer(
            project=keys.checked("pid", pid, PROJECT, PROJECT_LETTERS),
            persist=keys.boolean("persist", persist, default=True),
            compute=compute or "cpu",
            send_action="Block",
            receive_action="Block",
        ),
        unknown_keys=keys.unknown(_KNOWN),
    )
    keys.raise_faults()
    return parsed
