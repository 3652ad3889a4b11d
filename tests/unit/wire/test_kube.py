"""The Kubernetes client against an API server in the process: watches that end in every way."""

import base64
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from symfed_wire.kube import PEERS, SECRETS, Kube, WatchEvent
from symfed_wire.kube_config import KubeConfig
from symfed_wire.kube_errors import KubeError, NotFoundError


class Server:
    """Lists nothing at version 1; its watches are told here, the last one again and again."""

    def __init__(self, *watches: str) -> None:
        self._watches = list(watches)
        self.versions: list[str] = []
        self.pauses: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a list or a watch."""
        if "watch" not in request.url.params:
            return httpx.Response(200, json={"metadata": {"resourceVersion": "1"}, "items": []})
        self.versions.append(request.url.params["resourceVersion"])
        text = self._watches.pop(0) if len(self._watches) > 1 else self._watches[0]
        return httpx.Response(200, text=text)

    async def pause(self, seconds: float) -> None:
        """Instead of sleeping."""
        self.pauses.append(seconds)
        if len(self.pauses) > 8:
            raise StopAsyncIteration

    async def watch(self) -> AsyncIterator[WatchEvent]:
        """Watch it."""
        transport = httpx.MockTransport(self)
        async with Kube(KubeConfig(server="http://api"), transport=transport, sleep=self.pause) as kube:
            async for event in kube.watch(PEERS, "ns"):
                yield event


def line(version: int, kind: str = "MODIFIED") -> str:
    """One event."""
    return json.dumps({"type": kind, "object": {"metadata": {"resourceVersion": str(version)}}}) + "\n"


EXPIRED = json.dumps({"type": "ERROR", "object": {"code": 410, "message": "too old"}}) + "\n"


@pytest.mark.parametrize(
    "cut", [line(3)[:20], "[]\n", '{"type": "ADDED"}\n', '{"type": "ADDED", "object": {}}\n']
)
async def test_a_line_that_is_cut_is_an_error_of_the_api_server(cut: str) -> None:
    events = Server(line(2) + cut).watch()
    assert (await anext(events)).object == {"metadata": {"resourceVersion": "2"}}
    with pytest.raises(KubeError, match=r"watch of .*: a line that is no event"):
        await anext(events)


@pytest.mark.parametrize("ending", ["", EXPIRED])
async def test_a_watch_that_ends_at_once_is_asked_for_again_after_growing_pauses(ending: str) -> None:
    server = Server(ending)
    with pytest.raises(RuntimeError):  # the last pause ends the watch
        await anext(server.watch())
    assert server.pauses[0] < 0.5
    assert server.pauses == sorted(server.pauses)
    assert server.pauses[-2:] == [5.0, 5.0]


async def test_a_watch_goes_on_where_it_was() -> None:
    server = Server(line(2) + line(7, "BOOKMARK"), line(8))
    events = server.watch()
    assert [(await anext(events)).object["metadata"] for _ in range(2)] == [
        {"resourceVersion": "2"},
        {"resourceVersion": "8"},
    ]
    assert server.versions == ["1", "7"]


def certificate() -> tuple[str, str]:
    """A self-signed certificate and its key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    day = datetime(2026, 11, 22, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, day, day + timedelta(days=9))
    signed = builder.sign(key, hashes.SHA256())
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return signed.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


def test_what_a_kubeconfig_holds_inline_is_a_file_of_the_process_alone(tmp_path: Path) -> None:
    public, private = certificate()
    code = (
        "import sys, pathlib; from symfed_wire.kube import Kube, KubeConfig;"
        "config = KubeConfig.from_file(pathlib.Path(sys.argv[1])); Kube(config);"
        "print(config.client_key, oct(pathlib.Path(config.client_key).stat().st_mode & 0o777))"
    )
    cluster = {"server": "https://api", "certificate-authority-data": in_base64(public)}
    user = {"client-certificate-data": in_base64(public), "client-key-data": in_base64(private)}
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config))
    run = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    name, mode = run.stdout.split()
    assert mode == "0o600"
    assert not Path(name).exists()


def test_a_token_does_not_show() -> None:
    assert "hidden" not in repr(KubeConfig(server="http://api", token="hidden"))


def in_base64(text: str) -> str:
    """As a kubeconfig holds it."""
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "name",
    ["../../other/secrets/login", "..", ".", "?limit=1", "a/b", "a%2Fb", "a#b", "a\n", "login?x", "ä", " "],
)
def test_a_name_leads_to_no_other_object(name: str) -> None:
    with pytest.raises(NotFoundError, match="nothing can have this name"):
        SECRETS.path("acme", name)
    with pytest.raises(NotFoundError, match="nothing can have this name"):
        SECRETS.path(name, "login")


def test_the_path_of_an_object() -> None:
    assert SECRETS.path("acme", "a-1.b:c_D") == "/api/v1/namespaces/acme/secrets/a-1.b:c_D"
