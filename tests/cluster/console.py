"""Telling what happens, with times; running commands; waiting with a deadline."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

BEGAN = time.monotonic()


class ClusterError(RuntimeError):
    """The cluster cannot be brought up or down; the text says what happened and what to do."""


def say(text: str) -> None:
    """A line with the time since the start, on standard error, at once."""
    print(f"{time.monotonic() - BEGAN:6.1f} s  {text}", file=sys.stderr, flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Tells what begins and, if it took a second or more, how long it took."""
    began = time.monotonic()
    say(what)
    yield
    if (took := time.monotonic() - began) >= 1:
        say(f"  {what}: done in {took:.1f} s")


def run(
    command: Sequence[str | Path],
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Runs a command and answers its standard output.

    Raises ClusterError with the end of what it wrote when it fails.
    """
    words = [str(word) for word in command]
    done = subprocess.run(
        words,
        input=stdin,
        env=os.environ | dict(env or {}),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-40:])
        raise ClusterError(f"`{' '.join(words)}` failed with exit code {done.returncode}:\n{tail}")
    return done.stdout


def eventually(what: str, seconds: float, look: Callable[[], str | None], pause: float = 0.2) -> None:
    """Looks until `look` answers None.

    `look` answers what it saw instead of what is wanted; ClusterError carries the last of that when the
    seconds are over.
    """
    deadline = time.monotonic() + seconds
    while (seen := look()) is not None:
        if time.monotonic() > deadline:
            raise ClusterError(f"{what}: not so after {seconds:.0f} s. What was seen last:\n{seen}")
        time.sleep(pause)
