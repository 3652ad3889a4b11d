"""The StatefulSet of one pod that runs a peer's node. Pure."""

import hashlib

from pydantic import JsonValue

from symfed_operator.manifests import (
    COMPONENT_NODE,
    NODE_PORT,
    NODE_USER,
    NodeSettings,
    account_name,
    claim_name,
    labels,
    metadata,
    selector,
)
from symfed_wire.documents import Signed
from symfed_wire.kube import JsonObject
from symfed_wire.names import NODE_FILE, TOKEN_KEY, node_secret, token_secret
from symfed_wire.node_config import NodeConfig
from symfed_wire.resources import Aws, FederationPeer

DIGEST_ANNOTATION = "symfed.dev/config-digest"
_CONFIG_FOLDER = "/etc/symfed/node"
_TOKEN_FOLDER = "/etc/symfed/token"  # noqa: S105 - a folder
_AWS_FOLDER = "/etc/symfed/aws"
_DATA_FOLDER = "/var/lib/symfed"
_STOP_SECONDS = 30
_REQUESTS: dict[str, JsonValue] = {"cpu": "50m", "memory": "128Mi"}


def config_digest(config: NodeConfig) -> str:
    """Changes when the node must be restarted: with its identity and grant, not with the document."""
    if config.membership is not None:
        blank = Signed(payload="", key="", sig="")
        membership = config.membership.model_copy(update={"document": blank})
        config = config.model_copy(update={"membership": membership})
    return hashlib.sha256(config.model_dump_json(by_alias=True).encode()).hexdigest()


def stateful_set(
    peer: FederationPeer, config: NodeConfig, settings: NodeSettings, aws: Aws | None = None
) -> JsonObject:
    """One replica; the user's `podTemplate` merged in, the operator's labels above the user's."""
    return {
        "metadata": metadata(peer, peer.metadata.name, COMPONENT_NODE),
        "spec": {
            "replicas": 1,
            "serviceName": peer.metadata.name,
            # With OrderedReady a pod that never became ready would keep its faulty template for ever.
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": selector(peer)},
            "template": {
                "metadata": _pod_metadata(peer, config),
                "spec": {**_pod_spec(peer, settings, aws), **_user_pod_spec(peer)},
            },
        },
    }


def _pod_metadata(peer: FederationPeer, config: NodeConfig) -> JsonObject:
    user = peer.spec.pod_template.metadata
    return {
        "labels": {**user.labels, **labels(peer.metadata.name, COMPONENT_NODE)},
        "annotations": {**user.annotations, DIGEST_ANNOTATION: config_digest(config)},
    }


def _pod_spec(peer: FederationPeer, settings: NodeSettings, aws: Aws | None) -> JsonObject:
    name, claim = peer.metadata.name, claim_name(peer)
    data: JsonObject = {"persistentVolumeClaim": {"claimName": claim}} if claim else {"emptyDir": {}}
    # Not from the node's own Secret: these may be temporary, and must not restart the node when they change.
    reference = aws.credentials_secret_ref if aws else None
    keys: list[JsonValue] = []
    if reference is not None:
        keys.append({"name": "aws", "secret": {"secretName": reference.name, "defaultMode": 0o440}})
    return {
        "serviceAccountName": account_name(peer),
        "automountServiceAccountToken": True,  # the node watches its own FederationPeer
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _STOP_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": NODE_USER,
            "runAsGroup": NODE_USER,
            "fsGroup": NODE_USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(peer, settings, has_aws_keys=bool(keys))],
        "volumes": [
            {"name": "config", "secret": {"secretName": node_secret(name), "defaultMode": 0o440}},
            {"name": "token", "secret": {"secretName": token_secret(name), "defaultMode": 0o440}},
            {"name": "data", **data},
            {"name": "tmp", "emptyDir": {}},
            *keys,
        ],
    }


def _container(peer: FederationPeer, settings: NodeSettings, *, has_aws_keys: bool) -> JsonObject:
    environment = {
        "SYMFED_NODE_CONFIG": f"{_CONFIG_FOLDER}/{NODE_FILE}",
        "SYMFED_NODE_TOKEN": f"{_TOKEN_FOLDER}/{TOKEN_KEY}",
        "SYMFED_DATA": _DATA_FOLDER,
        "SYMFED_LISTEN": f"0.0.0.0:{NODE_PORT}",
    }
    keys: list[JsonValue] = []
    if has_aws_keys:
        environment["SYMFED_AWS_CREDENTIALS"] = _AWS_FOLDER
        keys.append({"name": "aws", "mountPath": _AWS_FOLDER, "readOnly": True})
    return {
        "name": COMPONENT_NODE,
        "image": settings.gpu_image if peer.spec.compute.type == "gpu" else settings.image,
        "imagePullPolicy": settings.pull_policy,
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "ports": [{"name": "http", "containerPort": NODE_PORT, "protocol": "TCP"}],
        "resources": _resources(peer),
        "terminationMessagePolicy": "FallbackToLogsOnError",  # NodeReady then says why it crashed
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        # A node reads its journal before it answers, which takes as long as its rows are many.
        "startupProbe": _probe("/healthz", period=2, failures=300),
        "livenessProbe": _probe("/healthz", period=10, failures=6),
        "readinessProbe": _probe("/readyz", period=2, failures=3),
        "volumeMounts": [
            {"name": "config", "mountPath": _CONFIG_FOLDER, "readOnly": True},
            {"name": "token", "mountPath": _TOKEN_FOLDER, "readOnly": True},
            {"name": "data", "mountPath": _DATA_FOLDER},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - in the pod, its own volume
            *keys,
        ],
    }


def _probe(path: str, *, period: int, failures: int) -> JsonObject:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _resources(peer: FederationPeer) -> JsonObject:
    """The user's requests and limits, a small request without; a gpu node asks for its GPUs."""
    user = peer.spec.pod_template.spec.resources
    # A limit below our default request would be refused, so it takes the default's place.
    defaults = {name: value for name, value in _REQUESTS.items() if name not in user.limits}
    requests: dict[str, JsonValue] = {**defaults, **user.requests}
    limits: dict[str, JsonValue] = dict(user.limits)
    if peer.spec.compute.type == "gpu":
        limits[peer.spec.compute.gpu.resource] = peer.spec.compute.gpu.count
    quantities = {"requests": requests, "limits": limits}
    return {
        kind: {name: str(v) for name, v in values.items()} for kind, values in quantities.items() if values
    }


def _user_pod_spec(peer: FederationPeer) -> JsonObject:
    """The user's part of the pod's spec but for the resources, which belong to the container."""
    fields = peer.spec.pod_template.spec.to_json()
    return {name: value for name, value in fields.items() if name != "resources" and value}
