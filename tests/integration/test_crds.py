"""The CRDs on a real API server: what it accepts, what it refuses and in which words."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from pydantic import JsonValue

from symfed_wire.kube import FEDERATIONS, PEERS, JsonObject, Kube, Resource
from symfed_wire.kube_errors import InvalidError
from symfed_wire.names import object_name, remote_name
from symfed_wire.resources import (
    Federation,
    FederationPeer,
    FederationPeerSpec,
    FederationSpec,
    ObjectMeta,
    ObjectRef,
)
from tests.integration.servers import CRDS, ControlPlane

UUID = "6f1c1e8a-9d0e-4c6c-8a54-0f3f6f0d2b11"
KEY = "A" * 43 + "="
AWS = {"region": "eu-central-1", "bucket": "rows", "roleArn": "arn:aws:iam::123456789012:role/symfed"}
PEER_AWS = AWS | {"accountId": "123456789012"}
REMOTE = {"uuid": UUID, "displayName": "Ward 7", "identityKey": KEY, "sealingKey": KEY}

MANAGED = {"name": "Trial_1", "schedule": "m30", "nats": {"managed": {}}}
EXTERNAL = MANAGED | {"nats": {"hosts": ["nats://nats.example:4222"]}}
ON_AWS = {"name": "Trial_1", "schedule": "d7", "aws": AWS}
LOCAL = {"project": "iris"}
MEMBER = LOCAL | {"federationRef": {"name": "trial"}}
INVITED = LOCAL | {"invitationSecretRef": {"name": "iris-invitation-0a1b2c3d"}}
REMOTE_PEER = {"federationRef": {"name": "trial"}, "remote": REMOTE}

Spec = Mapping[str, Any]  # a table of objects by hand, some of them wrong on purpose


def body(spec: Spec, name: str = "trial") -> JsonObject:
    """An object of either kind."""
    return {"metadata": {"name": name}, "spec": copy.deepcopy(dict(spec))}


def changed(spec: Spec, path: str, value: object) -> JsonObject:
    """A copy of the spec with one field set (`storage.size`), or removed when the value is None."""
    copied: dict[str, Any] = copy.deepcopy(dict(spec))
    *parents, last = path.split(".")
    inner = copied
    for parent in parents:
        inner = inner.setdefault(parent, {})
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return copied


def late(kind: str) -> JsonObject:
    """A condition that does not hold."""
    return {
        "type": kind,
        "status": "False",
        "reason": f"{kind}Late",
        "message": f"{kind} is late",
        "lastTransitionTime": "2025-01-02T03:04:05Z",
    }


ACCEPTED: list[tuple[Resource, Spec]] = [
    (FEDERATIONS, MANAGED),
    (FEDERATIONS, EXTERNAL),
    (FEDERATIONS, changed(EXTERNAL, "nats.credentialsSecretRef", {"name": "nats-login"})),
    (FEDERATIONS, changed(EXTERNAL, "nats.hosts", ["tls://[::1]:4222", "nats://10.0.0.1:4222/"])),
    (FEDERATIONS, ON_AWS),
    (FEDERATIONS, changed(MANAGED, "nats.streamMaxBytes", 16777216)),
    (FEDERATIONS, changed(MANAGED, "nats.streamMaxBytes", "1Ti")),
    (FEDERATIONS, changed(MANAGED, "privacy.mode", "HIPAA")),
    (FEDERATIONS, changed(MANAGED, "contract", ["rows() > 100"] * 100)),
    (PEERS, LOCAL),
    (PEERS, MEMBER),
    (PEERS, INVITED),
    (PEERS, INVITED | {"aws": PEER_AWS}),
    (PEERS, REMOTE_PEER),
    (
        PEERS,
        changed(REMOTE_PEER, "remote.natsUserKeys", {"writer": "U" + "A" * 55, "reader": "U" + "B" * 55}),
    ),
    (PEERS, changed(LOCAL, "compute", {"type": "gpu", "gpu": {"resource": "amd.com/gpu", "count": 2}})),
    (PEERS, changed(LOCAL, "storage", {"size": 1048576, "storageClassName": "", "existingClaim": "old"})),
]

REFUSED: list[tuple[Resource, Spec, str]] = [
    # Federation: rules
    (FEDERATIONS, changed(MANAGED, "nats", None), "exactly one of spec.nats and spec.aws is needed"),
    (FEDERATIONS, MANAGED | {"aws": AWS}, "exactly one of spec.nats and spec.aws is needed"),
    (
        FEDERATIONS,
        changed(MANAGED, "nats", {}),
        "exactly one of spec.nats.managed and spec.nats.hosts is needed",
    ),
    (
        FEDERATIONS,
        changed(EXTERNAL, "nats.managed", {}),
        "exactly one of spec.nats.managed and spec.nats.hosts",
    ),
    (
        FEDERATIONS,
        changed(MANAGED, "nats.credentialsSecretRef", {"name": "a"}),
        "is only for spec.nats.hosts",
    ),
    (FEDERATIONS, changed(ON_AWS, "aws.roleArn", None), "exactly one of spec.aws.credentialsSecretRef and"),
    (
        FEDERATIONS,
        changed(ON_AWS, "aws.credentialsSecretRef", {"name": "a"}),
        "exactly one of spec.aws.credentials",
    ),
    # Federation: bounds
    (FEDERATIONS, changed(MANAGED, "name", None), "spec.name: Required value"),
    (FEDERATIONS, changed(MANAGED, "name", "a b"), "spec.name in body should match"),
    (FEDERATIONS, changed(MANAGED, "schedule", "m0"), "spec.schedule in body should match"),
    (FEDERATIONS, changed(MANAGED, "schedule", "every hour"), "spec.schedule"),
    (FEDERATIONS, changed(MANAGED, "privacy.mode", "none"), 'supported values: "None", "HIPAA"'),
    (FEDERATIONS, changed(MANAGED, "deletionPolicy", "Keep"), 'supported values: "Retain", "Delete"'),
    (FEDERATIONS, changed(MANAGED, "contract", ["rows() > 1"] * 101), "must have at most 100 items"),
    (FEDERATIONS, changed(EXTERNAL, "nats.hosts", []), "should have at least 1 items"),
    (
        FEDERATIONS,
        changed(EXTERNAL, "nats.hosts", ["http://a:80"]),
        "spec.nats.hosts[0] in body should match",
    ),
    (FEDERATIONS, changed(EXTERNAL, "nats.hosts", ["nats://me:secret@a:4222"]), "spec.nats.hosts[0]"),
    (FEDERATIONS, changed(MANAGED, "nats.requestTimeoutSeconds", 601), "should be less than or equal to 600"),
    (FEDERATIONS, changed(MANAGED, "nats.streamMaxBytes", 16777215), "must be a quantity from 16Mi to 1Ti"),
    (FEDERATIONS, changed(MANAGED, "nats.streamMaxBytes", "2Ti"), "must be a quantity from 16Mi to 1Ti"),
    (
        FEDERATIONS,
        changed(MANAGED, "nats.streamMaxBytes", "lots"),
        "spec.nats.streamMaxBytes in body should match",
    ),
    (FEDERATIONS, changed(ON_AWS, "aws.region", "US_EAST_1"), "spec.aws.region in body should match"),
    # FederationPeer: rules
    (PEERS, {}, "exactly one of spec.project (hosted here) and spec.remote (hosted elsewhere) is needed"),
    (PEERS, REMOTE_PEER | LOCAL, "exactly one of spec.project (hosted here) and spec.remote"),
    (PEERS, MEMBER | INVITED, "at most one of spec.federationRef and spec.invitationSecretRef is allowed"),
    (PEERS, {"remote": REMOTE}, "spec.remote needs spec.federationRef"),
    (PEERS, REMOTE_PEER | {"compute": {}}, "a remote peer has none of compute"),
    (PEERS, REMOTE_PEER | {"storage": {}}, "a remote peer has none of compute"),
    (PEERS, REMOTE_PEER | {"pulse": False}, "a remote peer has none of compute"),
    (PEERS, REMOTE_PEER | {"allowPeersExplore": True}, "a remote peer has none of compute"),
    (PEERS, REMOTE_PEER | {"contractActions": {}}, "a remote peer has none of compute"),
    (PEERS, REMOTE_PEER | {"aws": PEER_AWS}, "a remote peer has none of compute"),
    (PEERS, REMOTE_PEER | {"podTemplate": {}}, "a remote peer has none of compute"),
    (PEERS, REMOTE_PEER | {"deletionPolicy": "Retain"}, "a remote peer has none of compute"),
    # FederationPeer: bounds
    (PEERS, {"project": "-iris"}, "spec.project in body should match"),
    (PEERS, changed(REMOTE_PEER, "remote.uuid", UUID.upper()), "spec.remote.uuid in body should match"),
    (
        PEERS,
        changed(REMOTE_PEER, "remote.identityKey", "AAAA"),
        "spec.remote.identityKey in body should match",
    ),
    (PEERS, changed(LOCAL, "compute.type", "tpu"), 'supported values: "cpu", "gpu"'),
    (PEERS, changed(LOCAL, "compute.gpu.count", 0), "should be greater than or equal to 1"),
    (PEERS, changed(LOCAL, "contractActions.send", "Warn"), 'supported values: "Block", "Allow"'),
    (PEERS, changed(LOCAL, "storage.size", "0"), "spec.storage.size must be a quantity above 0"),
    (PEERS, changed(LOCAL, "storage.size", "big"), "spec.storage.size in body should match"),
    (PEERS, LOCAL | {"aws": AWS}, "spec.aws.accountId: Required value"),
    (
        PEERS,
        changed(LOCAL, "aws", PEER_AWS | {"credentialsSecretRef": {"name": "a"}}),
        "exactly one of spec.aws",
    ),
]

UNCHANGEABLE: list[tuple[Resource, Spec, Spec, str]] = [
    (FEDERATIONS, MANAGED, changed(MANAGED, "name", "other"), "spec.name is immutable"),
    (FEDERATIONS, MANAGED, changed(MANAGED, "secureSum", True), "spec.secureSum is immutable"),
    (FEDERATIONS, MANAGED, ON_AWS | {"schedule": "m30"}, "cannot be changed into one another"),
    (FEDERATIONS, ON_AWS, MANAGED, "cannot be changed into one another"),
    (FEDERATIONS, MANAGED, EXTERNAL, "nats.managed and spec.nats.hosts cannot be changed into one another"),
    (FEDERATIONS, EXTERNAL, MANAGED, "nats.managed and spec.nats.hosts cannot be changed into one another"),
    (FEDERATIONS, ON_AWS, changed(ON_AWS, "aws.region", "us-east-1"), "spec.aws.region is immutable"),
    (FEDERATIONS, ON_AWS, changed(ON_AWS, "aws.bucket", "other"), "spec.aws.bucket is immutable"),
    (PEERS, LOCAL, {"project": "other"}, "spec.project is immutable"),
    (PEERS, LOCAL, REMOTE_PEER, "spec.project is immutable"),
    (PEERS, LOCAL, MEMBER, "spec.federationRef.name is immutable"),
    (PEERS, MEMBER, LOCAL, "spec.federationRef.name is immutable"),
    (PEERS, MEMBER, changed(MEMBER, "federationRef.name", "other"), "spec.federationRef.name is immutable"),
    (PEERS, LOCAL, INVITED, "spec.invitationSecretRef.name is immutable"),
    (PEERS, INVITED, LOCAL, "spec.invitationSecretRef.name is immutable"),
    (PEERS, REMOTE_PEER, changed(REMOTE_PEER, "remote.displayName", "Ward 8"), "spec.remote is immutable"),
    (PEERS, INVITED, INVITED | {"aws": PEER_AWS}, "spec.aws.region is immutable"),
    (PEERS, INVITED | {"aws": PEER_AWS}, INVITED, "spec.aws.bucket is immutable"),
    (PEERS, LOCAL, changed(LOCAL, "storage.persist", False), "spec.storage.persist is immutable"),
    (PEERS, changed(LOCAL, "storage.persist", False), LOCAL, "spec.storage.persist is immutable"),
    (PEERS, LOCAL, changed(LOCAL, "storage.storageClassName", "fast"), "spec.storage.storageClassName is"),
    (PEERS, LOCAL, changed(LOCAL, "storage.storageClassName", ""), "spec.storage.storageClassName is"),
    (PEERS, LOCAL, changed(LOCAL, "storage.existingClaim", "old"), "spec.storage.existingClaim is immutable"),
    (PEERS, LOCAL, changed(LOCAL, "storage.size", "500Mi"), "spec.storage.size may only grow"),
    (PEERS, changed(LOCAL, "storage.size", 2**31), LOCAL, "spec.storage.size may only grow"),
]

CHANGEABLE: list[tuple[Resource, Spec, Spec]] = [
    (FEDERATIONS, MANAGED, changed(MANAGED, "schedule", "h1") | {"encryptMessages": True}),
    (FEDERATIONS, MANAGED, changed(MANAGED, "secureSum", False)),
    (FEDERATIONS, ON_AWS, changed(ON_AWS, "aws", AWS | {"accountId": "123456789012"})),
    (PEERS, LOCAL, changed(LOCAL, "storage", {"size": "2Gi", "persist": True})),
    (PEERS, changed(LOCAL, "storage.size", "1Gi"), changed(LOCAL, "storage.size", 2**30)),
    (
        PEERS,
        MEMBER,
        MEMBER | {"pulse": False, "contractActions": {"send": "Allow"}, "compute": {"type": "gpu"}},
    ),
    (PEERS, REMOTE_PEER, REMOTE_PEER),
]


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
    for name in ("a" * 45, object_name("A.B_c" * 12), object_name("1"), object_name("___"), "remote-9"):
        await kube.create(resource, namespace, body(spec, name))
    for name, words in (
        ("a" * 46, "metadata.name may have at most 45 characters"),
        ("a.b", "metadata.name must be a DNS label that starts with a letter"),
        ("1a", "metadata.name must be a DNS label that starts with a letter"),
    ):
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
