"""Pure: what a call asks for, as the Kubernetes objects that say the same."""

import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from pydantic import JsonValue

from symfed_wire.backend_keys import AwsInMap
from symfed_wire.federation_map import CreateMap, JoinMap, LocalPeer
from symfed_wire.join import JoinRequest
from symfed_wire.kube import CONFIG_MAPS, SECRETS, JsonObject, Resource
from symfed_wire.names import (
    IGNORED_KEYS,
    INVITATION,
    credentials_secret,
    invitation_secret,
    object_name,
    remote_name,
)
from symfed_wire.project_map import ProjectMap
from symfed_wire.resources import (
    Aws,
    Compute,
    ContractActions,
    Federation,
    FederationPeer,
    FederationPeerSpec,
    FederationSpec,
    Nats,
    NatsManaged,
    NatsUserKeys,
    ObjectMeta,
    ObjectRef,
    PeerAws,
    Privacy,
    Remote,
    RemoteAws,
    Storage,
)

MANAGER: Final = "symfed-gateway"
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
REQUEST_DIGEST: Final = "symfed.dev/request-digest"
# On a joined peer: what its invitation said, for `fedml/{pid}/info`.
FEDERATION_NAME: Final = "symfed.dev/federation-name"
FEDERATION_SCHEDULE: Final = "symfed.dev/federation-schedule"
FEDERATION_SECURE_SUM: Final = "symfed.dev/federation-secure-sum"
FEDERATION_TOPIC: Final = "symfed.dev/federation-topic"  # only on AWS


def request_digest(secret_key: str, call: str, keys: Mapping[str, JsonValue], *query: str | None) -> str:
    """Hexadecimal digest by which a repeated request is recognised.

    Keyed by the customer's secret key: it stands in annotations, and a map may hold a short password.
    """
    text = json.dumps([call, *query, dict(keys)], sort_keys=True)
    return hmac.digest(secret_key.encode(), text.encode(), "sha256").hex()


def federation(parsed: CreateMap, namespace: str, digest: str, *, is_managed: bool) -> JsonObject:
    """The Federation of a create map; REST's own are deleted with what they stored."""
    name = object_name(parsed.name)
    credentials = ObjectRef(name=credentials_secret(name, digest))
    spec = FederationSpec(
        name=parsed.name,
        schedule=parsed.schedule,
        encrypt_messages=parsed.encrypt,
        secure_sum=parsed.secure_sum,
        privacy=Privacy(mode="HIPAA" if parsed.hipaa else "None"),
        nats=_nats(parsed, credentials, is_managed=is_managed),
        aws=None
        if parsed.aws is None
        else Aws(
            region=parsed.aws.region,
            bucket=parsed.aws.bucket,
            account_id=parsed.aws.account_id,
            endpoint_url=parsed.aws.endpoint_url,
            credentials_secret_ref=credentials,
        ),
        deletion_policy="Delete",
    )
    return Federation(metadata=_metadata(name, namespace, digest), spec=spec).manifest()


def federation_credentials(
    parsed: CreateMap, namespace: str, digest: str, *, is_managed: bool
) -> JsonObject | None:
    """The Secret with the caller's own credentials; a managed federation has none."""
    name = credentials_secret(object_name(parsed.name), digest)
    if parsed.aws is not None:
        return _secret(name, namespace, digest, parsed.aws.credentials)
    if is_managed or parsed.nats is None or not parsed.nats.credentials:
        return None
    return _secret(name, namespace, digest, parsed.nats.credentials)


def admin_peer(parsed: CreateMap, namespace: str, digest: str) -> JsonObject:
    """The admin's own peer in its federation."""
    annotations = _ignored(parsed.unknown_keys)
    reference = ObjectRef(name=object_name(parsed.name))
    return _hosted(parsed.peer, namespace, digest, annotations, FederationPeerSpec(federation_ref=reference))


def joined_peer(parsed: JoinMap, namespace: str, digest: str) -> JsonObject:
    """A peer that joins somebody else's federation."""
    name = object_name(parsed.peer.project)
    annotations = {
        FEDERATION_NAME: parsed.name,
        FEDERATION_SCHEDULE: parsed.schedule,
        FEDERATION_SECURE_SUM: parsed.invitation.get("fed_use_smpc", "false"),
    }
    if parsed.aws is not None:
        annotations[FEDERATION_TOPIC] = parsed.invitation["aws_topic_arn"]
    spec = FederationPeerSpec(
        invitation_secret_ref=ObjectRef(name=invitation_secret(name, digest)),
        aws=_peer_aws(parsed.aws, credentials_secret(name, digest)),
    )
    return _hosted(parsed.peer, namespace, digest, annotations | _ignored(parsed.unknown_keys), spec)


def join_secrets(parsed: JoinMap, namespace: str, digest: str) -> list[JsonObject]:
    """The Secret with the invitation, and on AWS the one with the peer's own credentials."""
    name = object_name(parsed.peer.project)
    secrets = [_secret(invitation_secret(name, digest), namespace, digest, parsed.invitation)]
    if parsed.aws is not None:
        secrets.append(_secret(credentials_secret(name, digest), namespace, digest, parsed.aws.credentials))
    return secrets


def own_secrets(item: Federation | FederationPeer) -> list[str]:
    """Names of the Secrets that the gateway made for an object; any other that it names is a user's own."""
    backends = (item.spec.aws,) if isinstance(item, FederationPeer) else (item.spec.nats, item.spec.aws)
    references = [backend.credentials_secret_ref for backend in backends if backend is not None]
    if isinstance(item, FederationPeer):
        references.append(item.spec.invitation_secret_ref)
    prefixes = tuple(f"{item.metadata.name}-{kind}-" for kind in ("invitation", "credentials"))
    return [reference.name for reference in references if reference and reference.name.startswith(prefixes)]


def plain_peer(parsed: ProjectMap, namespace: str, digest: str) -> JsonObject:
    """A project that belongs to no federation."""
    return _hosted(parsed.peer, namespace, digest, _ignored(parsed.unknown_keys), FederationPeerSpec())


def remote_peer(request: JoinRequest, federation_object: str, namespace: str, claim: str) -> JsonObject:
    """A member that another operator hosts, as its join request describes it."""
    keys, aws = request.nats_user_keys, request.aws
    remote = Remote(
        uuid=request.peer_uuid,
        display_name=request.peer_name,
        identity_key=request.identity_key,
        sealing_key=request.sealing_key,
        nats_user_keys=keys and NatsUserKeys(writer=keys.writer, reader=keys.reader),
        aws=aws
        and RemoteAws(
            account_id=aws.account_id, bucket=aws.bucket, region=aws.region, queue_arn=aws.queue_arn
        ),
    )
    metadata = ObjectMeta(
        name=remote_name(request.peer_uuid),
        namespace=namespace,
        labels={MANAGED_BY: MANAGER},
        annotations={INVITATION: claim},
    )
    spec = FederationPeerSpec(federation_ref=ObjectRef(name=federation_object), remote=remote)
    return FederationPeer(metadata=metadata, spec=spec).manifest()


def invitation_record(name: str, namespace: str, federation_object: str, expires: datetime) -> JsonObject:
    """The ConfigMap of an invitation that nobody has claimed yet; nothing in it is secret."""
    data: JsonObject = {"expires": expires.isoformat(), "federation": federation_object}
    data |= {"uuid": "", "digest": "", "peerUid": ""}
    labels: JsonObject = {MANAGED_BY: MANAGER, INVITATION: "true"}
    return _typed(CONFIG_MAPS) | {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "data": data,
    }


def _nats(parsed: CreateMap, credentials: ObjectRef, *, is_managed: bool) -> Nats | None:
    side = parsed.nats
    if side is None:
        return None
    return Nats(
        managed=NatsManaged() if is_managed else None,
        hosts=None if is_managed else side.hosts,
        credentials_secret_ref=credentials if side.credentials and not is_managed else None,
        request_timeout_seconds=side.request_timeout_seconds,
        stream_max_bytes=side.stream_max_bytes,
    )


def _hosted(
    peer: LocalPeer, namespace: str, digest: str, annotations: dict[str, str], spec: FederationPeerSpec
) -> JsonObject:
    """A hosted peer with the parts that both maps and plain projects share."""
    whole = spec.model_copy(
        update={
            "project": peer.project,
            "compute": Compute(type=peer.compute),
            "storage": Storage(persist=peer.persist),
            "contract_actions": ContractActions(send=peer.send_action, receive=peer.receive_action),
            "deletion_policy": "Delete",
        }
    )
    metadata = _metadata(object_name(peer.project), namespace, digest, annotations)
    return FederationPeer(metadata=metadata, spec=whole).manifest()


def _peer_aws(aws: AwsInMap | None, credentials: str) -> PeerAws | None:
    if aws is None or aws.account_id is None:
        return None
    return PeerAws(
        region=aws.region,
        bucket=aws.bucket,
        account_id=aws.account_id,
        endpoint_url=aws.endpoint_url,
        credentials_secret_ref=ObjectRef(name=credentials),
    )


def _secret(name: str, namespace: str, digest: str, data: Mapping[str, str]) -> JsonObject:
    metadata = _metadata(name, namespace, digest).to_json()
    return _typed(SECRETS) | {"metadata": metadata, "type": "Opaque", "stringData": dict(data)}


def _metadata(
    name: str, namespace: str, digest: str, annotations: Mapping[str, str] | None = None
) -> ObjectMeta:
    return ObjectMeta(
        name=name,
        namespace=namespace,
        labels={MANAGED_BY: MANAGER},
        annotations={REQUEST_DIGEST: digest, **(annotations or {})},
    )


def _ignored(keys: tuple[str, ...]) -> dict[str, str]:
    return {IGNORED_KEYS: ",".join(keys)} if keys else {}


def _typed(resource: Resource) -> JsonObject:
    return {"apiVersion": resource.api_version, "kind": resource.kind}
