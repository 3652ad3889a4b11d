"""The CRDs on a real API server: what it accepts, what it refuses and in which words."""

import pytest
import yaml
from pydantic import JsonValue

from symfed_wire.kube import FEDERATIONS, PEERS, JsonObject, Kube, Resource
from symfed_wire.kube_errors import InvalidError
from symfed_wire.names import remote_name
from symfed_wire.resources import (
    Federation,
    FederationPeer,
    FederationPeerSpec,
    FederationSpec,
    ObjectMeta,
    ObjectRef,
)
from tests.integration.crd_cases import (
    ACCEPTED,
    BAD_NAMES,
    CHANGEABLE,
    GOOD_NAMES,
    LOCAL,
    MANAGED,
    MEMBER,
    REFUSED,
    REMOTE_PEER,
    UNCHANGEABLE,
    UUID,
    Spec,
    body,
)
from tests.integration.servers import CRDS, ControlPlane


def late(kind: str) -> JsonObject:
    """A condition that does not hold."""
    return {
        "type": kind,
        "status": "False",
        "reason": f"{kind}Late",
        "message": f"{kind} is late",
        "lastTransitionTime": "2025-01-02T03:04:05Z",
    }


@pytest.mark.parametrize(("resource", "spec"), ACCEPTED)
async def test_accepted(kube: Kube, namespace: str, resource: Resource, spec: Spec) -> None:
    stored = await kube.create(resource, namespace, body(spec))
    if resource is FEDERATIONS:
        assert Federation.model_validate(stored).spec == FederationSpec.model_validate(spec)
    else:
        assert FederationPeer.model_validate(stored).spec == FederationPeerSpec.model_validate(spec)


@pytest.mark.parametrize(("resource", "spec", "words"), REFUSED)
async def test_refused(kube: Kube, namespace: str, resource: Resource, spec: Spec, words: str) -> None:
    with pytest.raises(InvalidError) as caught:
        await kube.create(resource, namespace, body(spec))
    assert words in str(caught.value)


@pytest.mark.parametrize(("resource", "before", "after", "words"), UNCHANGEABLE)
async def test_unchangeable(
    kube: Kube, namespace: str, resource: Resource, before: Spec, after: Spec, words: str
) -> None:
    stored = await kube.create(resource, namespace, body(before))
    with pytest.raises(InvalidError) as caught:
        await kube.replace(resource, namespace, "trial", stored | {"spec": dict(after)})
    assert words in str(caught.value)


@pytest.mark.parametrize(("resource", "before", "after"), CHANGEABLE)
async def test_changeable(kube: Kube, namespace: str, resource: Resource, before: Spec, after: Spec) -> None:
    stored = await kube.create(resource, namespace, body(before))
    await kube.replace(resource, namespace, "trial", stored | {"spec": dict(after)})


@pytest.mark.parametrize(("resource", "spec"), [(FEDERATIONS, MANAGED), (PEERS, LOCAL)])
async def test_names(kube: Kube, namespace: str, resource: Resource, spec: Spec) -> None:
    for name in GOOD_NAMES:
        await kube.create(resource, namespace, body(spec, name))
    for name, words in BAD_NAMES:
        with pytest.raises(InvalidError) as caught:
            await kube.create(resource, namespace, body(spec, name))
        assert words in str(caught.value)


async def test_defaults(kube: Kube, namespace: str) -> None:
    federation = await kube.create(FEDERATIONS, namespace, body(MANAGED))
    assert federation["spec"] == MANAGED | {
        "encryptMessages": False,
        "secureSum": False,
        "privacy": {"mode": "None"},
        "deletionPolicy": "Retain",
        "nats": {"managed": {}, "requestTimeoutSeconds": 30, "streamMaxBytes": "1Gi"},
    }
    for name, spec in (("local", LOCAL), ("remote", REMOTE_PEER)):
        peer = await kube.create(PEERS, namespace, body(spec, name))
        assert peer["spec"] == spec
    peer = await kube.create(
        PEERS,
        namespace,
        body(LOCAL | {"compute": {"gpu": {}}, "storage": {}, "contractActions": {}}, "empty"),
    )
    assert peer["spec"] == LOCAL | {
        "compute": {"type": "cpu", "gpu": {"resource": "nvidia.com/gpu", "count": 1}},
        "storage": {"persist": True, "size": "1Gi"},
        "contractActions": {"send": "Block", "receive": "Block"},
    }


async def test_mirror_writes_what_is_accepted(kube: Kube, namespace: str) -> None:
    peer = FederationPeer(
        metadata=ObjectMeta(name=remote_name(UUID), namespace=namespace),
        spec=FederationPeerSpec.model_validate(REMOTE_PEER),
    )
    stored = FederationPeer.model_validate(await kube.apply(PEERS, peer.manifest(), manager="symfed-gateway"))
    assert stored.is_remote
    assert stored.metadata.uid
    assert stored.spec == peer.spec
    local = FederationPeer(
        metadata=ObjectMeta(name="iris"),
        spec=FederationPeerSpec(project="iris", federation_ref=ObjectRef(name="trial")),
    )
    assert (await kube.create(PEERS, namespace, local.manifest()))["spec"] == MEMBER


async def test_pod_template(kube: Kube, namespace: str) -> None:
    terms = [{"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}]
    template = {
        "metadata": {"labels": {"team": "a"}, "annotations": {"note": "b"}},
        "spec": {
            "resources": {"requests": {"cpu": "500m", "memory": 1073741824}, "limits": {"memory": "2Gi"}},
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}
                }
            },
            "topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
            ],
            "runtimeClassName": "nvidia",
            "priorityClassName": "high",
            "imagePullSecrets": [{"name": "registry"}],
        },
    }
    stored = await kube.create(PEERS, namespace, body(LOCAL | {"podTemplate": template}))
    assert stored["spec"] == LOCAL | {"podTemplate": template}
    assert FederationPeer.model_validate(stored).spec.pod_template.to_json() == template


async def test_status_is_a_subresource_with_conditions_by_type(kube: Kube, namespace: str) -> None:
    stored = await kube.create(PEERS, namespace, body(LOCAL) | {"status": {"slot": 3}})
    assert "status" not in stored
    for manager, kind in (("symfed-operator", "Ready"), ("symfed-node", "Exchanging")):
        status: JsonObject = {"metadata": {"name": "trial", "namespace": namespace}}
        status["status"] = {"conditions": [late(kind)]}
        stored = await kube.apply(PEERS, status, manager=manager, subresource="status")
    found = FederationPeer.model_validate(stored).status.conditions
    assert {condition.type for condition in found} == {"Ready", "Exchanging"}
    assert {condition.message for condition in found} == {"Ready is late", "Exchanging is late"}


async def test_selectable_fields(kube: Kube, namespace: str) -> None:
    for name, spec in (("local", LOCAL), ("member", MEMBER | {"project": "b"}), ("other", REMOTE_PEER)):
        await kube.create(PEERS, namespace, body(spec, name))

    async def names(selector: str) -> set[str]:
        found = await kube.list_all(PEERS, namespace, fields=selector)
        return {FederationPeer.model_validate(item).metadata.name for item in found}

    assert await names("spec.federationRef.name=trial") == {"member", "other"}
    assert await names("spec.project=iris") == {"local"}
    assert await names("spec.project=b,spec.federationRef.name=trial") == {"member"}


async def test_printed_columns(control_plane: ControlPlane, kube: Kube, namespace: str) -> None:
    await kube.create(FEDERATIONS, namespace, body(MANAGED))
    await kube.create(PEERS, namespace, body(MEMBER | {"compute": {"type": "gpu"}}))
    conditions: list[JsonValue] = [late("Ready"), late("BackendReady"), late("Joined")]
    for resource, field in ((FEDERATIONS, "members"), (PEERS, "slot")):
        patch: JsonObject = {"status": {"conditions": conditions, field: 2}}
        await kube.patch(resource, namespace, "trial", patch, manager="tests", subresource="status")

    def table(resource: Resource) -> dict[str, tuple[int, object]]:
        with control_plane.client() as client:
            accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
            answer = client.get(resource.path(namespace), headers=accept).json()
        cells = answer["rows"][0]["cells"]
        return {
            column["name"]: (column["priority"], cell)
            for column, cell in zip(answer["columnDefinitions"], cells, strict=True)
            if column["name"] not in ("Name", "Age")
        }

    assert table(FEDERATIONS) == {
        "Schedule": (0, "m30"),
        "Backend": (0, "False"),
        "Members": (0, 2),
        "Ready": (0, "False"),
        "Reason": (0, "ReadyLate"),
        "Message": (1, "Ready is late"),
    }
    assert table(PEERS) == {
        "Project": (0, "iris"),
        "Federation": (0, "trial"),
        "Type": (0, "gpu"),
        "Joined": (0, "False"),
        "Ready": (0, "False"),
        "Reason": (0, "ReadyLate"),
    }


def test_established_with_short_names_and_category(control_plane: ControlPlane) -> None:
    short_names = {}
    for file in CRDS.glob("*.yaml"):
        name = yaml.safe_load(file.read_text())["metadata"]["name"]
        with control_plane.client() as client:
            crd = client.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}").json()
        states = {condition["type"]: condition["status"] for condition in crd["status"]["conditions"]}
        assert states == {"NamesAccepted": "True", "Established": "True"}
        accepted = crd["status"]["acceptedNames"]
        assert accepted["categories"] == ["symfed"]
        short_names[accepted["kind"]] = accepted["shortNames"]
    assert short_names == {"Federation": ["fed"], "FederationPeer": ["fedpeer"]}
