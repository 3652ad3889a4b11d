"""`make down`: removes the cluster with everything in it, and `.symfed`. The caches stay."""

import os
import shutil
import sys

from tests.cluster import kind, local, machine
from tests.cluster.console import ClusterError, say
from tests.cluster.layout import HANDOVER, STATE


def main() -> int:
    """The command line."""
    try:
        with machine.one_at_a_time():
            down()
    except ClusterError as error:
        print(f"make down: {error}", file=sys.stderr)
        return 1
    return 0


def down() -> None:
    """Removes whichever cluster is there; nothing there is no matter."""
    if machine.docker_answers() and shutil.which("kind"):
        kind.down()
    if os.geteuid() == 0:
        local.down()
    elif STATE.exists():
        raise ClusterError(f"the cluster in {STATE} was made by root, so only root can remove it")
    if HANDOVER.exists():
        shutil.rmtree(HANDOVER)
    say("nothing of the cluster is left")


if __name__ == "__main__":
    sys.exit(main())
