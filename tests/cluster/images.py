"""The images of the cluster: the three parts of the one Dockerfile; for the local cluster NATS and pause too.

A tag is the digest of what goes into the image, so unchanged sources are not built again and changed ones
change the pods. The local cluster builds with buildah on a Debian base of its own, kept in the cache.
"""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.console import ClusterError, run, step
from tests.cluster.daemons import containers_tool
from tests.cluster.gobuild import cache_folder, program
from tests.cluster.layout import PAUSE_IMAGE, REPOSITORY

PARTS = {"operator": "operator", "gateway": "api", "node": "node"}  # part → its folder
SHARED = ("Dockerfile", ".dockerignore", "pyproject.toml", "requirements.lock", "wire")
DEBIAN, DEBIAN_PACKAGES = "bookworm", "python3,python3-venv,ca-certificates"
UNNEEDED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
AUTHORITIES = Path("/etc/ssl/certs")
RUN_ROOT = Path("/run/symfed-buildah")  # what buildah keeps until the machine is started anew


@dataclass(frozen=True)
class Image:
    """An image by its name and the digest of its content."""

    repository: str
    tag: str

    @property
    def name(self) -> str:
        """The name as a pod asks for it."""
        return f"{self.repository}:{self.tag}"


def of_part(part: str) -> Image:
    """The image of a part as its sources are now."""
    return Image(f"localhost/symfed-{part}", digest(part, *contents([*SHARED, PARTS[part]])))


def of_program(name: str) -> Image:
    """An image that holds nothing but one static program."""
    if name == "pause":
        repository, _, tag = PAUSE_IMAGE.partition(":")
        return Image(repository, tag)
    return Image(f"localhost/{name}", program(name).parent.name.removeprefix("programs-"))


def of_file(name: str, dockerfile: Path) -> Image:
    """An image of a test's own, by its Dockerfile."""
    return Image(f"localhost/{name}", digest(name, *contents(["requirements.lock", str(dockerfile)])))


def contents(names: Iterable[str]) -> Iterator[bytes]:
    """Paths and contents of these files and of the files in these folders."""
    for name in names:
        top = REPOSITORY / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if (
                path.is_file()
                and "__pycache__" not in path.parts
                and not path.name.endswith((".pyc", ".egg-info"))
            ):
                yield str(path.relative_to(REPOSITORY)).encode()
                yield path.read_bytes()


def digest(*parts: str | bytes) -> str:
    """A short name for a content."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part.encode() if isinstance(part, str) else part).digest())
    return whole.hexdigest()[:12]


def build_with_docker(image: Image, *options: str) -> Image:
    """Builds from the repository with Docker, whose own cache makes a repeat quick."""
    with step(f"image {image.name}"):
        run(["docker", "build", "--quiet", *options, f"--tag={image.name}", "."], cwd=REPOSITORY)
    return image


def store_folder() -> Path:
    """Where buildah keeps images; a buildah that is killed leaves it mounted."""
    return cache_folder() / "containers"


def buildah_command(*words: str | Path) -> list[str | Path]:
    """A buildah command with its store in the cache."""
    return [
        "buildah",
        f"--root={store_folder()}",
        f"--runroot={RUN_ROOT}",
        "--storage-driver=overlay",
        *words,
    ]


def buildah(*words: str | Path) -> str:
    """Runs buildah and answers its output."""
    return run(buildah_command(*words), cwd=REPOSITORY)


def containerd_images() -> list[str]:
    """The images that the cluster's containerd has."""
    return run([*containers_tool(), "images", "list", "--quiet"]).split()


def ensure_all() -> dict[str, Image]:
    """Builds what is not built, hands it to the local cluster, answers the images as the chart names them."""
    shutil.rmtree(scratch_folder(), ignore_errors=True)
    pause, nats = of_program("pause"), of_program("nats-server")
    parts = {part: of_part(part) for part in PARTS}
    for image in (pause, nats):
        ensure_in_local_cluster(image)
    present = containerd_images()
    if any(image.name not in present and not stored(image.name) for image in parts.values()):
        ensure_base()  # once, before the parts want it side by side
    with ThreadPoolExecutor() as together:  # one part waits for downloads while another one unpacks
        list(together.map(ensure_in_local_cluster, parts.values(), parts.keys()))
    return {**parts, "nats": nats}


def ensure_of_file(image: Image, dockerfile: Path) -> None:
    """Builds a test's image unless it is built, and hands it to the local cluster."""
    if image.name in containerd_images():
        return
    if not stored(image.name):
        with step(f"building {image.name}"):
            build_on_base(image, f"--file={dockerfile}")
    with step(f"handing {image.name} to containerd"):
        hand_over(image)


def ensure_in_local_cluster(image: Image, part: str | None = None) -> None:
    """Builds the image unless it is built, and hands it to the cluster's containerd unless it is there."""
    if image.name in containerd_images():
        return
    if not stored(image.name):
        with step(f"building {image.name}"):
            if part is None:
                build_of_program(image)
            else:
                build_of_part(image, part)
    with step(f"handing {image.name} to containerd"):
        hand_over(image)


def hand_over(image: Image) -> None:
    """Pours an image from buildah's store into containerd's; uncompressed, and never as a file."""
    pour = buildah_command("push", "--quiet", image.name, f"docker-archive:/dev/stdout:{image.name}")
    with subprocess.Popen(pour, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as source:
        taken = subprocess.run(
            [*containers_tool(), "images", "import", "-"],
            stdin=source.stdout,
            capture_output=True,
            text=True,
            check=False,
        )
        _, complaint = source.communicate()
    if source.returncode != 0 or taken.returncode != 0:
        raise ClusterError(f"{image.name} does not go to containerd:\n{complaint.decode()}{taken.stderr}")


def stored(name: str) -> bool:
    """Whether buildah has the image."""
    return bool(buildah("images", "--quiet", f"--filter=reference={name}").strip())


def build_of_part(image: Image, part: str) -> None:
    """Builds a part."""
    build_on_base(image, f"--build-arg=PART={part}")


def build_on_base(image: Image, *options: str) -> None:
    """Builds on the Debian base; the network and the certificate authorities are the machine's."""
    base = ensure_base()
    buildah(
        "bud",
        "--quiet",
        "--layers",
        "--isolation=chroot",
        "--network=host",
        f"--volume={AUTHORITIES}:{AUTHORITIES}:ro",
        f"--build-arg=SSL_CERT_FILE={AUTHORITIES}/ca-certificates.crt",
        f"--build-arg=BASE={base}",
        *options,
        f"--tag={image.name}",
        ".",
    )


def build_of_program(image: Image) -> None:
    """Builds an image of one static program."""
    name = image.repository.rpartition("/")[2]
    with scratch() as place:
        shutil.copy(program(name), place / name)
        (place / "Dockerfile").write_text(f'FROM scratch\nCOPY {name} /{name}\nENTRYPOINT ["/{name}"]\n')
        buildah("bud", "--quiet", "--isolation=chroot", f"--tag={image.name}", place)


def ensure_base() -> str:
    """The Debian base with Python, made by mmdebstrap unless it is in buildah's store; answers its name."""
    name = f"localhost/symfed-base:{DEBIAN}-{digest(DEBIAN_PACKAGES, *UNNEEDED)}"
    if not stored(name):
        with step(f"Debian {DEBIAN} base with {DEBIAN_PACKAGES}"), scratch() as place:
            leave_out = [f"--dpkgopt=path-exclude={pattern}" for pattern in UNNEEDED]
            packages = f"--include={DEBIAN_PACKAGES}"
            run(
                [
                    "mmdebstrap",
                    "--quiet",
                    "--variant=minbase",
                    packages,
                    *leave_out,
                    DEBIAN,
                    place / "base.tar",
                ]
            )
            (place / "Dockerfile").write_text("FROM scratch\nADD base.tar /\n")
            buildah("bud", "--quiet", "--isolation=chroot", f"--tag={name}", place)
    return name


def scratch_folder() -> Path:
    """Where big files lie for a moment; leftovers of a killed run are removed by `ensure_all`."""
    return cache_folder() / "scratch"


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for big files that are needed once."""
    scratch_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch_folder()) as place:
        yield Path(place)


def forget_old(current: Iterable[Image], in_use: Iterable[str]) -> None:
    """Removes the parts' older images, some hundred megabytes each, except those that pods still use."""
    keep = {image.name for image in current} | set(in_use)
    built = buildah("images", "--noheading", "--format={{.Name}}:{{.Tag}}").split()
    if old := [name for name in built if is_of_part(name) and name not in keep]:
        buildah("rmi", "--force", *old)
    if old := [name for name in containerd_images() if is_of_part(name) and name not in keep]:
        run([*containers_tool(), "images", "remove", *old])


def is_of_part(name: str) -> bool:
    """Whether an image is a part's, of whatever sources."""
    return any(name.startswith(f"localhost/symfed-{part}:") for part in PARTS)
