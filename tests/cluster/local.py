"""The cluster for machines without Docker: Kubernetes' own programs on the machine's containerd.

`up` makes whatever is missing and may be interrupted at any point; `down` removes all of it.
"""

import os
import shutil
import signal
import ssl
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import httpx

from tests.cluster import daemons, images, keys, kubectl, network, processes, settings, volumes
from tests.cluster.console import ClusterError, eventually, run, say, step
from tests.cluster.layout import (
    API_SERVER,
    BRIDGE_ADDRESS,
    HANDOVER,
    LOGS,
    NODE,
    STATE,
)
from tests.cluster.machine import ensure_packages
from tests.cluster.processes import Daemon

BASE = Path(__file__).parent / "base.yaml"
DISCARDED = STATE.with_suffix(".discarded")
CONTAINER_LOGS = Path("/var/log/containers")  # where every kubelet puts links to its pods' logs


def up() -> None:
    """Brings the cluster up as far as a Ready node with DNS, services and volumes.

    Raises ClusterError that carries what was seen when a part does not come.
    """
    ensure_packages()
    if not network.HANDLE.exists() and processes.look():
        say("the cluster's network is gone, its programs still run: removing them")
        down()
    shutil.rmtree(DISCARDED, ignore_errors=True)  # of a `make down` that was interrupted
    STATE.mkdir(mode=0o711, exist_ok=True)
    keys.make()
    settings.write()
    settings.make_cgroups()
    with step("network"):
        network.up()
    with step("etcd, API server, containerd"):
        api, containerd = daemons.api_server(), daemons.containerd()
        for daemon in (daemons.etcd(), api, containerd):
            start(daemon)
        eventually("API server ready", 90, lambda: api_server_ready(api))
        eventually("containerd ready", 30, lambda: containerd_ready(containerd))
    publish_kubeconfig()
    with step("controllers, scheduler, kubelet, proxy, DNS"):
        kubectl.kubectl("apply", "--server-side", "--force-conflicts", f"--filename={BASE}")
        for daemon in (
            daemons.controller_manager(),
            daemons.scheduler(),
            daemons.kubelet(),
            daemons.proxy(),
            daemons.coredns(),
        ):
            start(daemon)


def wait_ready() -> None:
    """Waits for what `up` has started; the deadline is for a machine busy with other work."""
    with step("node and DNS ready"):
        eventually("node Ready", 120, lambda: node_ready(daemons.kubelet()))
        eventually("DNS ready", 60, lambda: dns_ready(daemons.coredns()))
        for daemon in (daemons.controller_manager(), daemons.scheduler(), daemons.proxy()):
            eventually(f"{daemon.name} runs", 10, partial(processes.check_alive, daemon))
    with step("volumes"):
        made = volumes.renew()
        say(f"  {made} made, {volumes.COUNT - made} were there")


def start(daemon: Daemon) -> None:
    """Starts a daemon unless it runs, and says so."""
    if processes.ensure(daemon):
        say(f"  {daemon.name} started")


def publish_kubeconfig() -> None:
    """Hands the administrator's kubeconfig to the checkout."""
    HANDOVER.mkdir(mode=0o700, exist_ok=True)
    kubectl.KUBECONFIG.touch(mode=0o600)
    kubectl.KUBECONFIG.write_bytes(keys.kubeconfig(keys.ADMIN.file).read_bytes())


def api_server_ready(daemon: Daemon) -> str | None:
    """None when the API server says exactly `ok`: before that it lists what is ok already."""
    try:
        with httpx.Client(verify=tls(), trust_env=False, timeout=5) as client:
            answer = client.get(f"{API_SERVER}/readyz").text
    except httpx.HTTPError as error:
        return f"{API_SERVER}/readyz: {error!r}\n{processes.check_alive(daemon) or ''}"
    return None if answer == "ok" else answer


def tls() -> ssl.SSLContext:
    """Trust in the cluster's own authority and in nobody else."""
    return ssl.create_default_context(cafile=str(keys.AUTHORITY))


def containerd_ready(daemon: Daemon) -> str | None:
    """None when containerd answers."""
    try:
        run([*daemons.containers_tool(), "version"])
    except ClusterError as error:
        return f"{error}\n{processes.check_alive(daemon) or ''}"
    return None


def node_ready(daemon: Daemon) -> str | None:
    """None when the node is Ready, else its conditions and whether the kubelet lives."""
    node = kubectl.get("node", NODE)
    conditions = node["status"].get("conditions", []) if node else []
    if any(one["type"] == "Ready" and one["status"] == "True" for one in conditions):
        return None
    seen = [f"{one['type']}={one['status']} {one.get('message', '')}" for one in conditions]
    return "\n".join([*seen, processes.check_alive(daemon) or "the kubelet runs"])


def dns_ready(daemon: Daemon) -> str | None:
    """None when the DNS server has the cluster's Services."""
    answer = network.ask_http(BRIDGE_ADDRESS, 8181, "/ready")
    return None if answer == "OK" else f"{answer}\n{processes.check_alive(daemon) or ''}"


def down() -> None:
    """Removes the whole cluster; what is not there is no matter. All that is in it is lost."""
    with step("processes"):
        stop("kubelet")  # first: it would start the pods again
        stop_pods()
        stop()
    with step("mounts, network, control groups, files"):
        unmount()
        network.down()
        for folder in settings.cgroup_folders():
            remove_cgroup(folder)
        for link in CONTAINER_LOGS.glob("*.log"):
            if link.is_symlink() and str(link.readlink()).startswith(f"{LOGS}/"):
                link.unlink()
        shutil.rmtree(images.RUN_ROOT, ignore_errors=True)
        remove_state()


def remove_state() -> None:
    """Removes the files: at once under another name, so that no half of them is taken for a cluster."""
    if STATE.exists():
        DISCARDED.mkdir(mode=0o700, exist_ok=True)
        STATE.rename(DISCARDED / str(time.time_ns()))
    if DISCARDED.exists():
        shutil.rmtree(DISCARDED)


def stop(name: str | None = None) -> None:
    """Kills the daemon of this name with its children, or all."""
    processes.stop([one for one in processes.look() if name in (None, one.daemon)], signal.SIGKILL)


def stop_pods() -> None:
    """Kills the processes of all pods: those in the cluster's control group, which is nobody else's."""

    def left() -> str | None:
        pids = {pid for folder in settings.cgroup_folders() for pid in members(folder)}
        for pid in pids:
            processes.kill_if(pid, partial(in_a_pod, pid))
        return f"processes {sorted(pids)}" if pids else None

    eventually("no process of a pod is left", 30, left)


def in_a_pod(pid: int) -> bool:
    """Whether a process is in the cluster's control group."""
    return any(pid in members(folder) for folder in settings.cgroup_folders())


def members(folder: Path) -> set[int]:
    """The processes in a control group and those below it."""
    found = set[int]()
    for group, _, _ in os.walk(folder):  # unlike rglob it bears that groups go away meanwhile
        try:
            found.update(map(int, (Path(group) / "cgroup.procs").read_text().split()))
        except OSError:  # it went away, and its processes with it
            continue
    return found


def remove_cgroup(folder: Path) -> None:
    """Removes a control group and those below it."""
    for group, _, _ in os.walk(folder, topdown=False):
        Path(group).rmdir()


def unmount() -> None:
    """Unmounts everything below the cluster's folders, the innermost first.

    Raises ClusterError when something stays mounted: removing files through a mount would destroy them
    elsewhere.
    """
    for target in reversed(mounts()):
        run(["umount", "--lazy", target])
    if still := mounts():
        raise ClusterError(f"still mounted, so {STATE} is not removed: {', '.join(still)}")


def mounts() -> list[str]:
    """The mount points below the cluster's folders, in the order in which they were mounted."""
    folders = (STATE, images.store_folder(), images.RUN_ROOT)
    return mounts_below(folders, Path("/proc/self/mountinfo").read_text())


def mounts_below(folders: Iterable[Path], mountinfo: str) -> list[str]:
    """The mount points below these folders, of a table as the kernel writes it (proc_pid_mountinfo(5))."""
    points = (line.split()[4] for line in mountinfo.splitlines())
    decoded = (point.encode().decode("unicode_escape") for point in points)
    below = tuple(f"{folder}/" for folder in folders)
    return [point for point in decoded if point.startswith(below)]
