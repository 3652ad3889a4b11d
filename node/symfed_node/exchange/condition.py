"""What the condition Exchanging says. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_LONGEST: Final = 1000


@dataclass(frozen=True)
class Exchanging:
    """The condition: whether this peer takes part, and why (not). The message has no times in it."""

    is_so: bool
    reason: str
    message: str


PAUSED: Final = Exchanging(False, "Paused", "spec.pulse is false: nothing is published or merged")
REMOVED: Final = Exchanging(
    False, "Removed", "the federation lists this peer as removed; the federated project stays as it was"
)
REFUSED: Final = Exchanging(
    False,
    "Removed",
    "the backend refuses this peer's credentials; the federated project stays as it was",
)


def too_few_rows(rows: int, needed: int, published: int = 0) -> str:
    """Why nothing can be published; `needed` is 0 while no attribute is known.

    `published` is how many rows the last snapshot has, which then stays as it is.
    """
    if needed == 0:
        return "no rows have been learnt yet"
    text = f"{rows} rows may not be published: at least {needed} are needed"
    return f"{text}; the last snapshot stays, of {published} rows" if published else text


def after_exchange(
    *,
    names: Mapping[str, str],
    cannot_publish: str,
    left_out: Mapping[str, str],
    behind: Mapping[str, str],
    waiting_rows: int,
    older_volume: str = "",
    impaired: str = "",
) -> Exchanging:
    """The condition after an exchange went through.

    Args:
        names: the members' names by uuid.
        cannot_publish: why there is no own snapshot, or none of the rows as they are; or empty.
        left_out: uuid → the conflict that keeps a member out of the sum.
        behind: uuid → why a member's snapshot is missing or not its newest.
        waiting_rows: own rows, learnt or forgotten, that are too few to be published.
        older_volume: what was published and is not in the project any more, or empty.
        impaired: what of the backend does not work, although snapshots come and go, or empty.
    """
    if left_out:
        return Exchanging(False, "SchemaMismatch", _join(_list(left_out, names), impaired))
    if cannot_publish:
        return Exchanging(False, "TooFewRows", _join(older_volume, cannot_publish, impaired))
    if behind:
        return Exchanging(True, "PeerBehind", _join(older_volume, _list(behind, names), impaired))
    waiting = (
        f"a change of {waiting_rows} rows waits for more: so few are not published" if waiting_rows else ""
    )
    return Exchanging(True, "Current", _join(older_volume, waiting, impaired))


def _join(*texts: str) -> str:
    return "; ".join(text for text in texts if text)


def _list(faults: Mapping[str, str], names: Mapping[str, str]) -> str:
    text = "; ".join(f"{names.get(peer, '')} ({peer}): {fault}" for peer, fault in sorted(faults.items()))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
