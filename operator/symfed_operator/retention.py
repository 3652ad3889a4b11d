"""What becomes of a federation that is deleted: freed, or retained and freed by an administrator later."""

import logging
from collections.abc import Sequence

from symfed_operator.backends.base import Backend, GoneMember, WantedFederation
from symfed_operator.backends.nats.account import address_of
from symfed_operator.cluster import write_event
from symfed_operator.context import Context
from symfed_operator.documents import read_document
from symfed_operator.errors import FederationServedError, NothingRetainedError
from symfed_operator.members import LeavingMember
from symfed_operator.records import FederationRecord, Records, Stored, federation_record_name
from symfed_wire.documents import Member
from symfed_wire.kube import FEDERATIONS, SECRETS, Kube
from symfed_wire.resources import Federation, ObjectMeta

RETAINED_LABEL = "symfed.dev/retained"  # of a record whose Federation is gone; its value is that one's name

_log = logging.getLogger(__name__)


def with_retained(record: FederationRecord, leaving: Sequence[LeavingMember]) -> FederationRecord:
    """The record with the seeds of members whose accounts are to outlive them."""
    seeds = [member.stored.record.seeds for member in leaving]
    new = [each for each in seeds if each not in record.retained]
    return record.model_copy(update={"retained": (*record.retained, *new)}) if new else record


async def retain(
    context: Context,
    backend: Backend,
    federation: Federation,
    wanted: WantedFederation,
    stored: Stored[FederationRecord],
) -> None:
    """Keep what is stored, with room for nothing more, and the record with its keys."""
    meta, namespace = federation.metadata, context.settings.namespace
    await backend.retain(wanted)
    await context.records.replace(stored, stored.record, labels={RETAINED_LABEL: meta.name})
    text = (
        f"Federation {meta.namespace}/{meta.name} is gone and its stored snapshots are retained; "
        f"`symfed-operator free-federation {meta.uid}` frees them"
    )
    await write_event(
        context.kube, SECRETS, namespace, ObjectMeta(name=stored.name, namespace=namespace), "Retained", text
    )
    _log.info("%s", text)


async def free(
    backend: Backend, records: Records, wanted: WantedFederation, stored: Stored[FederationRecord]
) -> None:
    """Free all accounts, those of members that were retained included, and then the record."""
    for seeds in stored.record.retained:
        await backend.remove_member(wanted, GoneMember(seeds))
    await backend.delete(wanted)
    await records.delete(stored.name)
    _log.info("federation %s (%s): accounts and records are deleted", wanted.name, wanted.uid)


async def free_retained(kube: Kube, backend: Backend, records: Records, uid: str) -> None:
    """Free what was retained of a deleted Federation.

    Raises:
        FederationServedError: the Federation is still there.
        NothingRetainedError: there is no record of such a federation.
    """
    living = [Federation.model_validate(item) for item in await kube.list_all(FEDERATIONS)]
    for federation in living:
        if federation.metadata.uid == uid:
            name = f"{federation.metadata.namespace}/{federation.metadata.name}"
            raise FederationServedError(f"Federation {name} is still there; delete it first")
    stored = await records.find(federation_record_name(uid), FederationRecord)
    if stored is None:
        raise NothingRetainedError(f"nothing is retained of a federation with the uid {uid}")
    document = read_document(stored.record)
    if document is not None and not all(_is_managed(member) for member in document.members):
        await records.delete(stored.name)
        _log.info("federation %s: its keys are deleted; what it stored outside is its owners' to delete", uid)
        return
    wanted = WantedFederation(uid, document.name if document else uid, stored.record.seeds, 0)
    await free(backend, records, wanted, stored)


def _is_managed(member: Member) -> bool:
    """Whether a member had an account on the operator's own NATS, by the form of its address."""
    return member.nats == address_of(member.uuid)
