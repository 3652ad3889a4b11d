"""Forgetting: the sums as if the rows had never been learnt, or a refusal in words."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from symfed_node.errors import NoRowsError
from symfed_node.journal import Journal
from symfed_node.learnt import Answer
from symfed_node.modelstore import ModelStore
from symfed_node.project import Project
from symfed_node.statistics.errors import NeverLearntError, SchemaMismatchError, StatisticsError
from symfed_node.statistics.merge import digest
from symfed_node.stored import to_bytes
from symfed_wire.errors import MalformedError
from symfed_wire.frames import DataFrame, MLContext

RNG = np.random.default_rng(11)
NAMES = ("a", "b", "c")


def project_in(folder: Path, checkpoint_bytes: int = 1 << 20) -> Project:
    journal = Journal(folder / "journal", checkpoint_bytes=checkpoint_bytes)
    return Project(journal, ModelStore(folder / "models"), created=1, clock=lambda: 1234)


def frame(rows: int) -> DataFrame:
    """Rows whose sums are no float64, so that the low words matter."""
    return of(RNG.normal([1e3, -5.0, 0.1], [3.0, 0.01, 7.0], size=(rows, 3)).tolist())


def of(rows: list[list[float]], names: tuple[str, ...] = NAMES) -> DataFrame:
    return DataFrame(names, ("C",) * len(names), rows)


def part(data: DataFrame, start: int = 0, end: int | None = None) -> DataFrame:
    return DataFrame(NAMES, data.attribute_types, data.data[start:end])


def bits(project: Project) -> bytes:
    """Every bit of the sums and the histograms; the extremes may not be known any more."""
    assert project.local is not None
    words = [
        word
        for sums in (project.local.sum, project.local.gram, project.local.m3, project.local.m4)
        for word in (sums.hi, sums.lo)
    ]
    histograms = project.local.histograms
    arrays = [project.local.count, project.local.shift, *words, histograms.key, histograms.count]
    return b"".join(array.tobytes() for array in arrays)


@pytest.mark.parametrize("checkpoint_bytes", [1 << 20, 100], ids=["journal", "checkpoints"])
def test_a_forgotten_batch_leaves_every_bit_as_if_it_had_never_been_learnt(
    tmp_path: Path, checkpoint_bytes: int
) -> None:
    first, batch, last = frame(700), frame(300), frame(50)
    never = project_in(tmp_path / "never")
    for rows in (first, last):
        never.learn(partial(part, rows))
    project = project_in(tmp_path / "forgot", checkpoint_bytes)
    for rows in (first, batch, last):
        project.learn(partial(part, rows))
    assert project.forget(lambda: batch) == Answer(300, 0, 1234, "forget")
    assert bits(project) == bits(never)
    assert project.local is not None
    assert project.local.rows == 750
    restarted = project_in(tmp_path / "forgot", checkpoint_bytes)
    assert restarted.local is not None
    assert to_bytes(restarted.local) == to_bytes(project.local)
    assert never.local is not None
    assert digest(restarted.local) == digest(never.local)


def test_rows_may_be_forgotten_in_other_batches_than_they_were_learnt(tmp_path: Path) -> None:
    data, kept = frame(1000), frame(30)
    project = project_in(tmp_path)
    project.learn(lambda: kept)
    before = project.local
    project.learn(lambda: data)
    for start in range(0, 1000, 50):
        project.forget(partial(part, data, start, start + 50))
    assert before is not None
    assert project.local is not None
    assert project.local.rows == 30
    np.testing.assert_allclose(project.local.gram.hi, before.gram.hi, rtol=1e-9, atol=1e-9)
    assert np.array_equal(project.local.histograms.count, before.histograms.count)


def test_a_repeat_is_answered_as_the_first_time_and_forgets_nothing(tmp_path: Path) -> None:
    project, data = project_in(tmp_path, 100), frame(20)
    project.learn(lambda: data, "learn 1")
    first = project.forget(lambda: part(data, 0, 5), "forget 1")

    def unread() -> DataFrame:
        raise AssertionError("a repeat's body is not read")

    for same in (project, project_in(tmp_path)):
        assert same.forget(unread, "forget 1") == first == Answer(5, 0, 1234, "forget")
        assert same.view().rows == 15
        with pytest.raises(MalformedError, match="this sym-request-id is that of a learn: send another one"):
            same.forget(unread, "learn 1")
        with pytest.raises(MalformedError, match="this sym-request-id is that of a forget"):
            same.learn(unread, "forget 1")


def test_without_any_row_the_attributes_stay_and_nothing_breaks(tmp_path: Path) -> None:
    project, data, other = project_in(tmp_path), frame(40), frame(25)
    project.learn(lambda: data)
    project.forget(lambda: part(data, 0, 15))
    project.forget(lambda: part(data, 15, 40))
    for same in (project, project_in(tmp_path)):
        assert same.view().rows == 0
        assert same.view().names == NAMES
        assert same.view().digest
        assert same.local is not None
        assert not same.local.gram.hi.any()
        with pytest.raises(NoRowsError, match="the project has no rows yet"):
            same.build("mlr", "m", MLContext(("2",), ("0",)), use_local=True)
        with pytest.raises(StatisticsError, match="cannot take 40 rows out of 0"):
            same.forget(lambda: data)
        with pytest.raises(SchemaMismatchError, match="rows without c"):
            same.learn(lambda: of([[1.0, 2.0]], ("a", "b")))
    fresh = project_in(tmp_path / "fresh")
    for learning in (project, fresh):
        learning.learn(lambda: other)
    assert project.local is not None
    assert fresh.local is not None
    assert to_bytes(project.local) == to_bytes(fresh.local)


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([[1.0, 2.0, 3.0]] * 41, StatisticsError, "cannot take 41 rows out of 40: more would be forgotten"),
        ([[1.0, 2.0, 3.0]], NeverLearntError, "^a, b, c: not all of these rows were learnt, or some were"),
        ([[1000.0, -5.0, 1e9]], NeverLearntError, "c: not all of these rows were learnt"),
    ],
)
def test_rows_that_were_never_learnt_are_refused_whole(
    tmp_path: Path, rows: list[list[float]], error: type[Exception], message: str
) -> None:
    project = project_in(tmp_path)
    project.learn(lambda: frame(40))
    before = project.local
    with pytest.raises(error, match=message):
        project.forget(lambda: of(rows), "id")
    assert project.local is before
    again = project_in(tmp_path)
    assert again.view().rows == 40
    assert again.learn(lambda: frame(1), "id") == Answer(1, 0, 1234)


def test_rows_cannot_be_forgotten_twice(tmp_path: Path) -> None:
    project, data = project_in(tmp_path), frame(40)
    project.learn(lambda: data)
    project.forget(lambda: part(data, 0, 3))
    with pytest.raises(NeverLearntError, match="or some were forgotten before; nothing was forgotten"):
        project.forget(lambda: part(data, 0, 3))


def test_a_variance_below_zero_is_refused_where_no_bin_tells(tmp_path: Path) -> None:
    """Within one bin: what remains would have to vary less than nothing."""
    project = project_in(tmp_path)
    project.learn(lambda: of([[1.0], [1.001], [1.002], [1.003]], ("a",)))
    with pytest.raises(NeverLearntError, match="a: not all of these rows were learnt"):
        project.forget(lambda: of([[1.0], [1.0], [1.003]], ("a",)))


def test_a_value_beyond_the_extremes_is_refused_where_no_bin_tells(tmp_path: Path) -> None:
    project = project_in(tmp_path)
    project.learn(lambda: of([[1.001], [1.01]] * 30, ("a",)))
    for beyond in (1.0, 1.0101):
        with pytest.raises(NeverLearntError, match="a: not all of these rows were learnt"):
            project.forget(partial(of, [[beyond]], ("a",)))
    project.forget(lambda: of([[1.005]], ("a",)))  # alike enough: only its owner can know


def test_others_than_all_rows_are_refused_where_no_bin_tells(tmp_path: Path) -> None:
    project = project_in(tmp_path)
    project.learn(lambda: of([[1.0], [1.002], [1.004]], ("a",)))
    with pytest.raises(NeverLearntError):
        project.forget(lambda: of([[1.0], [1.001], [1.004]], ("a",)))


def test_before_anything_was_learnt_there_is_nothing_to_forget(tmp_path: Path) -> None:
    with pytest.raises(NoRowsError, match="the project has no rows yet: there is nothing to forget"):
        project_in(tmp_path).forget(lambda: frame(3))


def test_rows_with_gaps_are_left_out_as_when_they_were_learnt(tmp_path: Path) -> None:
    project = project_in(tmp_path)
    gaps = DataFrame(NAMES, ("C",) * 3, [[1.0, 2.0, 3.0], ["", 2.0, 3.0]])
    project.learn(lambda: frame(10))
    project.learn(lambda: gaps)
    assert project.forget(lambda: gaps) == Answer(1, 1, 1234, "forget")
    assert project.view().rows == 10
