"""What a hosted peer has outside by its own operator, and what its node is told of it."""

from dataclasses import dataclass

from symfed_operator.backends.base import PeerSide, Told
from symfed_operator.context import Context
from symfed_operator.credentials import nats_login
from symfed_operator.documents import first_document
from symfed_operator.records import PeerRecord
from symfed_wire.join import JoinAnswer
from symfed_wire.kube import FEDERATIONS
from symfed_wire.node_config import Membership
from symfed_wire.resources import Aws, Federation, FederationPeer


@dataclass(frozen=True)
class OwnSide:
    """What a hosted peer has outside: by whom it is made, and whose credentials on AWS its node uses."""

    side: PeerSide | None = None
    aws: Aws | None = None

    @property
    def queue_url(self) -> str | None:
        """The queue that wakes the node; None but on AWS."""
        place = self.side.told.aws_place if self.side is not None else None
        return place.queue_url if place is not None else None


async def own_side(context: Context, peer: FederationPeer, record: PeerRecord, answer: JoinAnswer) -> OwnSide:
    """A peer's side with its credentials: its own, or those of the Federation beside it.

    Raises BackendError.
    """
    aws: Aws | None = peer.spec.aws
    login = record.login
    if peer.spec.federation_ref is not None:
        namespace = peer.metadata.namespace
        found = await context.kube.find(FEDERATIONS, namespace, peer.spec.federation_ref.name)
        spec = Federation.model_validate(found).spec if found else None
        if spec is not None:
            aws = aws or spec.aws
            if spec.nats is not None and spec.nats.hosts:
                login = await nats_login(context.kube, namespace, spec.nats)
    side = await context.backends.side_of(peer, record, answer, aws=aws, login=login)
    return OwnSide(side, aws if answer.aws else None)


def membership_of(
    answer: JoinAnswer, uuid: str, told: Told | None = None, hosts: tuple[str, ...] = ()
) -> Membership:
    """What the node is told of its federation; `hosts` take the place of the advertised ones."""
    member = first_document(answer).member(uuid)
    return Membership(
        federation=answer.federation,
        admin=member is not None and member.admin,
        document_key=answer.document_key,
        document=answer.document,
        nats=answer.nats.model_copy(update={"hosts": hosts}) if answer.nats and hosts else answer.nats,
        nats_login=told.nats_login if told else None,
        aws=answer.aws,
        aws_place=told.aws_place if told else None,
    )
