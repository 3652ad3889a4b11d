"""Runs the policy evaluator, which is installed into the cache from its lock when it is first needed."""

import fcntl
import hashlib
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from symfed_wire.kube import JsonObject
from tests.cluster.gobuild import cache_folder

_HERE = Path(__file__).parent
_FILES = ("package.json", "package-lock.json", "simulate.mjs")
_INSTALL = ("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
_SECONDS = 120


class EvaluatorMissingError(RuntimeError):
    """There is no npm, or it cannot install the evaluator."""


def verdicts(simulations: Sequence[JsonObject]) -> list[str]:
    """`Allowed`, `ImplicitlyDenied` or `ExplicitlyDenied` of each, or what is wrong with it.

    Raises EvaluatorMissingError.
    """
    done = subprocess.run(
        ["node", "simulate.mjs"],
        cwd=_installed(),
        input=json.dumps(simulations),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=True,
    )
    return [str(verdict) for verdict in json.loads(done.stdout)]


def _installed() -> Path:
    """The folder with the evaluator; its name changes with anything that goes into it."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        raise EvaluatorMissingError("npm is not installed")
    digest = hashlib.sha256(b"\0".join((_HERE / name).read_bytes() for name in _FILES))
    folder = cache_folder() / f"policies-{digest.hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            for name in _FILES:
                shutil.copy(_HERE / name, folder)
            done = subprocess.run(_INSTALL, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise EvaluatorMissingError(f"npm cannot install the policy evaluator: {done.stderr[-300:]}")
            (folder / "ready").touch()
    return folder
