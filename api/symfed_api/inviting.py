"""`getEncrypted`: an invitation for one peer, once."""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from pydantic import JsonValue

from symfed_api import manifests
from symfed_api.caller import Caller
from symfed_api.errors import BadRequestError, NotReadyError, NotSupportedError
from symfed_api.gateway import Gateway
from symfed_api.objects import find_federation, get_project, poll, read_secret_text
from symfed_wire.federation_map import InviteMap, parse_invite_map
from symfed_wire.invitation import seal_invitation, seal_invitation_v2
from symfed_wire.kube import CONFIG_MAPS, Kube
from symfed_wire.names import DOCUMENT_KEY, JOIN_KEY, federation_secret, invitation_claim
from symfed_wire.quantities import parse_quantity
from symfed_wire.resources import Federation, find_condition


@dataclass(frozen=True)
class ReadyFederation:
    """A federation that can take members, with what its invitations carry."""

    federation: Federation
    key: str
    document_key: str


async def invite(gateway: Gateway, caller: Caller, project: str, keys: Mapping[str, JsonValue]) -> str:
    """The encrypted invitation. The token is in it alone; the cluster keeps its hash.

    Raises FederationMapError, BadRequestError, NotReadyError, NotSupportedError.
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
        "fed_secret_key": ready.key,
        "fed_rest_url": url,
        "fed_req_token": token,
        "fed_document_key": ready.document_key,
    }
    if spec.nats is not None:
        keys["nats_hosts"] = ",".join(spec.nats.hosts) if spec.nats.hosts else own_hosts
        keys["nats_req_timeout"] = str(spec.nats.request_timeout_seconds)
        keys["nats_stream_max_memory"] = str(parse_quantity(spec.nats.stream_max_bytes))
    if spec.aws is not None:
        keys |= {"aws_topic_arn": status.topic_arn or "", "aws_topic_region": spec.aws.region}
    if spec.encrypt_messages:
        keys["fed_encrypt"] = "true"
    if spec.secure_sum:
        keys["fed_use_smpc"] = "true"
    return keys


async def read_federation_keys(kube: Kube, namespace: str, name: str) -> tuple[str, str] | None:
    """Join key and public document key, both in base64; None until the operator has made them."""
    secret = federation_secret(name)
    key = await read_secret_text(kube, namespace, secret, JOIN_KEY)
    document_key = await read_secret_text(kube, namespace, secret, DOCUMENT_KEY)
    return (key, document_key) if key and document_key else None


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
                if ready.reason == NotSupportedError.reason:
                    raise NotSupportedError(seen)
            return None
        keys = await read_federation_keys(gateway.kube, namespace, name)
        seen = f"Federation {name} has no keys for its invitations yet"
        return ReadyFederation(federation, *keys) if keys else None

    found = await poll(read, gateway.settings.wait_seconds)
    if found is None:
        raise NotReadyError(seen)
    return found


def _seal(keys: dict[str, JsonValue], order: InviteMap) -> str:
    if order.format == "v2":
        return seal_invitation_v2(keys, order.password)
    return seal_invitation(keys, order.password)
