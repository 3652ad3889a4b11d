"""A lean asynchronous client of the Kubernetes API, shared by all parts.

Plain HTTP and JSON: the `kubernetes` package is 75 MB and its typed objects cost about 10 ms each,
which node and gateway images need not carry. Objects are parsed by their callers.
"""

import asyncio
import atexit
import base64
import functools
import json
import os
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Literal, Self

import httpx
import yaml
from pydantic import BaseModel, Field, JsonValue

from symfed_wire.errors import SymfedError

JsonObject = dict[str, JsonValue]

# Between two watches; it grows while they are short.
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
_SHORT_WATCH_SECONDS = 10.0
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True)
class Resource:
    """A kind of object as the API's paths name it."""

    api: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        """The object's `apiVersion`."""
        return self.api.removeprefix("api/").removeprefix("apis/")

    def path(self, namespace: str | None, name: str = "", subresource: str = "") -> str:
        """URL path of a collection or of one object."""
        parts = ["", self.api, *(["namespaces", namespace] if namespace else []), self.plural]
        return "/".join(parts + [part for part in (name, subresource) if part])


FEDERATIONS = Resource("apis/symfed.dev/v1alpha1", "federations", "Federation")
PEERS = Resource("apis/symfed.dev/v1alpha1", "federationpeers", "FederationPeer")
NAMESPACES = Resource("api/v1", "namespaces", "Namespace")
SECRETS = Resource("api/v1", "secrets", "Secret")
CONFIG_MAPS = Resource("api/v1", "configmaps", "ConfigMap")
SERVICES = Resource("api/v1", "services", "Service")
SERVICE_ACCOUNTS = Resource("api/v1", "serviceaccounts", "ServiceAccount")
PODS = Resource("api/v1", "pods", "Pod")
VOLUME_CLAIMS = Resource("api/v1", "persistentvolumeclaims", "PersistentVolumeClaim")
EVENTS = Resource("api/v1", "events", "Event")
STATEFUL_SETS = Resource("apis/apps/v1", "statefulsets", "StatefulSet")
ROLES = Resource("apis/rbac.authorization.k8s.io/v1", "roles", "Role")
ROLE_BINDINGS = Resource("apis/rbac.authorization.k8s.io/v1", "rolebindings", "RoleBinding")
NETWORK_POLICIES = Resource("apis/networking.k8s.io/v1", "networkpolicies", "NetworkPolicy")


class KubeError(SymfedError):
    """The API server refused a request, or could not be reached (`status` 0)."""

    reason = "KubernetesError"
    status: ClassVar[int] = 0


class NotFoundError(KubeError):
    """The object, or its namespace, is not there."""

    reason = "NotFound"
    status = 404


class ConflictError(KubeError):
    """The object exists already, was changed meanwhile, or is another one by its uid."""

    reason = "Conflict"
    status = 409


class ForbiddenError(KubeError):
    """RBAC, or a namespace that is terminating, does not allow it."""

    reason = "Forbidden"
    status = 403


class InvalidError(KubeError):
    """The object breaks its schema or a validation rule."""

    reason = "Invalid"
    status = 422


class WatchExpiredError(KubeError):
    """A watch cannot go on from this resourceVersion; list again."""

    reason = "WatchExpired"
    status = 410


_ERRORS: dict[int, type[KubeError]] = {
    error.status: error
    for error in (NotFoundError, ConflictError, ForbiddenError, InvalidError, WatchExpiredError)
}


@dataclass(frozen=True)
class WatchEvent:
    """One line of a watch."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: JsonObject


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


class Kube:
    """One API server. Use as an asynchronous context manager."""

    def __init__(
        self,
        config: KubeConfig,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._config = config
        self._sleep = sleep
        self._http = httpx.AsyncClient(
            base_url=config.server,
            verify=_tls(config),
            auth=_BearerAuth(config),
            timeout=httpx.Timeout(30, connect=10),
            transport=transport,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def get(self, resource: Resource, namespace: str | None, name: str) -> JsonObject:
        """Read one object. Raises NotFoundError."""
        return await self._call("GET", resource.path(namespace, name))

    async def find(self, resource: Resource, namespace: str | None, name: str) -> JsonObject | None:
        """Read one object, or None when it is not there."""
        try:
            return await self.get(resource, namespace, name)
        except NotFoundError:
            return None

    async def list_all(
        self, resource: Resource, namespace: str | None = None, *, fields: str = "", labels: str = ""
    ) -> list[JsonObject]:
        """Read all objects that match a field and a label selector, live."""
        items, _ = await self._list(resource, namespace, fields, labels)
        return items

    async def create(
        self, resource: Resource, namespace: str | None, body: JsonObject, *, dry_run: bool = False
    ) -> JsonObject:
        """Create an object, or with `dry_run` only check that it could be; it must not exist.

        Raises ConflictError, InvalidError.
        """
        params = {"dryRun": "All"} if dry_run else None
        return await self._call("POST", resource.path(namespace), body=_typed(resource, body), params=params)

    async def replace(
        self, resource: Resource, namespace: str | None, name: str, body: JsonObject
    ) -> JsonObject:
        """Replace an object at the resourceVersion that `body` carries. Raises ConflictError."""
        return await self._call("PUT", resource.path(namespace, name), body=_typed(resource, body))

    async def apply(
        self, resource: Resource, body: JsonObject, *, manager: str, subresource: str = ""
    ) -> JsonObject:
        """Server-side apply, forced: `manager` owns every field in `body`.

        An object that must exist carries its `metadata.uid`: applying to a name that has just gone
        would make it anew; with the uid the server answers 409 (ConflictError).
        """
        metadata = body["metadata"]
        if not isinstance(metadata, dict):
            raise TypeError("an applied object needs metadata")
        namespace, name = metadata.get("namespace"), metadata["name"]
        path = resource.path(str(namespace) if namespace else None, str(name), subresource)
        return await self._call(
            "PATCH",
            path,
            body=_typed(resource, body),
            params={"fieldManager": manager, "force": "true"},
            content_type="application/apply-patch+yaml",
        )

    async def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: JsonObject,
        *,
        manager: str,
        subresource: str = "",
    ) -> JsonObject:
        """JSON merge patch."""
        return await self._call(
            "PATCH",
            resource.path(namespace, name, subresource),
            body=body,
            params={"fieldManager": manager},
            content_type="application/merge-patch+json",
        )

    async def delete(
        self, resource: Resource, namespace: str | None, name: str, *, uid: str | None = None
    ) -> None:
        """Delete an object; one that is not there, or another one by `uid`, is left alone."""
        options: JsonObject = {"propagationPolicy": "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        try:
            await self._call("DELETE", resource.path(namespace, name), body=options)
        except NotFoundError:
            return
        except ConflictError:
            if uid is None:
                raise

    async def watch(
        self, resource: Resource, namespace: str | None = None, *, fields: str = "", labels: str = ""
    ) -> AsyncIterator[WatchEvent]:
        """List, then watch for ever: what is there comes as ADDED, then the changes.

        A watch that the server ends goes on where it was; when that is too long ago, everything is
        listed again (a deletion in between is then not seen). A server that ends each watch at once is
        asked less and less often. Raises KubeError when the server cannot be reached: the caller decides
        how long to wait.
        """
        path, version, pause = resource.path(namespace), "", 0.0
        while True:
            if not version:
                items, version = await self._list(resource, namespace, fields, labels)
                for item in items:
                    yield WatchEvent("ADDED", item)
            start = time.monotonic()
            try:
                async for event in self._watch_once(path, version, _selectors(fields, labels)):
                    version = _version(event.object)
                    if event.type != "BOOKMARK":
                        yield event
            except WatchExpiredError:
                version = ""
            is_short = time.monotonic() - start < _SHORT_WATCH_SECONDS
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS) if pause and is_short else _FIRST_PAUSE_SECONDS
            await self._sleep(pause)

    async def _watch_once(
        self, path: str, version: str, selectors: dict[str, str]
    ) -> AsyncIterator[WatchEvent]:
        """One watch until the server ends it, bookmarks included."""
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": "290",
            "resourceVersion": version,
            **selectors,
        }
        timeout = httpx.Timeout(30, read=300)
        try:
            async with self._http.stream("GET", path, params=params, timeout=timeout) as response:
                if response.status_code >= httpx.codes.BAD_REQUEST:
                    await response.aread()
                    raise _error(response)
                async for line in response.aiter_lines():
                    yield _parse_event(path, line)
        except httpx.ReadTimeout:
            return
        except httpx.HTTPError as error:
            raise KubeError(f"watch of {path}: {type(error).__name__} {error}") from error

    async def _list(
        self, resource: Resource, namespace: str | None, fields: str, labels: str
    ) -> tuple[list[JsonObject], str]:
        answer = await self._call("GET", resource.path(namespace), params=_selectors(fields, labels))
        items, metadata = answer.get("items"), answer.get("metadata")
        if not isinstance(items, list) or not isinstance(metadata, dict):
            raise KubeError(f"{resource.plural}: the API server answered something that is not a list")
        return [item for item in items if isinstance(item, dict)], str(metadata["resourceVersion"])

    async def _call(
        self,
        verb: str,
        path: str,
        *,
        body: JsonObject | None = None,
        params: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> JsonObject:
        content = None if body is None else json.dumps(body).encode()
        try:
            response = await self._http.request(
                verb, path, content=content, params=params, headers={"Content-Type": content_type}
            )
        except httpx.HTTPError as error:
            raise KubeError(f"{verb} {path}: {type(error).__name__} {error}") from error
        if response.status_code >= httpx.codes.BAD_REQUEST:
            raise _error(response)
        answer: JsonObject = response.json()
        return answer


class _BearerAuth(httpx.Auth):
    def __init__(self, config: KubeConfig) -> None:
        self._config = config

    def auth_flow(self, request: httpx.Request):  # type: ignore[no-untyped-def]  # httpx's generator protocol
        token = self._config.token
        if self._config.token_file:
            token = Path(self._config.token_file).read_text().strip()
        if token:
            request.headers["Authorization"] = f"Bearer {token}"
        yield request


def _tls(config: KubeConfig) -> ssl.SSLContext | bool:
    if not config.server.startswith("https:"):
        return True
    context = ssl.create_default_context(cafile=config.ca_file)
    if config.client_cert:
        context.load_cert_chain(config.client_cert, config.client_key)
    return context


def _parse_event(path: str, line: str) -> WatchEvent:
    """One line of a watch. Raises the error that it tells, KubeError when it is no event."""
    try:
        event = json.loads(line)
        if event["type"] == "ERROR":
            raise _status_error(int(event["object"].get("code", 0)), event["object"])
        _version(event["object"])
        return WatchEvent(event["type"], event["object"])
    except (ValueError, LookupError, TypeError, AttributeError):
        raise KubeError(f"watch of {path}: a line that is no event, cut off perhaps") from None


def _version(item: JsonObject) -> str:
    metadata = item["metadata"]
    if not isinstance(metadata, dict):
        raise TypeError("metadata is not a map")
    return str(metadata["resourceVersion"])


def _typed(resource: Resource, body: JsonObject) -> JsonObject:
    return {"apiVersion": resource.api_version, "kind": resource.kind, **body}


def _selectors(fields: str, labels: str) -> dict[str, str]:
    selectors = {"fieldSelector": fields, "labelSelector": labels}
    return {name: value for name, value in selectors.items() if value}


def _error(response: httpx.Response) -> KubeError:
    try:
        status = response.json()
    except ValueError:
        status = {}
    return _status_error(response.status_code, status if isinstance(status, dict) else {})


def _status_error(code: int, status: JsonObject) -> KubeError:
    message = str(status.get("message") or f"HTTP {code}")
    return _ERRORS.get(code, KubeError)(message)
