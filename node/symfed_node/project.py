"""The project: the one object that ties learning, merging and building together."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pydantic import JsonValue

from symfed_node.batch import batch_of
from symfed_node.columns import input_columns, numeric_columns
from symfed_node.errors import JournalError, NoRowsError, NotSupportedError
from symfed_node.federated import Federated, known_part
from symfed_node.journal import Journal
from symfed_node.learnt import Answer, Op, Record, after, sum_after
from symfed_node.models.errors import ModelError
from symfed_node.models.linear import fit_linear
from symfed_node.models.predict import linear_predictor, predict
from symfed_node.modelstore import ModelInfo, ModelStore, Scope, StoredModel, linear_model_info
from symfed_node.statistics.device import CPU, Device
from symfed_node.statistics.doubledouble import FloatArray
from symfed_node.statistics.forget import check_forgettable
from symfed_node.statistics.merge import digest
from symfed_node.statistics.state import Feature, Statistics
from symfed_wire.errors import MalformedError
from symfed_wire.frames import DataFrame, MLContext

log = logging.getLogger(__name__)

ALGORITHMS: Final = ("mlr",)


def epoch_milliseconds() -> int:
    """Now, as the answers write dates."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, eq=False)
class View:
    """What an answer is computed from: the local rows, or the sum of the published snapshots."""

    stats: Statistics | None
    features: tuple[Feature, ...]
    """the attributes in the order of their indexes; `stats` may lack some"""
    epoch: int = 0
    """0 for local rows"""
    members: dict[str, int] = field(default_factory=dict)
    """epoch by uuid, for a merged sum"""

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes' names in the order of their indexes."""
        return tuple(feature.name for feature in self.features)

    @property
    def rows(self) -> int:
        """How many rows are in the sums."""
        return 0 if self.stats is None else self.stats.rows

    @property
    def digest(self) -> str:
        """Of the sums; empty without any."""
        return "" if self.stats is None else digest(known_part(self.stats))


class Project:
    """The state of a node's project. Safe for several threads; every call may take long."""

    def __init__(
        self,
        journal: Journal,
        models: ModelStore,
        *,
        created: int,
        clock: Callable[[], int] = epoch_milliseconds,
        device: Device = CPU,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._learning = threading.Lock()
        self._learnt = journal.recover()
        self._federated: Federated | None = None
        self.models = models
        self.created = created
        self.device = device

    @property
    def local(self) -> Statistics | None:
        """The sums over the own rows; None before the first."""
        return self._learnt.stats

    @property
    def federated(self) -> Federated | None:
        """What was merged last; None before the own first snapshot."""
        return self._federated

    @property
    def modified(self) -> int:
        """When rows were last learnt or forgotten, epoch milliseconds; 0 for never."""
        return self._learnt.modified

    @property
    def is_usable(self) -> bool:
        """Whether it can learn; after a failed write only a restart helps."""
        return self._journal.is_usable

    def set_federated(self, federated: Federated | None) -> None:
        """Answer from these merged snapshots from now on."""
        self._federated = federated

    def view(self, *, use_local: bool = False) -> View:
        """The federated project, or the local one when asked for or while nothing is merged."""
        federated = self._federated
        if use_local or federated is None:
            local = self.local
            return View(local, () if local is None else local.features)
        epochs = {peer: head.epoch for peer, head in federated.members.items()}
        return View(federated.stats, federated.features, federated.epoch, epochs)

    def learn(self, read_frame: Callable[[], DataFrame], request: str = "") -> Answer:
        """Add a frame's rows, all or none; on the disk when this returns.

        A `request` that was learnt before is answered as then; its frame is not read. Raises what
        `read_frame` does, BadCellError, NotSupportedError, SchemaMismatchError, ValueOutOfRangeError,
        GpuError, JournalError, and MalformedError for the id of a request of another kind; then nothing was
        learnt. Only after UnknownOutcomeError nobody knows.
        """
        return self._change("learn", read_frame, request)

    def forget(self, read_frame: Callable[[], DataFrame], request: str = "") -> Answer:
        """Take a frame's rows out again, all or none; on the disk when this returns.

        Repeats and errors are those of `learn`, besides NoRowsError, StatisticsError for more rows than there
        are, and NeverLearntError. The attributes stay when no row is left.
        """
        return self._change("forget", read_frame, request)

    def _change(self, op: Op, read_frame: Callable[[], DataFrame], request: str) -> Answer:
        with self._learning:
            if known := self._learnt.requests.find(request):
                if known.op != op:
                    raise MalformedError(f"this sym-request-id is that of a {known.op}: send another one")
                return known
            columns = numeric_columns(read_frame())
            batch = batch_of(columns, self.local, self.device)
            if op == "forget":
                if self.local is None:
                    raise NoRowsError("the project has no rows yet: there is nothing to forget")
                check_forgettable(self.local, batch)
            answer = Answer(columns.values.shape[1], columns.skipped, self._clock(), op)
            record = Record(request, answer, batch if batch.rows else None)
            stats = sum_after(self.local, record)
            self._journal.append(record)
            self._learnt = after(self._learnt, record, stats)
            self._checkpoint_when_due()
            return answer

    def build(self, algorithm: str, model_id: str, context: MLContext, *, use_local: bool) -> ModelInfo:
        """Build a model and keep it. Raises ModelError and what `check_build` raises."""
        view = self.view(use_local=use_local)
        inputs, target = check_build(view, algorithm, context)
        assert view.stats is not None  # noqa: S101 - check_build refuses a project without rows
        known = known_part(view.stats)
        if unseen := [view.names[i] for i in (*inputs, target) if view.names[i] not in known.names]:
            raise ModelError(f"no row has a value of {', '.join(unseen)}")
        positions = [known.index(view.names[i]) for i in (*inputs, target)]
        model = fit_linear(known, positions[:-1], positions[-1])
        origin: dict[str, JsonValue] = {
            "algorithm": algorithm,
            "epoch": view.epoch,
            "peers": dict(view.members),
        }
        info = linear_model_info(model, view.names, model_id=model_id, built_at=self._clock(), origin=origin)
        self.models.put(scope(use_local), StoredModel(info, linear_predictor(model, known)))
        return info

    def predict(
        self, model_id: str, read_frame: Callable[[], DataFrame], *, impute: bool, use_local: bool
    ) -> FloatArray:
        """A built model's target for each of a frame's rows, (n,).

        The model is the one that was there when this was called, whatever becomes of it meanwhile. Raises
        NoSuchModelError, ModelError for a model that an older version built, NoInputError, BadCellError,
        NotSupportedError and what `read_frame` does.
        """
        predictor = self.models.get(scope(use_local), model_id).predictor
        if predictor is None:
            raise ModelError(
                f"model [{model_id}] was built by an older version, which kept nothing to predict with: "
                "build it again"
            )
        return predict(predictor, input_columns(read_frame(), predictor.inputs), impute=impute)

    def close(self) -> None:
        """Close the journal."""
        with self._learning:
            self._journal.close()

    def _checkpoint_when_due(self) -> None:
        if not self._journal.is_due_for_checkpoint:
            return
        try:
            self._journal.checkpoint(self._learnt)
        except JournalError:
            # The rows are safe, so the learn is answered; health turns bad and a restart follows.
            log.exception("no checkpoint; the node must be restarted")


def scope(use_local: bool) -> Scope:
    """Where models of the local or of the federated project lie."""
    return "local" if use_local else "federated"


def check_build(view: View, algorithm: str, context: MLContext) -> tuple[list[int], int]:
    """Positions of the inputs and of the target.

    Raises NotSupportedError for another algorithm, NoRowsError, ModelError without exactly one target or any
    input, and MalformedError for attributes that are not there.
    """
    if algorithm not in ALGORITHMS:
        raise NotSupportedError(
            f"algorithm {algorithm!r} is not supported yet; supported: {', '.join(ALGORITHMS)}"
        )
    if view.rows == 0:
        raise NoRowsError("the project has no rows yet: learn some first")
    inputs, targets = context.input_positions(view.names), context.target_positions(view.names)
    if len(targets) != 1:
        raise ModelError(f"{algorithm} needs one target; {len(targets)} were named")
    if not inputs:
        raise ModelError(f"{algorithm} needs at least one input attribute")
    return inputs, targets[0]
