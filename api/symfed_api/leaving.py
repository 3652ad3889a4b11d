"""`leave`: a member's operator tells the admin that its peer goes (federation.md, Life of a member)."""

import base64
import json
from datetime import datetime, timedelta

from symfed_api.errors import RefusedError
from symfed_api.gateway import Gateway
from symfed_api.objects import find_federation, find_peer, find_project
from symfed_wire.documents import LEAVE_CONTEXT, Leave, SignatureError, Signed, parse_signed, verify_document
from symfed_wire.errors import MalformedError
from symfed_wire.kube import PEERS
from symfed_wire.names import remote_name
from symfed_wire.resources import FederationPeer

# A leave that is older than the membership was meant for an earlier one; clocks may differ by this much.
CLOCK_TOLERANCE = timedelta(minutes=5)


class LeaveRefusedError(RefusedError):
    """The one text of every refusal."""

    reason = "LeaveRefused"

    def __init__(self) -> None:
        super().__init__("Leave refused")


async def leave(gateway: Gateway, customer: str, project: str, body: bytes) -> None:
    """Remove the member that signed this. One that is not a member (any more) is what it wants to be.

    Raises LeaveRefusedError.
    """
    namespace = gateway.customers.namespace(customer)
    admin = await find_project(gateway.kube, namespace, project) if namespace else None
    if namespace is None or admin is None or admin.spec.federation_ref is None:
        raise LeaveRefusedError
    federation = await find_federation(gateway.kube, namespace, admin.spec.federation_ref.name)
    signed = _parse(body)
    peer = await find_peer(gateway.kube, namespace, remote_name(claimed_uuid(signed)))
    if peer is None:
        return
    if federation is None or peer.spec.federation_ref != admin.spec.federation_ref:
        raise LeaveRefusedError
    check_leave(signed, peer, federation.metadata.uid)
    await gateway.kube.delete(PEERS, namespace, peer.metadata.name, uid=peer.metadata.uid)


def claimed_uuid(signed: Signed) -> str:
    """Whose leave it says it is, before its signature is checked. Raises LeaveRefusedError."""
    try:
        return Leave.model_validate(json.loads(base64.b64decode(signed.payload, validate=True))).uuid
    except ValueError:
        raise LeaveRefusedError from None


def check_leave(signed: Signed, peer: FederationPeer, federation_uid: str) -> None:
    """Signed by this member, for this federation, in this membership. Raises LeaveRefusedError."""
    if peer.spec.remote is None:
        raise LeaveRefusedError
    try:
        wish = verify_document(signed, LEAVE_CONTEXT, peer.spec.remote.identity_key, Leave)
        at = datetime.fromisoformat(wish.at)
    except (SignatureError, MalformedError, ValueError):
        raise LeaveRefusedError from None
    joined = peer.metadata.creation_timestamp
    is_current = at.tzinfo is not None and (joined is None or at >= joined - CLOCK_TOLERANCE)
    if wish.uuid != peer.spec.remote.uuid or wish.federation != federation_uid or not is_current:
        raise LeaveRefusedError


def _parse(body: bytes) -> Signed:
    try:
        return parse_signed(body)
    except MalformedError:
        raise LeaveRefusedError from None
