"""What the Gram matrices of learning are computed on: numpy, or cupy on a GPU. All else stays on the CPU."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Literal, Protocol

import numpy as np

from symfed_node.errors import GpuError
from symfed_node.statistics.doubledouble import FloatArray

_GPU_CHUNK_BYTES = 64 << 20
_GPU_ERRORS = (RuntimeError, MemoryError)  # of CUDA and cuBLAS; no memory left on the GPU


class Device(Protocol):
    """Computes the Gram matrix of a chunk of rows, in float64."""

    @property
    def name(self) -> str:
        """What it is, for people."""

    def chunk_rows(self, p: int) -> int:
        """How many rows of p features a chunk has."""

    def gram(self, x: FloatArray) -> FloatArray:
        """x xᵀ of a chunk (p, rows), as an array of the host, (p, p)."""


@dataclass(frozen=True)
class Cpu:
    """numpy's BLAS."""

    reason: str = "no other device was asked for"

    @property
    def name(self) -> str:
        """numpy's version, and why it is not a GPU."""
        return f"numpy {np.__version__}: {self.reason}"

    def chunk_rows(self, p: int) -> int:
        """By measurement: long enough for the matrix product, short enough for the cache."""
        return 4096 if p <= 200 else 2048

    def gram(self, x: FloatArray) -> FloatArray:
        """numpy calls SYRK."""
        return x @ x.T


@dataclass(frozen=True)
class Gpu:
    """The first GPU, by cupy. Its `asarray` copies from the host through pinned memory."""

    cupy: ModuleType
    name: str
    """cupy's version and the GPU's model"""

    def chunk_rows(self, p: int) -> int:
        """Longer than the CPU's, as each chunk costs two copies and a sum of p(p+1)/2 double-doubles."""
        return min(16384, max(2048, _GPU_CHUNK_BYTES // (8 * p)))

    def gram(self, x: FloatArray) -> FloatArray:
        """Raises GpuError."""
        try:
            return self.product(x)
        except _GPU_ERRORS as error:
            raise GpuError(
                f"the GPU failed and nothing was learnt: {_first_line(error)}; restart the node"
            ) from error

    def product(self, x: FloatArray) -> FloatArray:
        """`gram` with cupy's errors. Both halves: the copy takes longer than what SYRK would save."""
        on_gpu = self.cupy.asarray(x)
        host: FloatArray = self.cupy.asnumpy(on_gpu @ on_gpu.T)
        return host


CPU = Cpu()


def choose_device(compute: Literal["cpu", "gpu"]) -> Device:
    """The GPU of a gpu node if it is there and computes; else the CPU, which then says why."""
    if compute == "cpu":
        return Cpu("this is a cpu node")
    try:
        device = _find_gpu()
        product = device.product(np.ones((2, 3)))
    except ModuleNotFoundError:
        return Cpu("this gpu node has no cupy: its image was built without the extra gpu")
    except (ImportError, OSError, *_GPU_ERRORS) as error:  # CUDA's libraries are loaded at their first use
        return Cpu(f"this gpu node cannot use a GPU: {_first_line(error)}")
    if not np.array_equal(product, np.full((2, 2), 3.0)):
        return Cpu("this gpu node has a GPU that computes wrong products")
    return device


def _find_gpu() -> Gpu:
    """Raises ImportError without cupy, and RuntimeError without a GPU."""
    cupy = import_module("cupy")  # only here: it is large, and most nodes do not have it
    model = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    return Gpu(cupy, f"cupy {cupy.__version__} on {model}")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
