"""Which backend a federation has, and which side of it a hosted peer."""

from symfed_operator.backends.base import Backend, NotSupportedError, PeerSide
from symfed_operator.credentials import aws_access, nats_login
from symfed_operator.records import PeerRecord
from symfed_wire.join import JoinAnswer
from symfed_wire.kube import Kube
from symfed_wire.node_config import NatsLogin
from symfed_wire.resources import Aws, Federation, FederationPeer


class Backends:
    """`managed` is the NATS that the operator administers; to others one comes as the customer."""

    def __init__(self, kube: Kube, managed: Backend) -> None:
        self._kube = kube
        self._managed = managed

    async def of(self, federation: Federation) -> Backend:
        """The backend of a federation. Raises BackendError."""
        spec, namespace = federation.spec, federation.metadata.namespace
        if spec.aws is not None:
            await aws_access(self._kube, namespace, spec.aws)
            raise NotSupportedError("spec.aws: AWS is not supported yet; use spec.nats.managed")
        if spec.nats is not None and spec.nats.hosts:
            await nats_login(self._kube, namespace, spec.nats)
            raise NotSupportedError(
                "spec.nats.hosts: somebody else's NATS is not supported yet; use spec.nats.managed"
            )
        return self._managed

    async def side_of(
        self,
        peer: FederationPeer,
        record: PeerRecord,
        answer: JoinAnswer,
        *,
        aws: Aws | None,
        login: NatsLogin | None,
    ) -> PeerSide | None:
        """What a hosted peer's own operator does for it, by its credentials; None on managed NATS.

        Raises BackendError.
        """
        if answer.aws is not None:
            raise NotSupportedError("AWS is not supported yet")
        if answer.nats is not None and answer.nats.writer_jwt is None:
            raise NotSupportedError("a NATS that somebody else runs is not supported yet")
        return None

    async def close(self) -> None:
        """Close connections."""
        await self._managed.close()
