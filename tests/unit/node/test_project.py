"""The project: learning, repeats, schemas, models, and what the federated side answers from."""

import json
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from symfed_node.errors import (
    BadCellError,
    CorruptDataError,
    NoRowsError,
    NoSuchModelError,
    NotSupportedError,
)
from symfed_node.explore import univariate
from symfed_node.federated import MOST_GONE, Federated, PeerSnapshot, merge_members
from symfed_node.journal import Journal
from symfed_node.learnt import Answer
from symfed_node.models.errors import ModelError
from symfed_node.modelstore import ModelStore
from symfed_node.project import Project
from symfed_node.statistics.accumulate import accumulate, choose_shift
from symfed_node.statistics.errors import SchemaMismatchError, ValueOutOfRangeError
from symfed_node.statistics.merge import digest, merge_snapshots
from symfed_node.statistics.published import from_snapshot, publishable, to_snapshot
from symfed_node.statistics.state import Feature
from symfed_node.stored import to_bytes
from symfed_wire.documents import SnapshotHead
from symfed_wire.frames import DataFrame, MLContext
from symfed_wire.snapshot import decode, encode

RNG = np.random.default_rng(7)
ONE, TWO, THREE = (f"00000000-0000-4000-8000-00000000000{n}" for n in (1, 2, 3))


def project_in(folder: Path) -> Project:
    journal = Journal(folder / "journal", checkpoint_bytes=1 << 20)
    return Project(journal, ModelStore(folder / "models"), created=1, clock=lambda: 1234)


def frame(rows: int = 20, names: tuple[str, ...] = ("a", "b", "c"), kind: str = "C") -> DataFrame:
    return DataFrame(names, (kind,) * len(names), RNG.normal(size=(rows, len(names))).tolist())


def snapshot(peer: str, names: str = "abc", rows: int = 20, epoch: int = 1, kind: str = "C") -> PeerSnapshot:
    values = RNG.normal(size=(len(names), rows))
    stats = accumulate(values, [Feature(name, kind) for name in names], choose_shift(values))
    head = SnapshotHead(
        federation="f",
        peer=peer,
        epoch=epoch,
        rows=rows,
        schema_digest="s",
        size=1,
        chunk=1,
        sha256="d",
        created="2026-01-02T00:00:00Z",
    )
    return PeerSnapshot(head, stats)


def test_learning_survives_a_restart_bit_for_bit(tmp_path: Path) -> None:
    project = project_in(tmp_path)
    for rows in (1, 20, 3):
        assert project.learn(partial(frame, rows)) == Answer(rows, 0, 1234)
    again = project_in(tmp_path)
    assert project.local is not None
    assert again.local is not None
    assert to_bytes(again.local) == to_bytes(project.local)
    assert again.local.rows == 24
    assert again.modified == 1234


def test_a_repeat_is_answered_as_the_first_time_and_learns_nothing(tmp_path: Path) -> None:
    project = project_in(tmp_path)
    first = project.learn(lambda: frame(5), "id")

    def unread() -> DataFrame:
        raise AssertionError("a repeat's body is not read")

    assert project.learn(unread, "id") == first
    assert project_in(tmp_path).learn(unread, "id") == first
    assert project.learn(lambda: frame(6), "other") == Answer(6, 0, 1234)
    assert project.view().rows == 11


def test_columns_may_come_in_another_order(tmp_path: Path) -> None:
    project = project_in(tmp_path)
    data = frame(30)
    turned = DataFrame(("c", "a", "b"), data.attribute_types, [[row[2], row[0], row[1]] for row in data.data])
    project.learn(lambda: data)
    once = project.local
    project.learn(lambda: turned)
    assert project.view().names == ("a", "b", "c")
    assert once is not None
    assert project.local is not None
    np.testing.assert_allclose(project.local.gram.hi, 2 * once.gram.hi, rtol=1e-14)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (frame(names=("a", "b")), "rows without c: all rows of a project must have the attributes"),
        (frame(names=("a", "b", "c", "d")), "rows with new d: all rows"),
        (frame(names=("a", "b", "x")), "rows without c and with new x: all rows"),
        (
            DataFrame(("a", "b", "c"), ("C", "C", "B"), [[1, 2, 1]]),
            "feature 'c' has type B where C is expected",
        ),
    ],
)
def test_rows_that_do_not_fit_are_refused_whole(tmp_path: Path, bad: DataFrame, message: str) -> None:
    project = project_in(tmp_path)
    project.learn(lambda: frame(20))
    before = project.local
    with pytest.raises(SchemaMismatchError, match=message):
        project.learn(lambda: bad)
    assert project.local is before


def test_nothing_is_learnt_from_a_frame_with_one_bad_cell(tmp_path: Path) -> None:
    project = project_in(tmp_path)
    with pytest.raises(BadCellError, match="row 2, column 'b' is not a number"):
        project.learn(lambda: DataFrame(("a", "b"), ("C", "C"), [[1, 2], [3, "x"]]))
    assert project.local is None
    assert project_in(tmp_path).local is None


@pytest.mark.parametrize("far", [1.0001e70, -1e80, 1e100, 1e150, 1e300])
def test_rows_with_too_large_a_value_are_refused_whole(tmp_path: Path, far: float) -> None:
    project = project_in(tmp_path)
    project.learn(lambda: frame(20))
    before = project.local
    assert before is not None
    with pytest.raises(ValueOutOfRangeError, match=r"^b: .*leave such rows out"):
        project.learn(lambda: DataFrame(("a", "b", "c"), ("C", "C", "C"), [[1, far, 1]]), "far")
    assert project.local is before
    again = project_in(tmp_path)
    assert again.local is not None
    assert to_bytes(again.local) == to_bytes(before)
    assert again.learn(lambda: frame(3), "far") == Answer(3, 0, 1234)


def test_the_largest_values_are_learnt_published_merged_and_explored(tmp_path: Path) -> None:
    project = project_in(tmp_path)
    for far in (0.0, 1e70, -1e70):
        project.learn(partial(DataFrame, ("a",), ("C",), [[far * (1 - x / 64)] for x in range(20)]))
    assert project.local is not None
    published = from_snapshot(decode(encode(to_snapshot(publishable(project.local)))))
    near = publishable(accumulate(np.arange(20.0)[None], published.features, np.zeros(1)))
    for parts in ([published, near, published], [near, published, published]):
        found = univariate(merge_snapshots(parts, published.features), 0)
        assert found["count"] == 140
        assert all(map(math.isfinite, found.values()))


def test_rows_with_gaps_alone_make_no_schema(tmp_path: Path) -> None:
    project = project_in(tmp_path)
    assert project.learn(lambda: DataFrame(("a",), ("C",), [[""], [None]]), "gaps") == Answer(0, 2, 1234)
    assert project.view().names == ()


CONTEXT = MLContext(targets=("2",), input_attributes=("0", "1"))


def test_a_model_is_kept_over_a_restart(tmp_path: Path) -> None:
    project = project_in(tmp_path)
    project.learn(lambda: frame(40))
    built = project.build("mlr", "m/1", CONTEXT, use_local=True)
    again = project_in(tmp_path)
    found = again.models.get("local", "m/1").info
    assert found == built
    assert found["modelType"] == "mlr"
    assert found["attributeNames"] == ["a", "b"]
    assert found["attributeIndexes"] == ["0", "1"]
    assert found["targetindexes"] == ["2"]
    with pytest.raises(NoSuchModelError, match=r"no federated model has the id \[m/1\]"):
        again.models.get("federated", "m/1")
    again.models.delete("local", "m/1")
    with pytest.raises(NoSuchModelError):
        project_in(tmp_path).models.get("local", "m/1")


ROWS = DataFrame(("b", "note", "a", "c"), ("C", "S", "C", "S"), [[1.5, "x", "", 1], [2, "y", 0.25, ""]])


def predicted(project: Project, *, use_local: bool = True) -> bytes:
    return project.predict("m", lambda: ROWS, impute=True, use_local=use_local).tobytes()


def test_a_model_predicts_the_same_bits_after_a_restart(tmp_path: Path) -> None:
    project = project_in(tmp_path)
    project.learn(lambda: frame(40))
    info = project.build("mlr", "m", CONTEXT, use_local=True)
    assert "predictor" not in info
    again = project_in(tmp_path)
    assert again.models.get("local", "m").info == info
    assert predicted(again) == predicted(project)
    with pytest.raises(NoSuchModelError, match=r"no federated model has the id \[m\]"):
        predicted(project, use_local=False)


def test_every_peer_predicts_the_same_bits(tmp_path: Path) -> None:
    """Also one that gave the attributes other indexes, as it merged other snapshots first."""
    snapshots = {ONE: snapshot(ONE, rows=30), TWO: snapshot(TWO)}
    one, two = project_in(tmp_path / "one"), project_in(tmp_path / "two")
    one.set_federated(merge_members(snapshots, (), ONE))
    two.set_federated(merge_members(snapshots, tuple(Feature(name, "C") for name in "xcba"), ONE))
    by_name = MLContext(target_attribute_names=("c",), input_attribute_names=("a", "b"))
    for project in (one, two):
        project.build("mlr", "m", by_name, use_local=False)
    assert predicted(one, use_local=False) == predicted(two, use_local=False)


def test_a_model_that_goes_or_changes_meanwhile_predicts_as_it_was(tmp_path: Path) -> None:
    project = project_in(tmp_path)
    project.learn(lambda: frame(40))
    project.build("mlr", "m", CONTEXT, use_local=True)
    before = predicted(project)

    def replaced() -> DataFrame:
        project.learn(lambda: frame(40))
        project.build("mlr", "m", CONTEXT, use_local=True)
        return ROWS

    def deleted() -> DataFrame:
        project.models.delete("local", "m")
        return ROWS

    assert project.predict("m", replaced, impute=True, use_local=True).tobytes() == before
    after = predicted(project)
    assert after != before
    assert project.predict("m", deleted, impute=True, use_local=True).tobytes() == after
    with pytest.raises(NoSuchModelError):
        predicted(project)


def test_a_model_of_an_older_version_is_shown_and_does_not_predict(tmp_path: Path) -> None:
    project = project_in(tmp_path)
    project.learn(lambda: frame(40))
    info = project.build("mlr", "m", CONTEXT, use_local=True)
    [file] = (tmp_path / "models" / "local").iterdir()
    file.write_text(json.dumps(info))
    again = project_in(tmp_path)
    assert again.models.get("local", "m").info == info
    with pytest.raises(ModelError, match=r"^model \[m\] was built by an older version.*: build it again$"):
        predicted(again)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("{", "is damaged: delete it and build the model again"),
        ("[]", "is damaged"),
        ("{}", "is no model: delete it and build the model again"),
        ('{"modelId": "m", "predictor": {"inputs": ["a"], "numbers": "AAAA"}}', "is damaged"),
        ('{"modelId": "m", "predictor": {"inputs": ["a"], "numbers": "AAAAAAAAAAA="}}', "is damaged"),
        ('{"modelId": "m", "predictor": {}}', "is damaged"),
    ],
)
def test_a_damaged_model_stops_the_node_with_words(tmp_path: Path, fields: str, message: str) -> None:
    ModelStore(tmp_path)
    (tmp_path / "local" / "m.json").write_text(fields)
    with pytest.raises(CorruptDataError, match=message):
        ModelStore(tmp_path)


def test_a_perfect_fit_has_no_infinity_in_its_json(tmp_path: Path) -> None:
    project = project_in(tmp_path)
    rows = [[float(x), float(x % 3), 0.0] for x in range(20)]
    project.learn(lambda: DataFrame(("a", "b", "c"), ("C", "C", "C"), [[a, b, 2.0 * a] for a, b, _ in rows]))
    text = str(project.build("mlr", "m", CONTEXT, use_local=True))
    assert "inf," not in text
    assert "nan," not in text


def test_bad_builds_are_named(tmp_path: Path) -> None:
    project = project_in(tmp_path)
    with pytest.raises(NoRowsError, match="no rows yet"):
        project.build("mlr", "m", CONTEXT, use_local=True)
    project.learn(lambda: frame(40))
    with pytest.raises(NotSupportedError, match="algorithm 'ridge' is not supported yet; supported: mlr"):
        project.build("ridge", "m", CONTEXT, use_local=True)
    with pytest.raises(ModelError, match="mlr needs one target; 2 were named"):
        project.build("mlr", "m", MLContext(("1", "2"), ("0",)), use_local=True)
    with pytest.raises(ModelError, match="mlr needs at least one input attribute"):
        project.build("mlr", "m", MLContext(("1",)), use_local=True)


def test_the_federated_project_answers_from_local_rows_until_something_is_merged(tmp_path: Path) -> None:
    project = project_in(tmp_path)
    project.learn(lambda: frame(20))
    assert project.view().epoch == 0
    assert project.view().rows == 20
    project.set_federated(merge_members({ONE: snapshot(ONE), TWO: snapshot(TWO, rows=30)}, (), ONE))
    assert project.view().epoch == 2
    assert project.view().rows == 50
    assert project.view(use_local=True).rows == 20
    built = project.build("mlr", "m", CONTEXT, use_local=False)
    info = built["info"]
    assert isinstance(info, dict)
    assert info["peers"] == {ONE: 1, TWO: 1}
    assert project.federated is not None
    assert info["digest"] == project.federated.digest


def merged(kept: tuple[Feature, ...] = (), admin: str | None = TWO, **names: str) -> Federated:
    peers = {"one": ONE, "two": TWO, "three": THREE}
    return merge_members({peers[peer]: snapshot(peers[peer], of) for peer, of in names.items()}, kept, admin)


def test_the_order_is_the_admins_then_by_uuid_and_kept() -> None:
    assert "".join(merged(one="xab", two="bc").stats.names) == "bcxa"
    assert "".join(merged(one="xab", two="bc", admin=None).stats.names) == "xabc"
    kept = tuple(Feature(name, "C") for name in "zx")
    federated = merged(kept, one="xab", two="bc")
    assert "".join(feature.name for feature in federated.features) == "zxbca"
    assert "".join(federated.stats.names) == "xbca"


def test_names_that_nobody_has_any_more_take_no_room_in_the_sums(tmp_path: Path) -> None:
    """A member may publish other names each time."""
    many = tuple(Feature(f"gone {number}", "C") for number in range(9_000))
    project = project_in(tmp_path)
    project.set_federated(merged(many, one="abc"))
    assert len(project.view().names) == 9_003
    stats = project.view().stats
    assert stats is not None
    assert stats.names == ("a", "b", "c")
    by_index = MLContext(("9002",), ("9000", "9001"))
    assert project.build("mlr", "m", by_index, use_local=False)["attributeIndexes"] == ["9000", "9001"]
    with pytest.raises(ModelError, match="no row has a value of gone 7"):
        project.build("mlr", "m", MLContext(("9002",), ("7",)), use_local=False)


def test_an_endless_list_of_names_that_are_gone_is_dropped() -> None:
    many = tuple(Feature(f"gone {number}", "C") for number in range(MOST_GONE))
    here = tuple(Feature(name, "C") for name in "ab")
    assert merged((*many, *here), one="abc").features == (*many, *here, Feature("c", "C"))
    assert merged((*many, Feature("z", "C"), *here), one="abc").features == (*here, Feature("c", "C"))


def test_the_digest_does_not_depend_on_indexes_or_on_features_that_are_gone() -> None:
    snapshots = {ONE: snapshot(ONE, "abc"), TWO: snapshot(TWO, "bc")}
    plain = merge_members(snapshots, (), ONE)
    other = merge_members(snapshots, tuple(Feature(name, "C") for name in "zcba"), ONE)
    assert plain.digest == other.digest == digest(plain.stats)


def test_a_member_with_another_type_is_left_out() -> None:
    snapshots = {ONE: snapshot(ONE, "ab"), TWO: snapshot(TWO, "b", kind="B"), THREE: snapshot(THREE, "ab")}
    federated = merge_members(snapshots, (), ONE)
    assert list(federated.members) == [ONE, THREE]
    assert federated.left_out == {TWO: "feature 'b' has type B where C is expected"}
    assert federated.stats.rows == 40


def test_types_do_not_depend_on_what_was_merged_first() -> None:
    """A peer that merged THREE alone while ONE was away sums what all others sum once ONE is there."""
    snapshots = {ONE: snapshot(ONE, "ab"), THREE: snapshot(THREE, "cb", kind="B")}
    early = merge_members({THREE: snapshots[THREE]}, (), ONE)
    late = merge_members(snapshots, early.features, ONE)
    fresh = merge_members(snapshots, (), ONE)
    assert late.digest == fresh.digest
    assert late.left_out == fresh.left_out == {THREE: "feature 'b' has type B where C is expected"}
    assert late.features == tuple(Feature(name, kind) for name, kind in ("cB", "bC", "aC"))
