"""Real servers on loopback for the tests: etcd with a kube-apiserver, and nats-server.

Each runs as a process of this user, in a folder of the caller's, and is stopped by its own process id.
A server that is not ready in time raises an error that ends with the last lines of its log.
"""

import datetime
import ipaddress
import secrets
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Self

import httpx
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.cluster.gobuild import program

CRDS = Path(__file__).parents[2] / "crds"

START_SECONDS = 60.0  # an API server takes five; a busy machine with two cores several times that
STOP_SECONDS = 10.0
POLL_SECONDS = 0.05
LOG_LINES = 60


class ServerError(RuntimeError):
    """A server did not start, or died; the message ends with its log."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(is_so: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Asks again and again; when the time is over, ServerError says what is not so."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise ServerError(f"{what} within {seconds:.0f} s")
        time.sleep(POLL_SECONDS)


class Process:
    """One program with its log. It can be started again after `stop` or `kill`."""

    def __init__(
        self,
        name: str,
        arguments: list[str],
        log: Path,
        *,
        path: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`path` is that of a program which is not a built one; `environment` is the whole of it."""
        self.name = name
        self.log = log
        self._command = [str(path or program(name)), *arguments]
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; ServerError when it is not running."""
        if self._process is None:
            raise ServerError(f"{self.name} is not running")
        return self._process.pid

    def start(self, is_ready: Callable[[], bool]) -> None:
        """Starts the program and waits until it is ready."""
        # The kernel ends the server when the tests are killed and cannot do it themselves.
        # It does so too when the starting thread ends: call this from the main thread.
        setpriv = shutil.which("setpriv")
        guard = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*guard, *self._command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
            )
        try:
            wait_until(lambda: self._is_alive() and is_ready(), "not ready")
        except ServerError as error:
            self.kill()
            raise ServerError(f"{self.name}: {error}\n{self.log_tail()}") from None

    def _is_alive(self) -> bool:
        code = None if self._process is None else self._process.poll()
        if code is not None:
            raise ServerError(f"it ended with code {code}")
        return True

    def stop(self) -> None:
        """Asks it to end; kills it when it does not."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def kill(self) -> None:
        """Ends it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def log_tail(self) -> str:
        """The last lines of its log."""
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        return "\n".join([f"--- {self.log} ---", *lines])


class NatsServer:
    """A nats-server with the given configuration, on loopback ports of its own; the log lies in `folder`."""

    def __init__(self, config: Path, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.monitoring_url = f"http://127.0.0.1:{(monitoring := free_port())}"
        listen = ["--addr", "127.0.0.1", "--port", str(self.port), "--http_port", str(monitoring)]
        self.process = Process(
            "nats-server",
            ["--config", str(config), *listen],
            folder / "nats-server.log",
        )

    @property
    def url(self) -> str:
        """Its address as a `nats_hosts` value."""
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it and waits until it says that it is healthy, JetStream included."""
        self.process.start(lambda: _get(f"{self.monitoring_url}/healthz") == '{"status":"ok"}')

    def start_unchecked(self) -> None:
        """Starts it and waits until it answers, healthy or not."""
        self.process.start(lambda: _get(f"{self.monitoring_url}/varz") != "")

    def stop(self) -> None:
        """Stops it."""
        self.process.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


class ControlPlane:
    """etcd and kube-apiserver with RBAC and no controllers.

    So nothing makes pods of StatefulSets, collects orphans or empties a namespace that is deleted.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._token = secrets.token_hex(16)
        self.url = f"https://127.0.0.1:{(port := free_port())}"
        self.kubeconfig = folder / "kubeconfig"
        self.ca_file = folder / "server.crt"
        etcd_url, etcd_peers = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        self._etcd_health = f"{etcd_url}/readyz"
        self.etcd = Process(
            "etcd", _etcd_arguments(folder / "etcd", etcd_url, etcd_peers), folder / "etcd.log"
        )
        self.apiserver = Process(
            "kube-apiserver", _apiserver_arguments(folder, etcd_url, port), folder / "kube-apiserver.log"
        )

    def start(self) -> None:
        """Starts both and waits until the API server serves everything."""
        write_server_certificate(self._folder)
        _write_key(self._folder / "service-accounts.key", ec.generate_private_key(ec.SECP256R1()))
        tokens = self._folder / "tokens.csv"
        tokens.write_text(f"{self._token},admin,admin,system:masters\n")
        tokens.chmod(0o600)
        self.write_kubeconfig(self.kubeconfig, self._token)
        self.etcd.start(lambda: _get(self._etcd_health) != "")
        with self.client() as client:  # /readyz prints `ok` lines while it is not ready
            self.apiserver.start(lambda: _get("/readyz", client) == "ok")

    def stop(self) -> None:
        """Stops both; the data of etcd stays in the folder."""
        self.apiserver.stop()
        self.etcd.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def client(self) -> httpx.Client:
        """A plain HTTP client with an administrator's rights."""
        return httpx.Client(
            base_url=self.url,
            verify=_trust(self.ca_file),
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=30,
            trust_env=False,
        )

    def write_kubeconfig(self, path: Path, token: str) -> None:
        """Writes a kubeconfig for whoever has that token."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "clusters": [
                {"name": "test", "cluster": {"server": self.url, "certificate-authority": str(self.ca_file)}}
            ],
            "users": [{"name": "test", "user": {"token": token}}],
        }
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(config))

    def write_service_account_kubeconfig(self, path: Path, namespace: str, name: str) -> None:
        """Writes a kubeconfig with a token of a ServiceAccount that exists, to test what it may do."""
        with self.client() as client:
            answer = client.post(
                f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", json={"spec": {}}
            )
        answer.raise_for_status()
        self.write_kubeconfig(path, str(answer.json()["status"]["token"]))

    def apply(self, body: Mapping[str, object], path: str) -> None:
        """Server-side apply of an object at its path; ServerError with the server's words if refused."""
        with self.client() as client:
            answer = client.patch(
                path,
                params={"fieldManager": "tests", "force": "true"},
                headers={"Content-Type": "application/apply-patch+yaml"},
                content=yaml.safe_dump(dict(body)),
            )
        if answer.is_error:
            raise ServerError(f"{path}: {answer.json().get('message', answer.text)}")

    def apply_crds(self) -> None:
        """Installs every CRD of `crds/` and waits until each is established and served."""
        collections = []
        for file in sorted(CRDS.glob("*.yaml")):
            crd = yaml.safe_load(file.read_text())
            self.apply(
                crd, f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{crd['metadata']['name']}"
            )
            spec = crd["spec"]
            collections.append(
                f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
            )
        with self.client() as client:
            for collection in collections:
                wait_until(partial(_is_served, client, collection), f"{collection} is not served")


def _etcd_arguments(data: Path, url: str, peers: str) -> list[str]:
    return [
        f"--data-dir={data}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        "--unsafe-no-fsync",  # a test's data need not survive a power cut
        "--log-level=warn",
    ]


def _apiserver_arguments(folder: Path, etcd_url: str, port: int) -> list[str]:
    return [
        f"--etcd-servers={etcd_url}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",  # it refuses a loopback address
        f"--secure-port={port}",
        f"--tls-cert-file={folder / 'server.crt'}",
        f"--tls-private-key-file={folder / 'server.key'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'service-accounts.key'}",
        f"--service-account-signing-key-file={folder / 'service-accounts.key'}",
        "--service-cluster-ip-range=10.245.0.0/16",
        "--disable-admission-plugins=ServiceAccount",  # no controller makes the account `default`
    ]


def write_server_certificate(folder: Path) -> None:
    """A certificate for 127.0.0.1 that vouches for itself, so that it is the CA file as well."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "symfed tests")])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    certificate = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), now - day, now + day
        )
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    (folder / "server.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    _write_key(folder / "server.key", key)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,  # the one form that also serves as the public key
            serialization.NoEncryption(),
        )
    )


def _trust(ca_file: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca_file))


def _is_served(client: httpx.Client, path: str) -> bool:
    return client.get(path).is_success


def _get(url: str, client: httpx.Client | None = None) -> str:
    """The body of a good answer, else an empty text."""
    try:
        answer = client.get(url) if client else httpx.get(url, timeout=5, trust_env=False)
    except httpx.TransportError:
        return ""
    return answer.text if answer.is_success else ""
