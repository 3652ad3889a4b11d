"""A lean asynchronous client of the Kubernetes API, shared by all parts.

Plain HTTP and JSON: the `kubernetes` package is 75 MB and its typed objects cost about 10 ms each,
which node and gateway images need not carry. Objects are parsed by their callers.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

import httpx
from pydantic import JsonValue

from symfed_wire.kube_config import BearerAuth, KubeConfig, tls_context
from symfed_wire.kube_errors import (
    ConflictError,
    KubeError,
    NotFoundError,
    WatchExpiredError,
    error_of,
    error_of_status,
)

JsonObject = dict[str, JsonValue]

# Between two watches; it grows while they are short.
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
_SHORT_WATCH_SECONDS = 10.0
_NAME = re.compile(r"(?!\.)[A-Za-z0-9.:_-]+")


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
        """URL path of a collection or of one object.

        Raises NotFoundError for what can be no object's name. Specs name objects, and with `../` in a name
        the path would be that of an object of another namespace.
        """
        for text in filter(None, (namespace, name)):
            if not _NAME.fullmatch(text):
                raise NotFoundError(f"{self.kind} {text!r}: nothing can have this name")
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


@dataclass(frozen=True)
class WatchEvent:
    """One line of a watch."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: JsonObject


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
            verify=tls_context(config),
            auth=BearerAuth(config),
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
                    raise error_of(response)
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
            raise error_of(response)
        answer: JsonObject = response.json()
        return answer


def _parse_event(path: str, line: str) -> WatchEvent:
    """One line of a watch. Raises the error that it tells, KubeError when it is no event."""
    try:
        event = json.loads(line)
        if event["type"] == "ERROR":
            raise error_of_status(int(event["object"].get("code", 0)), event["object"])
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
