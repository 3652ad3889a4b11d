"""`fedml/create` and `createJoin` whose last object cannot be made: what they leave behind."""

import base64
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import JsonValue

from symfed_api.caller import Caller
from symfed_api.errors import TakenError
from symfed_api.founding import create_federation
from symfed_api.joining import join_federation
from symfed_api.settings import Settings
from symfed_wire.bodies import RequestLine
from symfed_wire.kube import PEERS, JsonObject, Resource
from symfed_wire.kube_errors import ConflictError, ForbiddenError, InvalidError, KubeError

CREATE = {
    "fed_name": "iris",
    "sync_sched": "m30",
    "nats_hosts": "nats://nats.example.org",
    "nats_sec_token": "hidden",
}
JOIN = {
    "fed_name": "iris",
    "sync_sched": "m30",
    "fed_secret_key": base64.b64encode(bytes(16)).decode(),
    "fed_rest_url": "http://gateway.example.org/symetry/rest/c1/fedml/p1/createPolicies",
    "fed_req_token": "FEDTOKEN0123456789abcdef",
    "nats_hosts": "nats://nats.example.org:4222",
}
CALLER = Caller("c1", "ns", base64.b64encode(bytes(16)).decode(), RequestLine("POST", "/", "", ""), False)


class Cluster:
    """An API server's objects in memory; a peer's creation fails as it is told."""

    def __init__(self, failure: KubeError) -> None:
        self.objects: dict[tuple[str, str], JsonObject] = {}
        self._failure = failure
        self.winner_digest = ""

    async def create(self, resource: Resource, namespace: str, body: JsonObject) -> JsonObject:
        """Create, or fail."""
        metadata: Any = body["metadata"]
        key = resource.plural, metadata["name"]
        if resource == PEERS:
            if isinstance(self._failure, ConflictError):
                annotations = metadata["annotations"]
                digest = self.winner_digest or annotations["symfed.dev/request-digest"]
                annotations = annotations | {"symfed.dev/request-digest": digest}
                self.objects[key] = body | {"metadata": metadata | {"annotations": annotations}}
            raise self._failure
        if key in self.objects:
            raise ConflictError("exists")
        self.objects[key] = body | {"metadata": metadata | {"uid": metadata["name"]}}
        return self.objects[key]

    async def find(self, resource: Resource, namespace: str, name: str) -> JsonObject | None:
        """Read one."""
        return self.objects.get((resource.plural, name))

    async def list_all(self, *_: object, **__: object) -> list[JsonObject]:
        """Nothing was there before."""
        return []

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str = "") -> None:
        """Delete one."""
        self.objects.pop((resource.plural, name), None)

    @property
    def kinds(self) -> list[str]:
        """Of which kinds there are objects."""
        return sorted({kind for kind, _ in self.objects})


async def create(cluster: Cluster, keys: Mapping[str, JsonValue]) -> None:
    """Either call, by its map."""
    gateway: Any = SimpleNamespace(kube=cluster, settings=Settings())
    if "fed_req_token" in keys:
        await join_federation(gateway, CALLER, keys, "p1", None)
    else:
        await create_federation(gateway, CALLER, keys, "p1", None)


@pytest.mark.parametrize("keys", [CREATE, JOIN])
@pytest.mark.parametrize("failure", [InvalidError("no"), ForbiddenError("exceeded quota")])
async def test_a_peer_that_is_refused_leaves_nothing(failure: KubeError, keys: dict[str, JsonValue]) -> None:
    cluster = Cluster(failure)
    with pytest.raises(type(failure)):
        await create(cluster, keys)
    assert cluster.kinds == []


@pytest.mark.parametrize("keys", [CREATE, JOIN])
async def test_a_name_that_another_peer_has_leaves_nothing(keys: dict[str, JsonValue]) -> None:
    cluster = Cluster(ConflictError("exists"))
    cluster.winner_digest = "another request's"
    with pytest.raises(TakenError):
        await create(cluster, keys)
    assert cluster.kinds == ["federationpeers"]


@pytest.mark.parametrize("keys", [CREATE, JOIN])
async def test_what_the_same_request_made_a_moment_ago_stays(keys: dict[str, JsonValue]) -> None:
    """Of two equal requests at once one makes the peer, and its objects are the other's too."""
    cluster = Cluster(ConflictError("exists"))
    with pytest.raises(TakenError):
        await create(cluster, keys)
    assert {"federationpeers", "secrets"} <= set(cluster.kinds)


@pytest.mark.parametrize("keys", [CREATE, JOIN])
async def test_nothing_is_taken_away_while_nobody_knows(keys: dict[str, JsonValue]) -> None:
    """The API server may have made the peer before the connection broke; a repeat goes on."""
    cluster = Cluster(KubeError("POST: ReadError"))
    with pytest.raises(KubeError):
        await create(cluster, keys)
    assert "secrets" in cluster.kinds


async def test_a_taken_federation_name_leaves_no_credentials() -> None:
    cluster = Cluster(ConflictError("exists"))
    cluster.objects["federations", "iris"] = {"metadata": {"name": "iris", "uid": "u"}}
    with pytest.raises(TakenError, match="already have a federation"):
        await create(cluster, CREATE)
    assert cluster.kinds == ["federations"]
