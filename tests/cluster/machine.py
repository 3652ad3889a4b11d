"""What the machine must have: root, system packages; and which kind of cluster it can run."""

import os
import shutil
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

from tests.cluster.console import ClusterError, run, step
from tests.cluster.gobuild import cache_folder, locked
from tests.cluster.layout import STATE

#: program → Debian package that brings it
SYSTEM_PROGRAMS = {
    "containerd": "containerd",
    "runc": "runc",
    "conntrack": "conntrack",
    "iptables": "iptables",
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "nsenter": "util-linux",
}
CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
CNI_PACKAGE = "containernetworking-plugins"
SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # not on everybody's PATH


def cluster_kind() -> Literal["kind", "local"]:
    """The cluster that this machine can run.

    Raises ClusterError with the reason when it can run none.
    """
    if docker_answers():
        if shutil.which("kind") is None:
            raise ClusterError(
                "Docker runs here, but `kind` is not on the PATH: install kind, then try again"
            )
        return "kind"
    if os.geteuid() != 0:
        raise ClusterError(
            "no Docker engine answers (`docker info`), and the cluster without Docker needs root"
        )
    return "local"


def one_at_a_time() -> AbstractContextManager[None]:
    """Held by whoever brings a cluster up or down: there is one per machine, whatever the checkout."""
    place = STATE.parent if os.geteuid() == 0 else cache_folder()
    return locked(place / "symfed-cluster.lock", "another `make up` or `make down`")


def docker_answers() -> bool:
    """Whether a Docker engine runs: a client alone does not mean one."""
    if shutil.which("docker") is None:
        return False
    try:
        return (
            subprocess.run(["docker", "info"], capture_output=True, timeout=20, check=False).returncode == 0
        )
    except subprocess.TimeoutExpired:
        return False


def missing_packages() -> list[str]:
    """The Debian packages of the programs that are not here."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_FOLDERS])
    missing = [package for name, package in SYSTEM_PROGRAMS.items() if shutil.which(name, path=path) is None]
    if not any((folder / "bridge").exists() for folder in CNI_FOLDERS):
        missing.append(CNI_PACKAGE)
    return missing


def ensure_packages() -> None:
    """Installs the missing system packages with apt.

    Raises ClusterError that names them all where that is not possible.
    """
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_FOLDERS])
    missing = missing_packages()
    if not missing:
        return
    wanted = " ".join(missing)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ClusterError(
            f"system packages are missing: {wanted}. Install them as root: apt-get install {wanted}"
        )
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    with step(f"installing the system packages {wanted}"):
        run(["apt-get", "update", "-qq"], env=quiet)
        run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], env=quiet)
    if still := missing_packages():
        raise ClusterError(
            f"apt-get installed them, but their programs are still not found: {' '.join(still)}"
        )


def cni_folder() -> Path:
    """The folder of the CNI plugins."""
    for folder in CNI_FOLDERS:
        if (folder / "bridge").exists():
            return folder
    raise ClusterError(f"no CNI plugins in {' or '.join(map(str, CNI_FOLDERS))}: install {CNI_PACKAGE}")


def main() -> int:
    """Says which cluster this machine can run; exit code 1 when none."""
    try:
        print(f"cluster: {cluster_kind()}", file=sys.stderr)
    except ClusterError as error:
        print(f"no cluster here: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
