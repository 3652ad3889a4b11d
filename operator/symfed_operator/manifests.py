"""From a hosted FederationPeer to its child objects. Pure: typed object in, plain objects out."""

from dataclasses import dataclass, field

from pydantic import JsonValue

from symfed_operator.cluster import (
    LABEL_COMPONENT,
    LABEL_INSTANCE,
    LABEL_MANAGED_BY,
    LABEL_NAME,
    MANAGER,
    owner_reference,
    secret_data,
)
from symfed_wire.kube import JsonObject
from symfed_wire.names import NODE_FILE, TOKEN_KEY, federation_secret, grant_secret, node_secret, token_secret
from symfed_wire.node_config import NodeConfig
from symfed_wire.resources import Aws, Federation, FederationPeer

NODE_PORT = 8080
#: by which EKS gives a pod a role
ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"
NODE_USER = 10001
COMPONENT_NODE = "node"
_APPLICATION = "symfed"


@dataclass(frozen=True)
class NodeSettings:
    """What all nodes have in common."""

    image: str
    gpu_image: str
    """of peers that compute on a GPU"""
    pull_policy: str
    gateway_namespace: str


@dataclass(frozen=True)
class NodeChildren:
    """The peer's objects in the order in which they are applied, except the two Secrets and the pod's."""

    service: JsonObject
    service_account: JsonObject
    role: JsonObject
    role_binding: JsonObject
    network_policy: JsonObject
    volume_claim: JsonObject | None = field(default=None)


def labels(instance: str, component: str) -> dict[str, JsonValue]:
    """The labels of everything that the operator makes."""
    return {
        LABEL_NAME: _APPLICATION,
        LABEL_INSTANCE: instance,
        LABEL_COMPONENT: component,
        LABEL_MANAGED_BY: MANAGER,
    }


def metadata(
    owner: Federation | FederationPeer, name: str, component: str, *, owned: bool = True
) -> JsonObject:
    """A child's metadata; `owned` ones die with their owner."""
    body: JsonObject = {
        "name": name,
        "namespace": owner.metadata.namespace,
        "labels": labels(owner.metadata.name, component),
    }
    if owned:
        body["ownerReferences"] = [owner_reference(owner)]
    return body


def selector(peer: FederationPeer) -> dict[str, JsonValue]:
    """The labels by which Service, StatefulSet and NetworkPolicy find the pod."""
    return {LABEL_INSTANCE: peer.metadata.name, LABEL_COMPONENT: COMPONENT_NODE, LABEL_MANAGED_BY: MANAGER}


def account_name(peer: FederationPeer) -> str:
    """The node's ServiceAccount, Role and RoleBinding; not the bare name, which may be `default`."""
    return f"{peer.metadata.name}-node"


def claim_name(peer: FederationPeer) -> str | None:
    """The node's volume claim; None when its project is not persistent.

    It carries the object's uid, so that a re-created project never meets old rows.
    """
    storage = peer.spec.storage
    if not storage.persist:
        return None
    return storage.existing_claim or f"{peer.metadata.name}-{peer.metadata.uid[:8]}"


def has_own_claim(peer: FederationPeer) -> bool:
    """Whether the operator makes the volume claim, and so may delete it."""
    return peer.spec.storage.persist and peer.spec.storage.existing_claim is None


def token_secret_manifest(peer: FederationPeer, token: str) -> JsonObject:
    """The bearer token between the gateway and the node."""
    return _secret(peer, token_secret(peer.metadata.name), COMPONENT_NODE, {TOKEN_KEY: token})


def node_secret_manifest(peer: FederationPeer, config: NodeConfig) -> JsonObject:
    """What is mounted into the node."""
    text = config.model_dump_json(by_alias=True, exclude_none=True)
    return _secret(peer, node_secret(peer.metadata.name), COMPONENT_NODE, {NODE_FILE: text})


def federation_secret_manifest(federation: Federation, texts: dict[str, str]) -> JsonObject:
    """What the gateway puts into a federation's invitations."""
    return _secret(federation, federation_secret(federation.metadata.name), "federation", texts)


def grant_secret_manifest(peer: FederationPeer, uuid: str, texts: dict[str, str]) -> JsonObject:
    """What the join answer of a remote peer carries."""
    return _secret(peer, grant_secret(uuid), "grant", texts)


def node_children(peer: FederationPeer, settings: NodeSettings, aws: Aws | None = None) -> NodeChildren:
    """Everything of a hosted peer but its Secrets and its StatefulSet; `aws` is its side there."""
    return NodeChildren(
        service=_service(peer),
        service_account=_service_account(peer, aws),
        role=_role(peer),
        role_binding=_role_binding(peer),
        network_policy=_network_policy(peer, settings),
        volume_claim=_volume_claim(peer) if has_own_claim(peer) else None,
    )


def _secret(
    owner: Federation | FederationPeer, name: str, component: str, texts: dict[str, str]
) -> JsonObject:
    return {"metadata": metadata(owner, name, component), "type": "Opaque", "data": secret_data(texts)}


def _service(peer: FederationPeer) -> JsonObject:
    return {
        "metadata": metadata(peer, peer.metadata.name, COMPONENT_NODE),
        "spec": {
            "selector": selector(peer),
            "ports": [{"name": "http", "port": NODE_PORT, "targetPort": "http", "protocol": "TCP"}],
        },
    }


def _service_account(peer: FederationPeer, aws: Aws | None) -> JsonObject:
    """With the role that the node has on AWS, where it has one."""
    body = metadata(peer, account_name(peer), COMPONENT_NODE)
    if aws is not None and aws.role_arn is not None:
        body["annotations"] = {ROLE_ANNOTATION: aws.role_arn}
    return {"metadata": body}


def _role(peer: FederationPeer) -> JsonObject:
    """A node reads its own object and writes its own condition, nothing else."""
    return {
        "metadata": metadata(peer, account_name(peer), COMPONENT_NODE),
        "rules": [
            {
                "apiGroups": ["symfed.dev"],
                "resources": ["federationpeers"],
                "resourceNames": [peer.metadata.name],
                "verbs": ["get", "list", "watch"],
            },
            {
                "apiGroups": ["symfed.dev"],
                "resources": ["federationpeers/status"],
                "resourceNames": [peer.metadata.name],
                "verbs": ["patch"],
            },
        ],
    }


def _role_binding(peer: FederationPeer) -> JsonObject:
    name = account_name(peer)
    return {
        "metadata": metadata(peer, name, COMPONENT_NODE),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": peer.metadata.namespace}],
    }


def _network_policy(peer: FederationPeer, settings: NodeSettings) -> JsonObject:
    """Only pods of the gateway's namespace reach the node; what it reaches itself is open."""
    gateway: JsonObject = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": settings.gateway_namespace}}
    }
    return {
        "metadata": metadata(peer, account_name(peer), COMPONENT_NODE),
        "spec": {
            "podSelector": {"matchLabels": selector(peer)},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [gateway], "ports": [{"protocol": "TCP", "port": NODE_PORT}]}],
        },
    }


def _volume_claim(peer: FederationPeer) -> JsonObject:
    """Without owner: it is retained, or deleted by the finalizer when the policy says so."""
    storage = peer.spec.storage
    spec: JsonObject = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": str(storage.size)}},
    }
    if storage.storage_class_name is not None:
        spec["storageClassName"] = storage.storage_class_name
    name = claim_name(peer) or ""
    return {"metadata": metadata(peer, name, COMPONENT_NODE, owned=False), "spec": spec}
