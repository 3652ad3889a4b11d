"""`symfed`: the command line of the REST API."""

import os
import sys

INTERRUPTED = 130
BROKEN_PIPE = 141


def main() -> None:
    """Entry point of the console script: Ctrl-C ends with one line, a closed pipe with none."""
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a text file of the process
        from symfed_wire.cli.commands import app  # here, so that Ctrl-C while it loads is met too

        try:
            app()
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        _leave(INTERRUPTED)
    except BrokenPipeError:
        _leave(BROKEN_PIPE)


def _leave(status: int) -> None:
    """End without a last write to a pipe that may be closed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)
