"""How to reach an API server: a kubeconfig, or a pod's service account."""

import atexit
import base64
import functools
import os
import ssl
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Self

import httpx
import yaml
from pydantic import BaseModel, Field

from symfed_wire.kube_errors import KubeError

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class KubeConfig(BaseModel, frozen=True):
    """How to reach an API server. `token_file` is read anew, as projected tokens are renewed."""

    server: str
    ca_file: str | None = None
    token: str | None = Field(default=None, repr=False)
    token_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None

    @classmethod
    def find(cls) -> Self:
        """`$KUBECONFIG` when set, else the pod's service account."""
        path = os.environ.get("KUBECONFIG")
        return cls.from_file(Path(path)) if path else cls.in_cluster()

    @classmethod
    def in_cluster(cls) -> Self:
        """The pod's own service account."""
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
        if not host or not port:
            raise KubeError("no Kubernetes API server: set KUBECONFIG, or run in a pod")
        return cls(
            server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
            ca_file=str(_SERVICE_ACCOUNT / "ca.crt"),
            token_file=str(_SERVICE_ACCOUNT / "token"),
        )

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """The current context of a kubeconfig: token or client certificate, inline or as files."""
        config = yaml.safe_load(path.read_text())

        def named(section: str, name: str) -> dict[str, str]:
            entries = {entry["name"]: entry for entry in config[section]}
            return dict(entries[name][section.removesuffix("s")])

        context = named("contexts", config["current-context"])
        cluster, user = named("clusters", context["cluster"]), named("users", context["user"])
        return cls(
            server=cluster["server"],
            ca_file=_material(cluster, "certificate-authority"),
            token=user.get("token"),
            client_cert=_material(user, "client-certificate"),
            client_key=_material(user, "client-key"),
        )


def _material(entry: dict[str, str], key: str) -> str | None:
    """Path of a certificate or key that a kubeconfig names or holds inline."""
    if f"{key}-data" not in entry:
        return entry.get(key)
    # ssl reads certificates from files only; the folder is its owner's, and goes with the process.
    handle, path = tempfile.mkstemp(suffix=".pem", dir=_folder())
    with os.fdopen(handle, "wb") as file:
        file.write(base64.b64decode(entry[f"{key}-data"]))
    return path


@functools.cache
def _folder() -> str:
    folder = tempfile.TemporaryDirectory(prefix="symfed-")
    atexit.register(folder.cleanup)
    return folder.name


class BearerAuth(httpx.Auth):
    """Sends the configuration's token, read anew for each request."""

    def __init__(self, config: KubeConfig) -> None:
        self._config = config

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header to one request."""
        token = self._config.token
        if self._config.token_file:
            token = Path(self._config.token_file).read_text().strip()
        if token:
            request.headers["Authorization"] = f"Bearer {token}"
        yield request


def tls_context(config: KubeConfig) -> ssl.SSLContext | bool:
    """What httpx verifies the server with; a plain http server, as tests have, needs nothing."""
    if not config.server.startswith("https:"):
        return True
    context = ssl.create_default_context(cafile=config.ca_file)
    if config.client_cert:
        context.load_cert_chain(config.client_cert, config.client_key)
    return context
