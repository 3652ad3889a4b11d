"""The calls that steer a member: each one changes its custom resource as a user with kubectl could."""

import re
from datetime import UTC, datetime

from symfed_api.caller import Caller
from symfed_api.errors import NotReadyError, RefusedError
from symfed_api.gateway import Gateway
from symfed_api.objects import change, find_federation, get_member
from symfed_wire.federation_map import SCHEDULE, SCHEDULE_FORM
from symfed_wire.kube import JsonObject
from symfed_wire.map_keys import MapKeys
from symfed_wire.names import ERROR_LOG_CLEARED, SYNC_REQUESTED

_FLAG = re.compile("true|false", re.IGNORECASE)


async def set_pulse(gateway: Gateway, caller: Caller, project: str, *, pulse: bool) -> None:
    """Take part in the schedule, or not: `spec.pulse`. Raises BadRequestError."""
    await _change_member(gateway, caller, project, {"spec": {"pulse": pulse}})


async def set_explore(gateway: Gateway, caller: Caller, project: str, allow: str | None) -> None:
    """Let the other peers explore this one, or not: `spec.allowPeersExplore`.

    Raises FederationMapError for what is not true or false, BadRequestError.
    """
    text = _checked("allowExplore", allow, _FLAG, "true or false")
    await _change_member(gateway, caller, project, {"spec": {"allowPeersExplore": text.lower() == "true"}})


async def request_sync(gateway: Gateway, caller: Caller, project: str) -> None:
    """Let the node publish now and ask the others to, by an annotation. Raises BadRequestError."""
    await _change_member(gateway, caller, project, _annotation(SYNC_REQUESTED))


async def clear_error_log(gateway: Gateway, caller: Caller, project: str) -> None:
    """Let the node clear its error log, by an annotation. Raises BadRequestError."""
    await _change_member(gateway, caller, project, _annotation(ERROR_LOG_CLEARED))


async def set_schedule(gateway: Gateway, caller: Caller, project: str, schedule: str | None) -> None:
    """Change the schedule of the federation that a project administers: the Federation's `spec.schedule`.

    Raises FederationMapError for a malformed schedule, BadRequestError, RefusedError for a project that is
    not the admin's, NotReadyError when its Federation is not there.
    """
    text = _checked("newSchedule", schedule, SCHEDULE, SCHEDULE_FORM)
    peer = await get_member(gateway.kube, caller.namespace, project, caller.customer)
    reference = peer.spec.federation_ref
    if reference is None:
        raise RefusedError(
            f"Project {project} is not the admin of its federation; only the admin sets its schedule"
        )
    federation = await find_federation(gateway.kube, caller.namespace, reference.name)
    if federation is None or not await change(gateway.kube, federation, {"spec": {"schedule": text}}):
        raise NotReadyError(f"Federation {reference.name} is not there (yet)")


async def _change_member(gateway: Gateway, caller: Caller, project: str, changes: JsonObject) -> None:
    peer = await get_member(gateway.kube, caller.namespace, project, caller.customer)
    if not await change(gateway.kube, peer, changes):
        raise NotReadyError(f"Project {project} is being deleted or made anew")


def _annotation(name: str) -> JsonObject:
    return {"metadata": {"annotations": {name: datetime.now(UTC).isoformat()}}}


def _checked(key: str, text: str | None, pattern: re.Pattern[str], form: str) -> str:
    keys = MapKeys({})
    checked = keys.checked(key, text, pattern, form)
    keys.raise_faults()
    return checked
