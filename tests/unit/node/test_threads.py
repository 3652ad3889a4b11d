"""The bytes of sums and models do not depend on how many CPUs a node finds."""

import json
import os
import subprocess
import sys

_REPORT = """
import json
import symfed_node.main
import scipy.linalg
from threadpoolctl import threadpool_info
print(json.dumps([pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]))
"""


def test_the_node_runs_blas_in_one_thread() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    said = subprocess.run(
        [sys.executable, "-c", _REPORT], env=environment, check=True, capture_output=True, text=True
    )
    threads = json.loads(said.stdout)
    assert threads
    assert set(threads) == {1}
