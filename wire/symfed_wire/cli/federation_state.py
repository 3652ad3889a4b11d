"""How a federation stands as this customer's projects see it. Pure: answers in, a verdict out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, computed_field

from symfed_wire.client.results import Condition, FederationInfo, SyncStats

KEPT_ERRORS = 3
_SUMMARY = "Ready"  # repeats the first of the others that is False
_SILENT = "nothing has come from it; a peer with too few rows publishes nothing"


class State(BaseModel):
    """A frozen part of what is shown."""

    model_config = ConfigDict(frozen=True)


class MemberState(State):
    """A member as the first project that answers has it; `why` says why it is not in the sum."""

    uuid: str
    name: str
    epoch: int
    rows: int
    age_seconds: float | None
    merged: bool
    why: str


class OwnState(State):
    """One of the customer's own projects; `digest` and `rows` are those of its sum."""

    project: str
    uuid: str
    ready: bool
    why: str
    pulsing: bool
    digest: str | None
    rows: int
    conditions: tuple[Condition, ...]
    last_errors: tuple[str, ...]


class FederationState(State):
    """All of it; `faults` is empty when all is well."""

    name: str
    schedule: str
    members: tuple[MemberState, ...]
    projects: tuple[OwnState, ...]

    @computed_field  # type: ignore[prop-decorator]  # pydantic's own way
    @property
    def digests(self) -> str:
        """`equal`, `different`, or `unknown` while fewer than two of the own projects answer."""
        digests = [project.digest for project in self.projects if project.ready]
        if len(digests) < 2:
            return "unknown"
        return "equal" if len(set(digests)) == 1 else "different"

    @computed_field  # type: ignore[prop-decorator]  # pydantic's own way
    @property
    def faults(self) -> tuple[str, ...]:
        """A line for each thing that is not well."""
        found = [f"{p.project} is not ready: {p.why}" for p in self.projects if not p.ready]
        found += [f"{m.name or m.uuid} is not in the sum: {m.why}" for m in self.members if not m.merged]
        if self.digests == "different":
            found.append(f"the sums differ: {_by_digest(self.projects)}")
        found += [
            f"{project.project}: {condition.type} is {condition.status}: {_reason(condition)}"
            for project in self.projects
            for condition in project.conditions
            if condition.status == "False" and condition.type != _SUMMARY and project.ready
        ]
        return tuple(found)

    @computed_field  # type: ignore[prop-decorator]  # pydantic's own way
    @property
    def well(self) -> bool:
        """Whether every project is ready, every member is merged and all sums are equal."""
        return not self.faults


@dataclass(frozen=True)
class Seen:
    """What was asked about one project; `stats` is text when its node is not ready: why."""

    project: str
    info: FederationInfo
    stats: SyncStats | str


def group(seen: Iterable[Seen]) -> list[list[Seen]]:
    """Projects by federation. Two federations may bear one name: then their members tell them apart."""
    groups: list[list[Seen]] = []
    for one in seen:
        fitting = next((g for g in groups if _is_together(g[0].info, one.info)), None)
        if fitting is None:
            groups.append([one])
        else:
            fitting.append(one)
    return groups


def judge(seen: Sequence[Seen]) -> FederationState:
    """How the federation of these projects stands."""
    first = seen[0].info
    answered = next((one for one in seen if isinstance(one.stats, SyncStats)), None)
    return FederationState(
        name=first.fed_name,
        schedule=first.sync_sched,
        members=() if answered is None else tuple(_members(answered)),
        projects=tuple(_own(one) for one in seen),
    )


def _is_together(one: FederationInfo, other: FederationInfo) -> bool:
    if one.fed_name != other.fed_name:
        return False
    is_known = bool(one.peers and other.local_uuid)
    return other.local_uuid in one.peers if is_known else True


def _members(seen: Seen) -> Iterable[MemberState]:
    if isinstance(seen.stats, str):
        return
    for uuid, peer in sorted(seen.stats.peers.items(), key=lambda item: (item[1].name, item[0])):
        merged = peer.epoch > 0
        yield MemberState(
            uuid=uuid,
            name=peer.name,
            epoch=peer.epoch,
            rows=peer.rows,
            age_seconds=peer.age_seconds,
            merged=merged,
            why="" if merged else _why(uuid, seen.stats.error_log),
        )


def _why(uuid: str, errors: Sequence[str]) -> str:
    """The newest error that names the member, else the usual cause."""
    return next((line for line in reversed(errors) if uuid in line), _SILENT)


def _own(seen: Seen) -> OwnState:
    stats = seen.stats if isinstance(seen.stats, SyncStats) else SyncStats()
    return OwnState(
        project=seen.project,
        uuid=seen.info.local_uuid,
        ready=isinstance(seen.stats, SyncStats),
        why=seen.stats if isinstance(seen.stats, str) else "",
        pulsing=seen.info.is_pulsing,
        digest=stats.merged.digest,
        rows=stats.merged.rows,
        conditions=seen.info.conditions,
        last_errors=stats.error_log[-KEPT_ERRORS:],
    )


def _by_digest(projects: Sequence[OwnState]) -> str:
    """Which projects have the same sum: `a, b | c`."""
    groups: dict[str | None, list[str]] = {}
    for project in projects:
        if project.ready:
            groups.setdefault(project.digest, []).append(project.project)
    return " | ".join(", ".join(names) for names in groups.values())


def _reason(condition: Condition) -> str:
    return f"{condition.reason}: {condition.message}" if condition.message else condition.reason
