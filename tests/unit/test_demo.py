"""What the demo counts as proved, and what it says when nothing runs."""

from collections.abc import Callable
from pathlib import Path

import pytest
from examples.demo import __main__ as demo
from examples.demo.data import Coefficient, parts, pooled_reference
from examples.demo.proof import prove

from symfed_wire.client.results import ModelInfo

COLUMNS = ["attribute", "coefficient", "std.error", "scores", "p.values", "ci.low", "ci.high"]


def model(reference: tuple[Coefficient, ...], change: Callable[[float], float] = lambda x: x) -> ModelInfo:
    """A model with the reference's figures, the first standard error changed."""
    rows = [[line.name, line.value, line.standard_error, 0.0, 0.0, 0.0, 0.0] for line in reference]
    rows[0][2] = change(reference[0].standard_error)
    table = {"attributeNames": COLUMNS, "attributeTypes": ["S"] + ["C"] * 6, "data": rows}
    return ModelInfo.model_validate({"modelId": "m", "modelType": "mlr", "extra": {"coefficients": table}})


def test_equal_models_near_the_reference_prove_it() -> None:
    reference = pooled_reference()
    near = model(reference, lambda x: x * (1 + 1e-12))
    assert prove({"a": near, "b": near}, reference).holds


def test_one_bit_between_two_peers_proves_nothing() -> None:
    reference = pooled_reference()
    proof = prove({"a": model(reference), "b": model(reference, lambda x: x * (1 + 2**-52))}, reference)
    assert not proof.are_bytes_equal
    assert not proof.holds


def test_equal_models_far_from_the_reference_prove_nothing() -> None:
    reference = pooled_reference()
    far = model(reference, lambda x: x * (1 + 1e-9))
    proof = prove({"a": far, "b": far}, reference)
    assert proof.are_bytes_equal
    assert not proof.holds


def test_the_parts_are_unequal_and_make_up_all_of_iris() -> None:
    sizes = [len(rows) for rows in parts().values()]
    assert sum(sizes) == 150
    assert len(set(sizes)) == 3


def test_without_a_cluster_the_demo_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert demo.main() == 1
    assert "no .symfed/env: bring a cluster up by `make up`, then try again" in capsys.readouterr().out
