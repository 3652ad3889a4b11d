"""The removal of members: the others hear of it, then what each had is freed."""

import logging
from collections.abc import Sequence

from symfed_operator.backends.absent import AbsentBackend
from symfed_operator.backends.base import Backend, BackendError, SecretMissingError, WantedFederation
from symfed_operator.cluster import delete_child
from symfed_operator.context import Context
from symfed_operator.errors import noting
from symfed_operator.members import LeavingMember
from symfed_operator.namespaces import read_namespace
from symfed_operator.queue import peer_key
from symfed_wire.documents import Signed
from symfed_wire.errors import SymfedError
from symfed_wire.kube import SECRETS
from symfed_wire.names import grant_secret
from symfed_wire.resources import Federation

_log = logging.getLogger(__name__)


async def leaving_backend(context: Context, federation: Federation) -> Backend:
    """The backend of what leaves; an absent one where nobody can make its Secret any more."""
    try:
        return await context.backends.of(federation)
    except SecretMissingError as error:
        if not (await read_namespace(context.kube, federation.metadata.namespace)).is_terminating:
            raise
        _log.warning("federation %s: what it has outside is not freed: %s", federation.metadata.uid, error)
        return AbsentBackend()


async def remove_members(
    context: Context,
    backend: Backend,
    wanted: WantedFederation,
    document: Signed,
    leaving: Sequence[LeavingMember],
    *,
    retains: bool,
) -> list[SymfedError]:
    """Publish the document without them, then remove each; an error costs its own member alone.

    `retains`: what they have stored stays. Returns the errors.
    """
    await _announce(backend, wanted, document)
    faults: list[SymfedError] = []
    for member in leaving:
        with noting(faults, f"federation {wanted.uid}: removing {peer_key(member.peer.metadata)}"):
            await _remove(context, backend, wanted, member, retains=retains)
    return faults


async def _announce(backend: Backend, wanted: WantedFederation, document: Signed) -> None:
    """The others read of a removal before the member is cut; where they cannot, they read of it after."""
    try:
        await backend.publish_document(wanted, document)
    except BackendError as error:
        _log.info("federation %s: the document comes after the removal: %s", wanted.uid, error)


async def _remove(
    context: Context, backend: Backend, wanted: WantedFederation, leaving: LeavingMember, *, retains: bool
) -> None:
    """Cut a member and free what it had. Its record goes last: while it is there, so may be the account."""
    remove = backend.retain_member if retains else backend.remove_member
    await remove(wanted, leaving.gone)
    meta = leaving.peer.metadata
    if leaving.peer.spec.remote is not None:
        await delete_child(context.kube, SECRETS, meta.namespace, grant_secret(leaving.peer.spec.remote.uuid))
    await context.records.delete(leaving.stored.name)
    context.queue.add(peer_key(meta))
    _log.info("federation %s: removed member %s/%s", wanted.name, meta.namespace, meta.name)
