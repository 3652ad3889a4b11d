"""What the statistics cost beside the bare work under them: `python bench/statistics_speed.py`.

Ratios of CPU time, taken in one process and interleaved, one BLAS thread; medians. The gates are ratios too,
because absolute figures say more about the machine than about the code. The gate for merging is near the
speed of plain additions; double-double in numpy is some twenty passes over the cache and stays far below it.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import time
from collections.abc import Callable

import numpy as np

from symfed_node.statistics.accumulate import accumulate
from symfed_node.statistics.device import CPU
from symfed_node.statistics.doubledouble import DoubleDouble, FloatArray
from symfed_node.statistics.histogram import count_values
from symfed_node.statistics.merge import merge_snapshots
from symfed_node.statistics.state import Feature, Statistics, empty, triangle_size

REPEATS = 15


def cpu_times(*tasks: Callable[[], object]) -> list[float]:
    """Median CPU seconds of each task, taken in turns."""
    taken: list[list[float]] = [[] for _ in tasks]
    for repeat in range(REPEATS + 2):
        for times, task in zip(taken, tasks, strict=True):
            start = time.process_time()
            task()
            if repeat >= 2:  # the first two warm caches and clocks
                times.append(time.process_time() - start)
    return [float(np.median(times)) for times in taken]


def syrk(columns: FloatArray) -> None:
    """The bare products of the same chunks."""
    size = CPU.chunk_rows(columns.shape[0])
    for start in range(0, columns.shape[1], size):
        chunk = columns[:, start : start + size]
        chunk @ chunk.T


def dense(p: int, rows: int) -> float:
    """All statistics of dense rows over the bare SYRK."""
    columns = np.random.default_rng(p).normal(size=(p, rows))
    features = [Feature(f"x{i}", "C") for i in range(p)]
    bare, whole, histograms = cpu_times(
        lambda: syrk(columns),
        lambda: accumulate(columns, features, np.zeros(p)),
        lambda: count_values(columns),
    )
    speeds = [f"{rows / seconds / 1e6:.2f} M rows/s" for seconds in (bare, whole)]
    print(f"p={p}: bare SYRK {speeds[0]}, whole statistics {speeds[1]}")
    print(f"  {whole / bare:.2f} times the bare SYRK, {histograms / bare:.2f} of it for the histograms")
    return whole / bare


def snapshots(p: int, peers: int, shift_differs: bool) -> list[Statistics]:
    """Snapshots of random sums."""
    random = np.random.default_rng(p)
    features = [Feature(f"x{i}", "C") for i in range(p)]
    made = []
    for _ in range(peers):
        base = empty(features, random.integers(-4, 4, p) / 4 if shift_differs else np.zeros(p))
        made.append(
            Statistics(
                **{
                    **vars(base),
                    "rows": 1000,
                    "count": np.full(p, 1000),
                    "sum": DoubleDouble.of(random.normal(size=p)),
                    "gram": DoubleDouble.of(random.normal(size=triangle_size(p))),
                }
            )
        )
    return made


def merging(p: int, peers: int, shift_differs: bool) -> float:
    """Speed of merging packed triangles as a share of the speed of reading them."""
    bodies = snapshots(p, peers, shift_differs)
    features = bodies[0].features
    read, merge = cpu_times(
        lambda: [np.add.reduce(body.gram.hi) for body in bodies], lambda: merge_snapshots(bodies, features)
    )
    size = peers * triangle_size(p) * 8 / 1e9
    print(f"p={p}, {peers} peers: read {size / read:.1f} GB/s, merge {size / merge:.2f} GB/s")
    print(f"  {read / merge:.3f} of the speed of reading")
    return read / merge


def main() -> None:
    """Prints the ratios and their gates."""
    gates = [
        ("dense statistics over a bare SYRK, p=50, at most 2.3", 2.3 / dense(50, 200_000)),
        ("dense statistics over a bare SYRK, p=200, at most 1.6", 1.6 / dense(200, 50_000)),
        (
            "merging over reading, one shift, p=1000, at least 0.6",
            merging(1000, 20, shift_differs=False) / 0.6,
        ),
    ]
    merging(1000, 20, shift_differs=True)  # the usual case, without a gate
    for text, share in gates:
        print(f"{text}: {'held' if share >= 1 else 'MISSED'}")


if __name__ == "__main__":
    main()
