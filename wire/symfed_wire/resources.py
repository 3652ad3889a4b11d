"""The two custom resources as typed objects.

The CustomResourceDefinitions in `crds/` are the single source; these are their mirrors, field by field
(a test compares both ways). The defaults that the schema cannot hold live only here: the API server fills
defaults in before it checks the rules, and a remote peer must have none of a hosted peer's fields.

Read an object with `FederationPeer.model_validate(answer)`, write one with `peer.manifest()`.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue
from pydantic.alias_generators import to_camel

from symfed_wire.names import API_VERSION


class _Model(BaseModel):
    """Frozen, camelCase on the wire, unknown fields ignored (a newer operator may have written them)."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore", validate_default=True
    )

    def to_json(self) -> dict[str, JsonValue]:
        """What was set, and no defaults, in the form the API server takes."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)


class ObjectMeta(_Model):
    """What symfed reads of `metadata`."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    finalizers: tuple[str, ...] = ()
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None


class Condition(_Model):
    """One entry of `status.conditions`; `set_condition` fills `last_transition_time`."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""
    observed_generation: int | None = None
    last_transition_time: datetime | None = None


def find_condition(conditions: Iterable[Condition], name: str) -> Condition | None:
    """The condition of that type, or None."""
    return next((condition for condition in conditions if condition.type == name), None)


def set_condition(conditions: Iterable[Condition], new: Condition, now: datetime) -> tuple[Condition, ...]:
    """The conditions with `new` in the place of its type; its time moves only when its status does."""
    kept = tuple(conditions)
    old = find_condition(kept, new.type)
    is_same = old is not None and old.status == new.status and old.last_transition_time is not None
    time = (
        old.last_transition_time
        if old is not None and is_same
        else now.astimezone(UTC).replace(microsecond=0)
    )
    stamped = new.model_copy(update={"last_transition_time": time})
    if old is None:
        return (*kept, stamped)
    return tuple(stamped if condition.type == new.type else condition for condition in kept)


DeletionPolicy = Literal["Retain", "Delete"]
ContractAction = Literal["Block", "Allow"]


class ObjectRef(_Model):
    """An object in the same namespace."""

    name: str


class Aws(_Model):
    """The AWS side of a federation; exactly one of `credentials_secret_ref` and `role_arn`."""

    region: str
    bucket: str
    account_id: str | None = None
    endpoint_url: str | None = None
    credentials_secret_ref: ObjectRef | None = None
    role_arn: str | None = None


# --- Federation ----------------------------------------------------------------------------------------


class Privacy(_Model):
    """The privacy rules that the federation enforces."""

    mode: Literal["None", "HIPAA"] = "None"


class NatsManaged(_Model):
    """An account of the NATS system that the operator administers; nothing to say about it."""


class Nats(_Model):
    """The NATS backend; exactly one of `managed` and `hosts`."""

    managed: NatsManaged | None = None
    hosts: tuple[str, ...] | None = None
    credentials_secret_ref: ObjectRef | None = None
    request_timeout_seconds: int = 30
    stream_max_bytes: int | str = "1Gi"  # see parse_quantity


class FederationSpec(_Model):
    """What the admin wants; exactly one of `nats` and `aws`."""

    name: str
    schedule: str
    encrypt_messages: bool = False
    secure_sum: bool = False
    privacy: Privacy = Privacy()
    contract: tuple[str, ...] = ()
    nats: Nats | None = None
    aws: Aws | None = None
    deletion_policy: DeletionPolicy = "Retain"


class FederationStatus(_Model):
    """What the operator reports."""

    conditions: tuple[Condition, ...] = ()
    account_id: str | None = None
    topic_arn: str | None = None
    members: int | None = None


class _Object(_Model):
    """A whole custom resource."""

    api_version: Literal["symfed.dev/v1alpha1"] = "symfed.dev/v1alpha1"
    metadata: ObjectMeta

    def manifest(self) -> dict[str, JsonValue]:
        """The object as it is sent: apiVersion, kind, and what was set of metadata and spec."""
        return {"apiVersion": API_VERSION, "kind": type(self).__name__} | {
            key: value for key, value in self.to_json().items() if key in ("metadata", "spec")
        }


class Federation(_Object):
    """The admin's side of a federation."""

    kind: Literal["Federation"] = "Federation"
    spec: FederationSpec
    status: FederationStatus = FederationStatus()


# --- FederationPeer ------------------------------------------------------------------------------------


class NatsUserKeys(_Model):
    """The public nkeys of a member's two NATS users."""

    writer: str
    reader: str


class RemoteAws(_Model):
    """Where a remote member keeps its snapshots."""

    account_id: str
    bucket: str
    region: str
    queue_arn: str


class Remote(_Model):
    """The public identity of a member that another operator hosts; keys are raw 32 bytes in base64."""

    uuid: str
    display_name: str
    identity_key: str
    sealing_key: str
    nats_user_keys: NatsUserKeys | None = None
    aws: RemoteAws | None = None


class PeerAws(Aws):
    """The joining peer's own AWS side."""

    account_id: str  # the admin's policies name it


class Gpu(_Model):
    """What a gpu node asks for."""

    resource: str = "nvidia.com/gpu"
    count: int = 1


class Compute(_Model):
    """Where the node computes."""

    type: Literal["cpu", "gpu"] = "cpu"
    gpu: Gpu = Gpu()


class Storage(_Model):
    """The node's volume."""

    persist: bool = True
    size: int | str = "1Gi"  # see parse_quantity
    storage_class_name: str | None = None
    existing_claim: str | None = None


class ContractActions(_Model):
    """What a failed contract does."""

    send: ContractAction = "Block"
    receive: ContractAction = "Block"


class PodTemplateMetadata(_Model):
    """Labels and annotations for the pod; the operator's own labels win."""

    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}


class ResourceRequirements(_Model):
    """Requests and limits by resource name, as quantities."""

    requests: Mapping[str, int | str] = {}
    limits: Mapping[str, int | str] = {}


class Toleration(_Model):
    """A pod's toleration, as Kubernetes has it."""

    key: str | None = None
    operator: str | None = None
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: int | None = None


class PodTemplateSpec(_Model):
    """The parts of a pod's spec that a user may set; affinity and spread as Kubernetes has them."""

    resources: ResourceRequirements = ResourceRequirements()
    node_selector: Mapping[str, str] = {}
    tolerations: tuple[Toleration, ...] = ()
    affinity: Mapping[str, JsonValue] | None = None
    topology_spread_constraints: tuple[Mapping[str, JsonValue], ...] = ()
    runtime_class_name: str | None = None
    priority_class_name: str | None = None
    image_pull_secrets: tuple[ObjectRef, ...] = ()


class PodTemplate(_Model):
    """Merged over what the operator makes."""

    metadata: PodTemplateMetadata = PodTemplateMetadata()
    spec: PodTemplateSpec = PodTemplateSpec()


class FederationPeerSpec(_Model):
    """One member: hosted here (`project`), or hosted by somebody else (`remote`)."""

    project: str | None = None
    federation_ref: ObjectRef | None = None
    invitation_secret_ref: ObjectRef | None = None
    remote: Remote | None = None
    compute: Compute = Compute()
    storage: Storage = Storage()
    pulse: bool = True
    allow_peers_explore: bool = False
    contract_actions: ContractActions = ContractActions()
    aws: PeerAws | None = None
    pod_template: PodTemplate = PodTemplate()
    deletion_policy: DeletionPolicy = "Retain"


class PeerStatus(_Model):
    """What the operator reports, and the node in the condition `Exchanging`."""

    conditions: tuple[Condition, ...] = ()
    uuid: str | None = None
    identity_key: str | None = None
    slot: int | None = None  # unique in the namespace, 1 to 8191: a job id stays below 2^53
    queue_url: str | None = None  # only on AWS


class FederationPeer(_Object):
    """One member of a federation, or a plain local project."""

    kind: Literal["FederationPeer"] = "FederationPeer"
    spec: FederationPeerSpec
    status: PeerStatus = PeerStatus()

    @property
    def is_remote(self) -> bool:
        """Hosted by another operator: here only its identity, and no node."""
        return self.spec.remote is not None

    @property
    def is_hosted(self) -> bool:
        """A project with its node here, in a federation or not."""
        return not self.is_remote

    @property
    def is_local(self) -> bool:
        """A hosted project that belongs to no federation."""
        in_federation = self.spec.federation_ref is not None or self.spec.invitation_secret_ref is not None
        return self.is_hosted and not in_federation
