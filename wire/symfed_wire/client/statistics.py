"""Calls that read a project's statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from symfed_wire.client.calls import Calls, context, escaped, local
from symfed_wire.client.results import Density, Explored
from symfed_wire.client.results.base import parts
from symfed_wire.client.results.statistics import read_figures
from symfed_wire.errors import MalformedError


class StatisticsCalls(Calls):
    """Explore attributes, alone or in pairs."""

    def explore(
        self,
        pid: str,
        attributes: Sequence[str],
        other: str | None = None,
        *,
        metric: str | None = None,
        use_local: bool = False,
        peer: str | None = None,
    ) -> list[Explored]:
        """Figures about each attribute, or about each beside the attribute `other`.

        `metric` is `uni`, or with `other` `bi`, unless it says another; `peer` is the uuid of one peer whose
        own statistics are asked for, which that peer must have allowed.
        """
        call = f"/projects/{escaped(pid)}/explore"
        query = {"metric": metric or ("uni" if other is None else "bi"), "returnProjectInfo": "false"}
        extra: dict[str, JsonValue] = {} if peer is None else {"fed_peer_uuid_for_explore": peer}
        pairs = [[name] if other is None else [name, other] for name in attributes]
        body: dict[str, JsonValue] = {"values": [dict(context(pair, [], extra)) for pair in pairs]}
        found = self._send("POST", call, query | local(use_local), body).values.get("KSVDMap")
        entries = found.get("values") if isinstance(found, dict) else None
        if not isinstance(entries, list) or len(entries) != len(pairs):
            raise MalformedError(f"{call}: the answer has not one entry an attribute")
        return [
            Explored(name, other, read_figures(entry, call))
            for name, entry in zip(attributes, entries, strict=True)
        ]

    def density(
        self,
        pid: str,
        attributes: Sequence[str],
        *,
        bins: int | None = None,
        low: float | None = None,
        high: float | None = None,
        use_local: bool = False,
        peer: str | None = None,
    ) -> list[Density]:
        """A histogram of each attribute, by default of the server's choice of bins over all values."""
        call = f"/projects/{escaped(pid)}/densityEstimate"
        wanted: Mapping[str, JsonValue] = {
            "hist_bins": bins,
            "hist_min": low,
            "hist_max": high,
            "fed_peer_uuid_for_explore": peer,
        }
        extra = {name: value for name, value in wanted.items() if value is not None}
        body: dict[str, JsonValue] = {"values": [dict(context([name], [], extra)) for name in attributes]}
        answer = self._send("POST", call, local(use_local), body)
        return parts(answer.values, "densityList", Density, call)
