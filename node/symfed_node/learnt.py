"""What a node has learnt of its own rows, and what each record of its journal adds to that. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

from symfed_node.statistics.forget import without
from symfed_node.statistics.merge import add
from symfed_node.statistics.state import Statistics

KEPT_REQUESTS: Final = 10_000

Op: TypeAlias = Literal["learn", "forget"]


@dataclass(frozen=True)
class Answer:
    """What was answered: rows learnt or forgotten, rows left out for missing values, epoch milliseconds."""

    rows: int
    skipped: int
    at: int
    op: Op = "learn"


@dataclass(frozen=True)
class Record:
    """One learn or forget. `batch` is None when all rows were left out."""

    request: str
    """the client's sym-request-id, or empty"""
    answer: Answer
    batch: Statistics | None


class Requests:
    """The newest KEPT_REQUESTS request ids with what was answered."""

    def __init__(self, answers: Iterable[tuple[str, Answer]] = ()) -> None:
        self._answers = dict(answers)

    def find(self, request: str) -> Answer | None:
        """What this request was answered, or None for a new one."""
        return self._answers.get(request)

    def keep(self, request: str, answer: Answer) -> None:
        """Remember one more, and forget the oldest when there are too many."""
        if request:
            self._answers[request] = answer
        if len(self._answers) > KEPT_REQUESTS:
            del self._answers[next(iter(self._answers))]

    def items(self) -> list[tuple[str, Answer]]:
        """All of them, oldest first."""
        return list(self._answers.items())


@dataclass(frozen=True)
class Learnt:
    """All that a node's own rows amount to. `requests` is the one part that changes in place."""

    stats: Statistics | None = None
    modified: int = 0
    """when something was last learnt or forgotten, epoch milliseconds"""
    requests: Requests = field(default_factory=Requests)


def sum_after(stats: Statistics | None, record: Record) -> Statistics | None:
    """The sums once a record's batch is among them, or no longer."""
    batch = record.batch
    if batch is None:
        return stats
    if stats is not None and record.answer.op == "forget":
        return without(stats, batch)
    return batch if stats is None or stats.rows == 0 else add(stats, batch)


def apply(learnt: Learnt, record: Record) -> Learnt:
    """`learnt` after one more record."""
    return after(learnt, record, sum_after(learnt.stats, record))


def after(learnt: Learnt, record: Record, stats: Statistics | None) -> Learnt:
    """`learnt` after a record with which the sums are `stats`."""
    learnt.requests.keep(record.request, record.answer)
    return replace(learnt, stats=stats, modified=record.answer.at)
