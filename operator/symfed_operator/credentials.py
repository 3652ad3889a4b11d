"""The Secrets with credentials that specs name: read by name, and kept while somebody needs them."""

from symfed_operator.backends.access import AwsAccess, AwsKeys
from symfed_operator.backends.base import CredentialsMissingError, SecretMissingError
from symfed_operator.cluster import (
    LABEL_MANAGED_BY,
    MANAGER,
    SecretObject,
    add_finalizer,
    remove_finalizer,
)
from symfed_operator.namespaces import read_namespace
from symfed_wire.kube import FEDERATIONS, PEERS, SECRETS, JsonObject, Kube
from symfed_wire.names import CREDENTIALS, NATS_LOGIN_KEYS, NATS_LOGIN_WAYS
from symfed_wire.node_config import NatsLogin
from symfed_wire.resources import Aws, Federation, FederationPeer, Nats, ObjectRef


async def aws_access(kube: Kube, namespace: str, aws: Aws) -> AwsAccess:
    """The way to a side on AWS. Raises CredentialsMissingError."""
    keys, external_id = None, ""
    if aws.credentials_secret_ref is not None:
        keys = _aws_keys(await _read(kube, namespace, aws.credentials_secret_ref.name))
    else:
        external_id = (await read_namespace(kube, namespace)).metadata.uid
    return AwsAccess(
        region=aws.region,
        bucket=aws.bucket,
        account_id=aws.account_id,
        endpoint_url=aws.endpoint_url,
        keys=keys,
        role_arn=aws.role_arn,
        external_id=external_id,
        namespace=namespace,
    )


async def nats_login(kube: Kube, namespace: str, nats: Nats) -> NatsLogin:
    """The login of a NATS that somebody else runs; empty without a Secret. Raises CredentialsMissingError."""
    if nats.credentials_secret_ref is None:
        return NatsLogin()
    secret = await _read(kube, namespace, nats.credentials_secret_ref.name)
    used = [way for way in NATS_LOGIN_WAYS if any(_text(secret, key) for key in way)]
    ca = _text(secret, "ca.crt")
    is_empty = not used and not ca
    if is_empty or len(used) > 1 or not all(_text(secret, key) for way in used for key in way):
        raise CredentialsMissingError(
            f"Secret {namespace}/{secret.metadata.name} must have user and password, or token, or nkeySeed, "
            "and nothing else of these"
        )
    return NatsLogin(
        user=_text(secret, "user"),
        password=_text(secret, "password"),
        token=_text(secret, "token"),
        nkey_seed=_text(secret, "nkeySeed"),
        ca=ca,
    )


def shown_login(login: NatsLogin) -> dict[str, str]:
    """A login as an invitation carries it: the members of the federation all use it."""
    texts = {
        "user": login.user,
        "password": login.password,
        "token": login.token,
        "nkeySeed": login.nkey_seed,
        "ca.crt": login.ca,
    }
    return {NATS_LOGIN_KEYS[key]: text for key, text in texts.items() if text}


async def release(kube: Kube, leaving: Federation | FederationPeer) -> None:
    """Let the Secrets go that an object named, unless another object still needs them."""
    await _let_go(kube, leaving, _named_by(leaving) | _noted_at(leaving))


async def follow(kube: Kube, item: Federation | FederationPeer) -> None:
    """Note at an object which Secrets it names, before any is kept, and let those go that it has named."""
    named, noted = _named_by(item), _noted_at(item)
    if named == noted:
        return
    await _let_go(kube, item, noted - named)
    resource = FEDERATIONS if isinstance(item, Federation) else PEERS
    meta = item.metadata
    patch: JsonObject = {
        "metadata": {"uid": meta.uid, "annotations": {CREDENTIALS: ",".join(sorted(named)) or None}}
    }
    await kube.patch(resource, meta.namespace, meta.name, patch, manager=MANAGER)


async def _let_go(kube: Kube, leaving: Federation | FederationPeer, names: set[str]) -> None:
    namespace = leaving.metadata.namespace
    if not names:
        return
    others: list[Federation | FederationPeer] = [
        *map(Federation.model_validate, await kube.list_all(FEDERATIONS, namespace)),
        *map(FederationPeer.model_validate, await kube.list_all(PEERS, namespace)),
    ]
    staying = [other for other in others if other.metadata.uid != leaving.metadata.uid]
    for name in names.difference(*map(_named_by, staying)):
        found = await kube.find(SECRETS, namespace, name)
        if found is not None:
            await remove_finalizer(kube, SECRETS, SecretObject.model_validate(found).metadata)


def _noted_at(item: Federation | FederationPeer) -> set[str]:
    text = item.metadata.annotations.get(CREDENTIALS, "")
    return {name for name in text.split(",") if name}


def _named_by(item: Federation | FederationPeer) -> set[str]:
    sides: list[Aws | Nats | None] = [item.spec.aws]
    if isinstance(item, Federation):
        sides.append(item.spec.nats)
    references: list[ObjectRef | None] = [side.credentials_secret_ref for side in sides if side is not None]
    return {reference.name for reference in references if reference is not None}


async def _read(kube: Kube, namespace: str, name: str) -> SecretObject:
    """Read a Secret, which then stays until `release`, also in a namespace that goes."""
    found = await kube.find(SECRETS, namespace, name)
    if found is None:
        raise SecretMissingError(f"Secret {namespace}/{name} with the credentials is missing: create it")
    secret = SecretObject.model_validate(found)
    _check_meant(secret)
    if secret.metadata.deletion_timestamp is None:
        await add_finalizer(kube, SECRETS, secret.metadata)
    return secret


def _check_meant(secret: SecretObject) -> None:
    """What is in it is sent to hosts that the spec names, so it must have been made for that.

    Who may write a Federation could else read any Secret with a `token`, such as a ServiceAccount's.
    """
    is_ours = secret.metadata.labels.get(LABEL_MANAGED_BY) == MANAGER
    if secret.type != "Opaque" or is_ours:
        kind = "the operator's own" if is_ours else f"of type {secret.type}"
        meta = secret.metadata
        raise CredentialsMissingError(
            f"Secret {meta.namespace}/{meta.name} is {kind} and no credentials: name one of type Opaque"
        )


def _text(secret: SecretObject, key: str) -> str | None:
    text = secret.text(key)
    return None if text is None else text.strip("\r\n") or None  # a file's end; blanks may be meant


def _aws_keys(secret: SecretObject) -> AwsKeys:
    key, secret_key = _text(secret, "accessKeyId"), _text(secret, "secretAccessKey")
    if not key or not secret_key:
        meta = secret.metadata
        raise CredentialsMissingError(
            f"Secret {meta.namespace}/{meta.name} must have accessKeyId and secretAccessKey"
        )
    return AwsKeys(key, secret_key, _text(secret, "sessionToken"))
