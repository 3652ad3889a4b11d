"""Calls that send rows: learn, forget, predict."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Literal

from symfed_wire.client.calls import Calls, escaped, flag, local
from symfed_wire.client.http import Call
from symfed_wire.client.results import Prediction, RowCount
from symfed_wire.client.results.statistics import read_prediction
from symfed_wire.errors import MalformedError
from symfed_wire.frames import IGNORED, DataFrame, is_missing

BATCH_ROWS = 10_000
_COUNTS = {"learn": "learned", "forget": "forgotten"}


class RowCalls(Calls):
    """Rows go in batches; a batch is done whole or not at all."""

    def learn(self, pid: str, frame: DataFrame, batch_rows: int = BATCH_ROWS) -> RowCount:
        """Add rows to the local project."""
        return self._change(pid, "learn", frame, batch_rows)

    def forget(self, pid: str, frame: DataFrame, batch_rows: int = BATCH_ROWS) -> RowCount:
        """Take rows away that were learnt before."""
        return self._change(pid, "forget", frame, batch_rows)

    def predict(
        self,
        pid: str,
        model_id: str,
        frame: DataFrame,
        *,
        impute: bool = False,
        use_local: bool = False,
        batch_rows: int = BATCH_ROWS,
    ) -> list[Prediction]:
        """One prediction a row. A missing input counts as its mean, with `impute` as the others suggest."""
        path = f"/projects/{escaped(pid)}/predict/{escaped(model_id)}"
        query = {"impute": flag(impute)} | local(use_local)
        found: list[Prediction] = []
        for batch in batches(frame, batch_rows):
            entries = self._send("POST", path, query, batch.to_json()).values.get("KSVSMap")
            listed = entries.get("values") if isinstance(entries, dict) else None
            if not isinstance(listed, list) or len(listed) != len(batch.data):
                raise MalformedError(f"{path}: the answer has not one prediction a row")
            found += [read_prediction(entry, path) for entry in listed]
        return found

    def _change(
        self, pid: str, what: Literal["learn", "forget"], frame: DataFrame, batch_rows: int
    ) -> RowCount:
        total = RowCount(0, 0)
        for batch in batches(frame, batch_rows):
            total += self._change_batch(pid, what, batch)
        return total

    def _change_batch(self, pid: str, what: Literal["learn", "forget"], batch: DataFrame) -> RowCount:
        call = Call(
            "POST",
            f"/projects/{escaped(pid)}/{what}",
            body=batch.to_json(),
            request_id=uuid.uuid4().hex,
        )
        values = self._caller.send(call).values
        rows, skipped = values.get(_COUNTS[what]), values.get("skipped")
        if isinstance(rows, int) and isinstance(skipped, int):
            return RowCount(rows, skipped)
        incomplete = _incomplete_rows(batch)  # the vendor's servers say nothing
        return RowCount(len(batch.data) - incomplete, incomplete)


def batches(frame: DataFrame, rows: int) -> Iterator[DataFrame]:
    """The frame in parts of at most `rows` rows."""
    for start in range(0, len(frame.data), rows):
        yield DataFrame(frame.attribute_names, frame.attribute_types, frame.data[start : start + rows])


def _incomplete_rows(frame: DataFrame) -> int:
    """Rows with a missing value in a column that is learnt."""
    used = [index for index, kind in enumerate(frame.attribute_types) if kind != IGNORED]
    return sum(any(is_missing(row[index]) for index in used) for row in frame.data)
