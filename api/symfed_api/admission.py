"""`createPolicies`: a peer's operator redeems an invitation (federation.md, Life of a member).

Every refusal has one text. What a refused caller learns is nothing; the log says which check failed.
"""

import hashlib
import logging
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError
from pydantic.alias_generators import to_camel

from symfed_api import manifests
from symfed_api.errors import NotReadyError, RefusedError
from symfed_api.gateway import Gateway
from symfed_api.inviting import read_federation_keys
from symfed_api.objects import (
    find_federation,
    find_peer,
    find_project,
    list_peers,
    poll,
    read_secret_text,
)
from symfed_wire.documents import canonical_json
from symfed_wire.errors import MalformedError, UnsealError
from symfed_wire.federation_map import TOKEN
from symfed_wire.join import CreatePolicies, JoinAnswer, JoinRequest, open_join, seal_join
from symfed_wire.kube import CONFIG_MAPS, PEERS, JsonObject, Kube
from symfed_wire.kube_errors import ConflictError, ForbiddenError, InvalidError
from symfed_wire.names import GRANT_FILE, INVITATION, grant_secret, invitation_claim, remote_name
from symfed_wire.resources import FederationPeer

_logger = logging.getLogger(__name__)
_CLAIM_TRIES = 5


class InvitationRefusedError(RefusedError):
    """The contract's one text; `why` is for the log."""

    reason = "InvitationRefused"

    def __init__(self, why: str) -> None:
        super().__init__("Invitation refused")
        self.why = why


class Claim(BaseModel):
    """What the ConfigMap of an invitation says; an empty uuid means that nobody has claimed it."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    expires: datetime
    federation: str
    uuid: str = ""
    digest: str = ""
    peer_uid: str = ""


@dataclass(frozen=True)
class _Record:
    """A claim with the ConfigMap it came from."""

    claim: Claim
    config_map: JsonObject

    def changed(self, **changes: str) -> JsonObject:
        """The ConfigMap with another claim, at the resourceVersion that was read."""
        data = self.claim.model_copy(update=changes).model_dump(mode="json", by_alias=True)
        return self.config_map | {"data": data}


async def admit(gateway: Gateway, customer: str, project: str, body: bytes) -> str:
    """The sealed join answer for whoever holds a good token.

    Raises InvitationRefusedError, and NotReadyError while the operator has not granted yet.
    """
    try:
        asked = CreatePolicies.model_validate_json(body)
    except ValidationError:
        raise InvitationRefusedError("the body is not of its form") from None
    namespace = gateway.customers.namespace(customer)
    if namespace is None or not TOKEN.fullmatch(asked.fed_req_token):
        raise InvitationRefusedError("unknown customer, or no token")
    record = await _read(gateway.kube, namespace, invitation_claim(asked.fed_req_token))
    federation = record.claim.federation
    admin = await find_project(gateway.kube, namespace, project)
    reference = admin.spec.federation_ref if admin else None
    if reference is None or reference.name != federation:
        raise InvitationRefusedError("unknown project, or not the federation's admin")
    keys = await read_federation_keys(gateway.kube, namespace, federation)
    if keys is None:
        raise NotReadyError(f"Federation {federation} has no keys yet")
    try:
        request = open_join(asked.peer, keys.join_key, asked.fed_req_token, JoinRequest)
    except (UnsealError, MalformedError) as error:
        raise InvitationRefusedError(str(error)) from None
    await _check_backend(gateway.kube, namespace, federation, request)
    await _claim(gateway.kube, namespace, invitation_claim(asked.fed_req_token), request)
    answer = await _wait_for_grant(gateway, namespace, request.peer_uuid)
    return seal_join(answer, keys.join_key, asked.fed_req_token)


def keys_digest(request: JoinRequest) -> str:
    """Digest of all public keys of a join request: the same peer comes with the same ones."""
    keys: JsonValue = request.model_dump(mode="json", exclude={"v", "peer_name"}, exclude_none=True)
    return hashlib.sha256(canonical_json(keys)).hexdigest()


def check_claim(claim: Claim, request: JoinRequest, now: datetime) -> None:
    """Whether this peer may go on with this token. Raises InvitationRefusedError."""
    if not claim.uuid:
        if now >= claim.expires:
            raise InvitationRefusedError("the token has expired")
    elif (claim.uuid, claim.digest) != (request.peer_uuid, keys_digest(request)):
        raise InvitationRefusedError("the token is claimed by another peer, or with other keys")


async def _claim(kube: Kube, namespace: str, name: str, request: JoinRequest) -> None:
    """Claim the invitation for this peer and make its remote FederationPeer.

    Each step is conditional, so that a retry after a crash goes on where the first one stopped, and of two
    at the same time one wins.
    """
    for _ in range(_CLAIM_TRIES):
        record = await _read(kube, namespace, name)
        check_claim(record.claim, request, datetime.now(UTC))
        try:
            if not record.claim.uuid:
                await _check_not_member(kube, namespace, record.claim.federation, request.peer_uuid, name)
                await _check_schema(kube, namespace, record.claim.federation, name, request)
                changed = record.changed(uuid=request.peer_uuid, digest=keys_digest(request))
                await kube.replace(CONFIG_MAPS, namespace, name, changed)
            elif not record.claim.peer_uid:
                peer = await _make_peer(kube, namespace, record.claim.federation, name, request)
                await kube.replace(CONFIG_MAPS, namespace, name, record.changed(peer_uid=peer.metadata.uid))
            else:
                await _check_still_member(kube, namespace, record.claim, request.peer_uuid)
                return
        except ConflictError:
            continue  # somebody else has changed the claim; what it says now decides
    raise NotReadyError("The invitation is being claimed by others at this moment", retry_after=1)


async def _make_peer(
    kube: Kube, namespace: str, federation: str, claim: str, request: JoinRequest
) -> FederationPeer:
    manifest = manifests.remote_peer(request, federation, namespace, claim)
    try:
        return FederationPeer.model_validate(await kube.create(PEERS, namespace, manifest))
    except InvalidError as error:
        raise InvitationRefusedError(str(error)) from None
    except ConflictError:
        existing = await find_peer(kube, namespace, remote_name(request.peer_uuid))
    if existing is None or existing.metadata.annotations.get(INVITATION) != claim:
        raise InvitationRefusedError("the uuid is a member by another token")
    if existing.metadata.deletion_timestamp is not None:
        raise InvitationRefusedError("the member is being removed")
    return existing


async def _check_schema(
    kube: Kube, namespace: str, federation: str, claim: str, request: JoinRequest
) -> None:
    """Whether the member's object could be created, as the API server's own rules say it.

    Before the token is claimed: it would be lost to a peer that can never be a member.
    """
    manifest = manifests.remote_peer(request, federation, namespace, claim)
    try:
        await kube.create(PEERS, namespace, manifest, dry_run=True)
    except InvalidError as error:
        raise InvitationRefusedError(str(error)) from None
    except ConflictError:
        return  # the peer is there already; whether it is this one's is checked after the claim


async def _check_backend(kube: Kube, namespace: str, name: str, request: JoinRequest) -> None:
    """Whether a peer comes with what the federation's backend needs of it."""
    federation = await find_federation(kube, namespace, name)
    if federation is None:
        raise InvitationRefusedError("the federation is gone")
    if (federation.spec.aws is None) != (request.aws is None):
        raise InvitationRefusedError("the peer is on another backend than the federation")


async def _check_not_member(kube: Kube, namespace: str, federation: str, uuid: str, claim: str) -> None:
    for peer in await list_peers(kube, namespace, federation):
        is_same = uuid in (peer.status.uuid, peer.spec.remote.uuid if peer.spec.remote else None)
        if is_same and peer.metadata.annotations.get(INVITATION) != claim:
            raise InvitationRefusedError("the uuid is a member by another token")


async def _check_still_member(kube: Kube, namespace: str, claim: Claim, uuid: str) -> None:
    """A removed peer comes back only by a new token."""
    peer = await find_peer(kube, namespace, remote_name(uuid))
    if peer is None or peer.metadata.uid != claim.peer_uid or peer.metadata.deletion_timestamp is not None:
        raise InvitationRefusedError("the member was removed")


async def _read(kube: Kube, namespace: str, name: str) -> _Record:
    try:
        config_map = await kube.find(CONFIG_MAPS, namespace, name)
    except ForbiddenError:
        config_map = None
    if config_map is None:
        raise InvitationRefusedError("unknown token")
    return _Record(Claim.model_validate(config_map.get("data")), config_map)


async def _wait_for_grant(gateway: Gateway, namespace: str, uuid: str) -> JoinAnswer:
    async def read() -> str | None:
        return await read_secret_text(gateway.kube, namespace, grant_secret(uuid), GRANT_FILE)

    grant = await poll(read, gateway.settings.grant_seconds)
    if grant is None:
        raise NotReadyError("The operator has not granted the membership yet", retry_after=2)
    return JoinAnswer.model_validate_json(grant)
