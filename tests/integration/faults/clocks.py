"""A process whose clock is wrong, by libfaketime in front of the C library's calls."""

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

HOUR = 3600


def wrong_clock(hours: int) -> dict[str, str]:
    """The environment of a process whose clock is that far off; waiting takes as long as ever.

    Skips the test where the package's library does not work: it is built for one CPU and C library.
    """
    found = importlib.util.find_spec("libfaketime")
    assert found is not None
    assert found.origin is not None
    library = Path(found.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"
    environment = {
        "LD_PRELOAD": str(library),
        "FAKETIME": f"{hours:+d}h",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    command = [sys.executable, "-c", "import time; print(time.time())"]
    said = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
    if abs(float(said.stdout) - time.time() - hours * HOUR) > HOUR / 2:
        pytest.skip(f"libfaketime does not work here: {said.stderr or 'the clock did not change'}")
    return environment
