"""`symfed`: the command line of the REST API."""

import os
import sys

INTERRUPTED = 130
BROKEN_PIPE = 141
"""Exit statuses, as a shell has them for SIGINT and SIGPIPE."""


def main() -> None:
    """Entry point of the console script. What ends it while it loads or flushes ends it quietly too."""
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a text file of the process
        from symfed_wire.cli.commands import app  # here, where Ctrl-C is met

        try:
            app()
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more
        sys.exit(BROKEN_PIPE)
