"""`getEncrypted`: an invitation for one peer, once."""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from pydantic import JsonValue

from symfed_api import manifests
from symfed_api.caller import Caller
from symfed_api.errors import BadRequestError, BlockedError, NotReadyError, NotSupportedError
from symfed_api.gateway import Gateway
from symfed_api.objects import find_federation, find_secret, get_project, poll, secret_text
from symfed_api.readiness import is_blocked
from symfed_wire.backend_keys import spelled_region
from symfed_wire.federation_map import InviteMap, parse_invite_map
from symfed_wire.invitation import seal_invitation, seal_invitation_v2
from symfed_wire.kube import CONFIG_MAPS, Kube
from symfed_wire.names import (
    DOCUMENT_KEY,
    JOIN_KEY,
    NATS_LOGIN_KEYS,
    federation_secret,
    invitation_claim,
)
from symfed_wire.quantities import parse_quantity
from symfed_wire.resources import Condition, Federation, find_condition


@dataclass(frozen=True)
class FederationKeys:
    """What the operator made for a federation's invitations; keys are in base64.

    `nats_login` has an invitation's own keys, and is empty unless the NATS is somebody else's.
    """

    join_key: str = field(repr=False)
    document_key: str
    nats_login: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class ReadyFederation:
    """A federation that can take members, with what its invitations carry."""

    federation: Federation
    keys: FederationKeys


async def invite(gateway: Gateway, caller: Caller, project: str, keys: Mapping[str, JsonValue]) -> str:
    """The encrypted invitation. The token is in it alone; the cluster keeps its hash.

    Raises FederationMapError, BadRequestError, BlockedError, NotReadyError, NotSupportedError.
    """
    order = parse_invite_map(keys)
    base = order.rest_host or gateway.settings.external_url
    if not base:
        raise BadRequestError("fed_rest_host: missing; this gateway does not know its own address")
    peer = await get_project(gateway.kube, caller.namespace, project, caller.customer)
    if peer.spec.federation_ref is None:
        raise BadRequestError(f"Project {project} is not the admin of a federation; only the admin invites")
    ready = await _wait_until_ready(gateway, caller.namespace, peer.spec.federation_ref.name)
    token = f"FEDTOKEN{secrets.token_hex(8)}"
    expires = (datetime.now(UTC) + timedelta(hours=order.token_hours)).replace(microsecond=0)
    record = manifests.invitation_record(
        invitation_claim(token), caller.namespace, ready.federation.metadata.name, expires
    )
    await gateway.kube.create(CONFIG_MAPS, caller.namespace, record)
    url = f"{base}/symetry/rest/{quote(caller.customer, safe='')}/fedml/{project}/createPolicies"
    invitation = invitation_keys(ready, url, token, gateway.settings.invitation_hosts)
    return await asyncio.to_thread(_seal, invitation, order)  # scrypt takes a while, on purpose


def invitation_keys(ready: ReadyFederation, url: str, token: str, own_hosts: str) -> dict[str, JsonValue]:
    """The keys of an invitation, all as text; those of NATS only where the federation uses it."""
    spec, status = ready.federation.spec, ready.federation.status
    keys: dict[str, JsonValue] = {
        "sync_sched": spec.schedule,
        "fed_name": spec.name,
        "fed_secret_key": ready.keys.join_key,
        "fed_rest_url": url,
        "fed_req_token": token,
        "fed_document_key": ready.keys.document_key,
    }
    if spec.nats is not None:
        keys["nats_hosts"] = ",".join(spec.nats.hosts) if spec.nats.hosts else own_hosts
        keys["nats_req_timeout"] = str(spec.nats.request_timeout_seconds)
        keys["nats_stream_max_memory"] = str(parse_quantity(spec.nats.stream_max_bytes))
        keys |= ready.keys.nats_login
    if spec.aws is not None:
        keys["aws_topic_arn"] = status.topic_arn or ""
        keys["aws_topic_region"] = spelled_region(spec.aws.region)
    if spec.encrypt_messages:
        keys["fed_encrypt"] = "true"
    if spec.secure_sum:
        keys["fed_use_smpc"] = "true"
    return keys


async def read_federation_keys(kube: Kube, namespace: str, name: str) -> FederationKeys | None:
    """None until the operator has made them."""
    secret = await find_secret(kube, namespace, federation_secret(name))
    if secret is None:
        return None
    key, document_key = secret_text(secret, JOIN_KEY), secret_text(secret, DOCUMENT_KEY)
    if not key or not document_key:
        return None
    login = {name: text for name in NATS_LOGIN_KEYS.values() if (text := secret_text(secret, name))}
    return FederationKeys(key, document_key, login)


def missing(federation: Federation, keys: FederationKeys | None) -> str:
    """What an invitation needs and is not there yet, though the federation is ready."""
    spec = federation.spec
    if keys is None:
        return "keys"
    if spec.aws is not None and not federation.status.topic_arn:
        return "topic"
    if spec.nats is not None and spec.nats.credentials_secret_ref is not None and not keys.nats_login:
        return "NATS credentials"
    return ""


async def _wait_until_ready(gateway: Gateway, namespace: str, name: str) -> ReadyFederation:
    seen = f"Federation {name} is not ready yet"

    async def read() -> ReadyFederation | None:
        nonlocal seen
        federation = await find_federation(gateway.kube, namespace, name)
        if federation is None:
            seen = f"Federation {name} is not there (yet)"
            return None
        ready = find_condition(federation.status.conditions, "Ready")
        if ready is None or ready.status != "True":
            if ready is not None:
                seen = f"Federation {name} is not ready: {ready.reason}: {ready.message}"
                _raise_if_hopeless(federation, ready, seen)
            return None
        keys = await read_federation_keys(gateway.kube, namespace, name)
        lacks = missing(federation, keys)
        seen = f"Federation {name} has no {lacks} for its invitations yet"
        return None if keys is None or lacks else ReadyFederation(federation, keys)

    found = await poll(read, gateway.settings.wait_seconds)
    if found is None:
        raise NotReadyError(seen)
    return found


def _raise_if_hopeless(federation: Federation, ready: Condition, seen: str) -> None:
    """Raise NotSupportedError or BlockedError for a condition that no waiting mends."""
    if ready.reason == NotSupportedError.reason:
        raise NotSupportedError(seen)
    if is_blocked(federation, ready):
        raise BlockedError(seen)


def _seal(keys: dict[str, JsonValue], order: InviteMap) -> str:
    if order.format == "v2":
        return seal_invitation_v2(keys, order.password)
    return seal_invitation(keys, order.password)
