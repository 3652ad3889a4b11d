"""What explore and densityEstimate read: the project's statistics, or those of one peer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from symfed_node.density import Bins, Density, density
from symfed_node.errors import NoRowsError, NotSupportedError
from symfed_node.exchange.explorable import explorable
from symfed_node.exchange.rounds import Rounds
from symfed_node.explore import Figures, bivariate, univariate
from symfed_node.project import Project
from symfed_node.statistics.state import Statistics
from symfed_wire.errors import MalformedError
from symfed_wire.frames import ExploreContext, MLContext

PEER: Final = "fed_peer_uuid_for_explore"

_METRICS: Final[dict[str, tuple[int, Callable[..., Figures]]]] = {
    "uni": (1, univariate),
    "bi": (2, bivariate),
}
"""how many attributes each takes, and what computes it"""


@dataclass(frozen=True)
class Exploration:
    """Explores one node's project; without a federation `rounds` is None."""

    project: Project
    own: str
    """this peer's uuid"""
    rounds: Rounds | None

    def explore(self, metric: str, context: ExploreContext, *, use_local: bool) -> list[Figures]:
        """Figures for each entry of the context; of its attributes the first, or the first two, count.

        Raises NotSupportedError for another metric, MalformedError for attributes that are not there or too
        few of them, NoRowsError, GapsNotSupportedError and ExploreForbiddenError.
        """
        if metric not in _METRICS:
            raise NotSupportedError(
                f"metric {metric!r} is not supported yet; supported: {', '.join(_METRICS)}"
            )
        needed, compute = _METRICS[metric]
        found = []
        for entry in context.values:
            stats, positions = self._read(entry, use_local=use_local)
            if len(positions) < needed:
                raise MalformedError(
                    f"metric {metric} takes {needed} attribute(s); {len(positions)} were named"
                )
            found.append(compute(stats, *positions[:needed]))
        return found

    def densities(self, context: ExploreContext, *, use_local: bool) -> list[Density]:
        """A histogram for each attribute of each entry. Raises what `explore` does."""
        found = []
        for entry in context.values:
            bins = Bins.of(entry.extra_parameters)
            stats, positions = self._read(entry, use_local=use_local)
            if not positions:
                raise MalformedError("densityEstimate needs an attribute; none was named")
            found += [density(stats, position, bins) for position in positions]
        return found

    def _read(self, entry: MLContext, *, use_local: bool) -> tuple[Statistics, Sequence[int]]:
        """The statistics that an entry asks for, and where its attributes are in them."""
        view, peer = self.project.view(use_local=use_local), entry.extra_parameters.get(PEER)
        stats = view.stats if peer is None else self._of_peer(peer if isinstance(peer, str) else "")
        if stats is None:
            raise NoRowsError("the project has no rows yet: learn some first")
        names = view.names or stats.names  # an index is the project's, also where a peer has another order
        wanted = [names[i] for i in (*entry.input_positions(names), *entry.target_positions(names))]
        if absent := [name for name in wanted if name not in stats.names]:
            raise NoRowsError(f"no row has a value of {', '.join(absent)}")
        return stats, [stats.index(name) for name in wanted]

    def _of_peer(self, peer: str) -> Statistics:
        if self.rounds is None:
            raise NotSupportedError("the project belongs to no federation: there are no peers to explore")
        return explorable(peer, self.own, self.rounds.document, self.rounds.held)
