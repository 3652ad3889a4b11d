"""Which backend a federation has, and which side of it a hosted peer."""

from symfed_operator.backends.aws.backend import AwsBackend
from symfed_operator.backends.aws.peer import AwsPeerSide
from symfed_operator.backends.aws.session import AwsSides
from symfed_operator.backends.base import Backend, PeerSide
from symfed_operator.backends.nats.external import SharedAccount
from symfed_operator.backends.nats.external_backend import ExternalNatsBackend, ExternalNatsPeerSide
from symfed_operator.credentials import aws_access, nats_login
from symfed_operator.records import PeerRecord
from symfed_wire.join import JoinAnswer
from symfed_wire.kube import Kube
from symfed_wire.node_config import NatsLogin
from symfed_wire.resources import Aws, Federation, FederationPeer, Nats

_INVITED = "the admin's Secret: a login from an invitation that holds no more comes with a new invitation"


class Backends:
    """`managed` is the NATS that the operator administers; to others one comes as the customer."""

    def __init__(self, kube: Kube, managed: Backend) -> None:
        self._kube = kube
        self._managed = managed
        self._aws = AwsSides()

    async def of(self, federation: Federation) -> Backend:
        """The backend of a federation. Raises BackendError."""
        spec, namespace = federation.spec, federation.metadata.namespace
        if spec.aws is not None:
            return AwsBackend(await self._aws.open(await aws_access(self._kube, namespace, spec.aws)))
        if spec.nats is not None and spec.nats.hosts:
            login = await nats_login(self._kube, namespace, spec.nats)
            return ExternalNatsBackend(SharedAccount(spec.nats.hosts, login, _origin(namespace, spec.nats)))
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
        if answer.aws is not None and aws is not None:
            access = await aws_access(self._kube, peer.metadata.namespace, aws)
            side = await self._aws.open(access, answer.aws.region)
            project = peer.spec.project or peer.metadata.name
            return AwsPeerSide(side, answer, answer.aws, uuid=record.uuid, project=project)
        if answer.nats is not None and answer.nats.writer_jwt is None:
            origin = _INVITED if peer.spec.invitation_secret_ref else "the Federation's credentialsSecretRef"
            account = SharedAccount(answer.nats.hosts, login or NatsLogin(), origin)
            return ExternalNatsPeerSide(account, record.uuid, answer)
        return None

    async def close(self) -> None:
        """Close connections."""
        await self._managed.close()


def _origin(namespace: str, nats: Nats) -> str:
    reference = nats.credentials_secret_ref
    return f"Secret {namespace}/{reference.name}" if reference else "spec.nats, without credentialsSecretRef"
