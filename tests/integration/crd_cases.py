"""Objects of the two kinds that the API server must take or refuse, and the words of each refusal."""

import copy
from collections.abc import Mapping
from typing import Any

from symfed_wire.kube import FEDERATIONS, PEERS, JsonObject, Resource
from symfed_wire.names import object_name

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


# --- cases ---------------------------------------------------------------------------------------------

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
    (
        FEDERATIONS,
        MANAGED,
        ON_AWS | {"schedule": "m30"},
        "spec.nats and spec.aws cannot be changed into one another",
    ),
    (FEDERATIONS, ON_AWS, MANAGED, "spec.nats and spec.aws cannot be changed into one another"),
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

GOOD_NAMES = ("a" * 45, object_name("A.B_c" * 12), object_name("1"), object_name("___"), "remote-9")
BAD_NAMES = (
    ("a" * 46, "metadata.name may have at most 45 characters"),
    ("a.b", "metadata.name must be a DNS label that starts with a letter"),
    ("1a", "metadata.name must be a DNS label that starts with a letter"),
)
