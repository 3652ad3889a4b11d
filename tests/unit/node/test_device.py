"""What a node computes on, and that it says so. numpy stands in for cupy: there is no GPU here."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from symfed_node.errors import GpuError
from symfed_node.journal import Journal
from symfed_node.modelstore import ModelStore
from symfed_node.project import Project
from symfed_node.statistics.accumulate import accumulate
from symfed_node.statistics.device import CPU, Gpu, choose_device
from symfed_node.statistics.doubledouble import FloatArray
from symfed_node.statistics.state import Feature
from symfed_wire.frames import DataFrame


def cupy_with(**changed: Any) -> ModuleType:
    """numpy in the shape of cupy, with one GPU."""
    module = ModuleType("cupy")
    module.__dict__.update(
        __version__="14.2.0",
        asarray=np.array,
        asnumpy=np.array,
        cuda=SimpleNamespace(
            runtime=SimpleNamespace(getDeviceProperties=lambda device: {"name": b"NVIDIA H100"})
        ),
    )
    module.__dict__.update(changed)
    return module


def failing(error: Exception) -> Callable[..., FloatArray]:
    def fail(*arguments: object) -> FloatArray:
        raise error

    return fail


def test_a_gpu_node_with_a_gpu_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", cupy_with())
    assert choose_device("gpu").name == "cupy 14.2.0 on NVIDIA H100"


def test_a_cpu_node_does_not_even_look_for_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", cupy_with(asarray=failing(AssertionError())))
    assert choose_device("cpu").name == f"numpy {np.__version__}: this is a cpu node"


NO_DRIVER = RuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient\nmore")


@pytest.mark.parametrize(
    ("cupy", "reason"),
    [
        (None, "has no cupy: its image was built without the extra gpu"),
        (
            cupy_with(cuda=SimpleNamespace(runtime=SimpleNamespace(getDeviceProperties=failing(NO_DRIVER)))),
            "cannot use a GPU: cudaErrorInsufficientDriver: CUDA driver version is insufficient",
        ),
        (
            cupy_with(asarray=failing(ImportError("libcublas.so.12: cannot open shared object file"))),
            "cannot use a GPU: libcublas.so.12: cannot open shared object file",
        ),
        (cupy_with(asarray=failing(MemoryError())), "cannot use a GPU: MemoryError"),
        (cupy_with(asnumpy=np.zeros_like), "has a GPU that computes wrong products"),
    ],
)
def test_a_gpu_node_without_one_says_why(
    monkeypatch: pytest.MonkeyPatch, cupy: ModuleType | None, reason: str
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    device = choose_device("gpu")
    assert device.name == f"numpy {np.__version__}: this gpu node {reason}"
    np.testing.assert_array_equal(device.gram(np.array([[1.0, 2.0]])), [[5.0]])


@pytest.mark.parametrize(("p", "n", "products"), [(2, 3 * 16384 + 5, 4), (30, 16384 + 1, 2)])
def test_every_chunk_is_multiplied_on_the_gpu(p: int, n: int, products: int) -> None:
    shapes = list[tuple[int, ...]]()

    def count(x: FloatArray) -> FloatArray:
        shapes.append(x.shape)
        return x.copy()

    columns = np.random.default_rng(p).integers(-(2**8), 2**8, size=(p, n)).astype(np.float64)
    features = [Feature(f"x{i}", "C") for i in range(p)]
    found = accumulate(columns, features, np.zeros(p), Gpu(cupy_with(asarray=count), "a GPU"))
    assert len(shapes) == products
    assert sum(rows for _, rows in shapes) == n
    wanted = accumulate(columns, features, np.zeros(p), CPU)
    for a, b in zip((found.sum, found.gram, found.m3), (wanted.sum, wanted.gram, wanted.m3), strict=True):
        np.testing.assert_array_equal(a.hi, b.hi)
    np.testing.assert_array_equal(found.minimum, wanted.minimum)


def test_a_gpu_that_fails_later_learns_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", checkpoint_bytes=1 << 20)
    gpu = Gpu(cupy_with(asarray=failing(RuntimeError("cudaErrorECCUncorrectable: at 0x1"))), "a GPU")
    project = Project(journal, ModelStore(tmp_path / "models"), created=1, device=gpu)
    with pytest.raises(GpuError) as raised:
        project.learn(lambda: DataFrame(("a",), ("C",), [[1], [2]]))
    assert str(raised.value) == (
        "the GPU failed and nothing was learnt: cudaErrorECCUncorrectable: at 0x1; restart the node"
    )
    assert project.local is None
