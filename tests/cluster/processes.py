"""The cluster's own long-running processes: started detached, found again, stopped.

Each carries a mark in its environment, which says which cluster and which daemon it is and from what
command and configuration it was made. The mark, not a file with a number in it, identifies a process:
there is no moment in which one runs unrecorded, and a number that was used again is never mistaken.
"""

import hashlib
import os
import select
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.console import ClusterError
from tests.cluster.layout import LOGS, NAMESPACE, STATE

MARK = "SYMFED_CLUSTER_DAEMON"
STOP_SECONDS = 15.0


@dataclass(frozen=True)
class Daemon:
    """A long-running program of the cluster."""

    name: str
    command: tuple[str, ...]
    files: tuple[Path, ...] = ()
    """Its configuration: another content means another daemon."""

    @property
    def mark(self) -> str:
        """What its processes carry in their environment."""
        digest = hashlib.sha256("\0".join(self.command).encode())
        for path in self.files:
            digest.update(path.read_bytes())
        return f"{STATE}:{self.name}:{digest.hexdigest()[:16]}"

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return LOGS / f"{self.name}.log"


@dataclass(frozen=True)
class Running:
    """A process of the cluster, seen in /proc."""

    pid: int
    mark: str
    command: tuple[str, ...]

    @property
    def daemon(self) -> str:
        """The name of the daemon it is or stems from."""
        return self.mark.split(":")[1]


def look() -> list[Running]:
    """All processes of this machine that carry the cluster's mark: daemons and their children."""
    return [
        found
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and (found := read(int(entry.name)))
    ]


def read(pid: int) -> Running | None:
    """The process as one of the cluster's, None when it is not, or is gone."""
    prefix = f"{MARK}={STATE}:".encode()
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        command = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except (OSError, ProcessLookupError):
        return None
    for entry in environment:
        if entry.startswith(prefix):
            mark = entry.partition(b"=")[2].decode()
            return Running(pid, mark, tuple(word.decode(errors="replace") for word in command))
    return None


def main_process(daemon: Daemon, among: Sequence[Running]) -> Running | None:
    """The daemon itself among these processes, not a child of it and not one of an older configuration."""
    return next((one for one in among if one.mark == daemon.mark and one.command == daemon.command), None)


def ensure(daemon: Daemon) -> bool:
    """Starts the daemon unless it runs as it should; answers whether it was started.

    One with an older command or configuration is stopped first.
    """
    own = [one for one in look() if one.daemon == daemon.name]
    if main_process(daemon, own):
        return False
    program = Path(daemon.command[0]).name
    stop([one for one in own if Path(one.command[0]).name == program])
    LOGS.mkdir(parents=True, exist_ok=True)
    with daemon.log.open("ab") as log:
        subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{NAMESPACE}", "--", *daemon.command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=STATE,
            env=environment() | {MARK: daemon.mark},
            start_new_session=True,
        )
    return True


def environment() -> dict[str, str]:
    """The environment of a daemon: where programs are, and nothing of the caller's."""
    return {"PATH": os.environ["PATH"], "HOME": "/root", "LANG": "C.UTF-8"}


def check_alive(daemon: Daemon) -> str | None:
    """None when the daemon runs, else the end of its log."""
    if main_process(daemon, look()):
        return None
    lines = daemon.log.read_text(errors="replace").splitlines()[-15:] if daemon.log.exists() else []
    return "\n".join([f"{daemon.name} has ended; the end of {daemon.log}:", *lines])


def stop(processes: Sequence[Running], how: signal.Signals = signal.SIGTERM) -> None:
    """Ends these processes: asks first, then kills.

    Raises ClusterError for one that survives a kill.
    """
    handles = {handle: one for one in processes if (handle := hold(one)) is not None}
    try:
        left = set(handles)
        for signal_now in dict.fromkeys([how, signal.SIGKILL]):
            for handle in left:
                send(handle, signal_now)
            left = wait_gone(left, STOP_SECONDS)
            if not left:
                return
        names = ", ".join(f"{handles[handle].command[0]} ({handles[handle].pid})" for handle in left)
        raise ClusterError(f"processes that survive a kill: {names}")
    finally:
        for handle in handles:
            os.close(handle)


def hold(one: Running) -> int | None:
    """A handle on exactly this process, None when it is gone: looked at again after the handle was taken."""
    try:
        handle = os.pidfd_open(one.pid)
    except ProcessLookupError:
        return None
    again = read(one.pid)
    if again is None or again.mark != one.mark:
        os.close(handle)
        return None
    return handle


def kill_if(pid: int, still: Callable[[], bool]) -> None:
    """Kills a process that has no mark; `still` says, once it is held, whether it is the one meant."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if still():
            send(handle, signal.SIGKILL)
    finally:
        os.close(handle)


def send(handle: int, what: signal.Signals) -> None:
    """Signals a held process; one that has ended meanwhile is what was wanted."""
    try:
        signal.pidfd_send_signal(handle, what)
    except ProcessLookupError:
        return


def wait_gone(handles: set[int], seconds: float) -> set[int]:
    """Waits until the held processes have ended; answers those that have not."""
    poll = select.poll()
    for handle in handles:
        poll.register(handle, select.POLLIN)
    left = set(handles)
    while left:
        ended = poll.poll(seconds * 1000)
        if not ended:
            return left
        for handle, _ in ended:
            poll.unregister(handle)
            left.discard(handle)
    return left
