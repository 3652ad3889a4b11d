"""The names that the parts share: of objects, labels, annotations, and of keys inside Secrets."""

import hashlib
import re
from collections.abc import Mapping
from typing import Final

GROUP: Final = "symfed.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

FINALIZER: Final = "symfed.dev/finalizer"
CUSTOMER_LABEL: Final = "symfed.dev/customer"
# As a label `true`: a ConfigMap that records an invitation. As a remote peer's annotation: the record's name.
INVITATION: Final = "symfed.dev/invitation"
JOB_LABEL: Final = "symfed.dev/job"  # value `true`: a ConfigMap that records a job of the gateway's own
SYNC_REQUESTED: Final = "symfed.dev/sync-requested-at"
ERROR_LOG_CLEARED: Final = "symfed.dev/error-log-cleared-at"  # any new value clears the node's error log
IGNORED_KEYS: Final = "symfed.dev/ignored-keys"  # of the map that made the object, comma separated
CREDENTIALS: Final = "symfed.dev/credentials"  # the Secrets that an object named when it was looked at
RECONCILE: Final = "symfed.dev/reconcile"  # value `paused`: the operator leaves the object alone

# Keys inside the Secrets that more than one part reads.
CUSTOMER_KEY: Final = "secretKey"  # symfed-customer: base64 text of 16 bytes
JOIN_KEY: Final = "secretKey"  # <name>-federation: base64 text of the invitations' fed_secret_key
DOCUMENT_KEY: Final = "documentKey"  # <name>-federation: base64 text of the Ed25519 public key
# Secret of `spec.nats.credentialsSecretRef`: its keys, each with the key of a map or invitation that says the
# same. Under the latter the operator puts them into <name>-federation, for the invitations.
NATS_LOGIN_KEYS: Final[Mapping[str, str]] = {
    "user": "nats_sec_user",
    "password": "nats_sec_passwd",
    "token": "nats_sec_token",
    "nkeySeed": "nats_sec_nkey_seed",
    "ca.crt": "nats_tls_ca",
}
# The first four are three ways to log in, of which a Secret or map has one at most.
NATS_LOGIN_WAYS: Final = (("user", "password"), ("token",), ("nkeySeed",))
NODE_FILE: Final = "node.json"  # <name>-node: symfed_wire.node_config.NodeConfig
TOKEN_KEY: Final = "token"  # noqa: S105 - <name>-token: the name of a key, no secret
GRANT_FILE: Final = "join.json"  # remote-<uuid>-grant: symfed_wire.join.JoinAnswer
# `spec.invitationSecretRef` names a Secret whose keys are the opened invitation's own (`fed_name`,
# `fed_req_token`, `nats_hosts`, ...), each with its value as text.

FEDERATION: Final = "federation"
"""in the place of a peer's uuid: the federation itself, whose document the admin's operator publishes"""
NAME_LENGTH: Final = 45  # a StatefulSet with a longer name gets no pod
_HASH_LENGTH: Final = 8
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def object_name(project: str) -> str:
    """The object name of a project id or federation name: a DNS label of at most 45 characters.

    A name that is one already stays as it is; any other gets the hash of the original as a suffix, so that
    two names never meet. The label starts with a letter, since the peer's Service needs that.
    """
    label = re.sub(r"[^a-z0-9-]", "-", project.lower()).strip("-")
    if not label[:1].isalpha():
        label = f"p-{label}".rstrip("-")
    is_lossless = label == project and len(label) <= NAME_LENGTH
    if is_lossless and not _is_remote_name(label):
        return label
    kept = label[: NAME_LENGTH - _HASH_LENGTH - 1].rstrip("-")
    return f"{kept}-{hashlib.sha256(project.encode()).hexdigest()[:_HASH_LENGTH]}"


def remote_name(uuid: str) -> str:
    """The FederationPeer of a member that another operator hosts."""
    return f"remote-{uuid}"


def _is_remote_name(name: str) -> bool:
    return name.startswith("remote-") and _UUID.fullmatch(name.removeprefix("remote-")) is not None


def customer_secret() -> str:
    """The Secret with a customer's key, in each namespace labelled with `CUSTOMER_LABEL`."""
    return "symfed-customer"


def federation_secret(name: str) -> str:
    """The Secret with what the gateway puts into a federation's invitations."""
    return f"{name}-federation"


def node_secret(name: str) -> str:
    """The Secret that is mounted into a peer's node."""
    return f"{name}-node"


def token_secret(name: str) -> str:
    """The Secret with the bearer token between the gateway and a peer's node."""
    return f"{name}-token"


def grant_secret(uuid: str) -> str:
    """The Secret with what the join answer of a remote peer carries."""
    return f"{remote_name(uuid)}-grant"


def invitation_secret(name: str, digest: str) -> str:
    """The Secret with a peer's opened invitation; `digest` is the hexadecimal digest of the request."""
    return f"{name}-invitation-{digest[:_HASH_LENGTH]}"


def credentials_secret(name: str, digest: str) -> str:
    """The Secret with a caller's NATS or AWS credentials; `digest` as in `invitation_secret`."""
    return f"{name}-credentials-{digest[:_HASH_LENGTH]}"


def invitation_claim(token: str) -> str:
    """The ConfigMap that records an invitation and who claimed it; the token itself is stored nowhere."""
    return f"symfed-inv-{hashlib.sha256(token.encode()).hexdigest()[:40]}"


def job_record(number: int) -> str:
    """The ConfigMap that records a job of the gateway's own."""
    return f"symfed-job-{number}"
