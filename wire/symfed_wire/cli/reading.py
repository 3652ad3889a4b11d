"""What several commands read of a project that may not be ready, or in no federation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from symfed_wire.client import ApiError, Client
from symfed_wire.client.results import FederationInfo
from symfed_wire.errors import MalformedError

Answer = TypeVar("Answer")

_NOT_READY = " is not ready: "


def or_not_ready(ask: Callable[[], Answer]) -> Answer | str:
    """The answer, or why the project's node is not ready. Raises ApiError for anything else."""
    try:
        return ask()
    except ApiError as error:
        _, is_about_node, why = error.text.partition(_NOT_READY)
        if error.status == 503 and is_about_node:
            return why
        raise


def federation_of(client: Client, project: str) -> FederationInfo | None:
    """The project's federation, or None: a plain project has none and answers 400."""
    try:
        return client.info(project)
    except ApiError as error:
        if error.status == 400 and not error.is_about_no_project:
            return None
        raise


def uuid_of(client: Client, project: str, peer: str | None) -> str | None:
    """The uuid of the member that is meant by its uuid, the beginning of that, or its name; None for None.

    Raises MalformedError if nobody is meant, or several are: everybody chooses his own name.
    """
    if peer is None:
        return None
    members = client.info(project).peers
    if peer in members:
        return peer
    meant = [uuid for uuid, name in members.items() if peer == name or uuid.startswith(peer)]
    if len(meant) == 1:
        return meant[0]
    if not meant:
        there = ", ".join(f"{name} ({uuid[:8]})" for uuid, name in members.items())
        raise MalformedError(f"{project} has no peer {peer}; there are {there}")
    raise MalformedError(f"{peer} may be {' or '.join(meant)}: say which by its uuid")
