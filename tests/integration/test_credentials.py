"""Secrets that a spec names stay while somebody needs them, with a real API server."""

import pytest

from symfed_operator.backends.base import CredentialsMissingError
from symfed_operator.credentials import aws_access, nats_login, release
from symfed_wire.kube import FEDERATIONS, NAMESPACES, PEERS, SECRETS, JsonObject, Kube
from symfed_wire.names import FINALIZER
from symfed_wire.resources import Aws, Federation, FederationPeer, Nats, ObjectMeta, ObjectRef

AWS = Aws(region="eu-central-1", bucket="snapshots", credentials_secret_ref=ObjectRef(name="keys"))
AWS_SPEC: JsonObject = {
    "region": "eu-central-1",
    "bucket": "snapshots",
    "credentialsSecretRef": {"name": "keys"},
}


async def make_secret(kube: Kube, namespace: str, name: str, **texts: str) -> None:
    body: JsonObject = {"metadata": {"name": name}, "type": "Opaque", "stringData": dict(texts)}
    await kube.create(SECRETS, namespace, body)


async def make_federation(kube: Kube, namespace: str, name: str) -> Federation:
    body: JsonObject = {"metadata": {"name": name}, "spec": {"name": name, "schedule": "m1", "aws": AWS_SPEC}}
    return Federation.model_validate(await kube.create(FEDERATIONS, namespace, body))


async def make_peer(kube: Kube, namespace: str, name: str) -> FederationPeer:
    spec: JsonObject = {"project": name, "aws": {**AWS_SPEC, "accountId": "222222222222"}}
    body: JsonObject = {
        "metadata": {"name": name},
        "spec": {**spec, "invitationSecretRef": {"name": "invitation"}},
    }
    return FederationPeer.model_validate(await kube.create(PEERS, namespace, body))


async def finalizers(kube: Kube, namespace: str, name: str) -> tuple[str, ...]:
    secret = await kube.get(SECRETS, namespace, name)
    return ObjectMeta.model_validate(secret["metadata"]).finalizers


async def test_a_secret_goes_with_the_last_object_that_needs_it(kube: Kube, namespace: str) -> None:
    await make_secret(kube, namespace, "keys", accessKeyId="AKIA1", secretAccessKey="hidden\n")
    federation = await make_federation(kube, namespace, "f1")
    peer = await make_peer(kube, namespace, "p1")
    access = await aws_access(kube, namespace, AWS)
    assert access.keys is not None
    assert (access.keys.access_key_id, access.keys.secret_access_key) == ("AKIA1", "hidden")
    assert "hidden" not in repr(access)
    assert await finalizers(kube, namespace, "keys") == (FINALIZER,)

    await kube.delete(SECRETS, namespace, "keys")
    assert (await aws_access(kube, namespace, AWS)).keys == access.keys, "read while it waits"
    await release(kube, federation)
    assert await finalizers(kube, namespace, "keys") == (FINALIZER,), "the peer needs it"
    await kube.delete(FEDERATIONS, namespace, "f1")
    await release(kube, peer)
    with pytest.raises(CredentialsMissingError, match=f"Secret {namespace}/keys .* is missing: create it"):
        await aws_access(kube, namespace, AWS)


async def test_a_role_is_assumed_by_the_uid_of_the_namespace(kube: Kube, namespace: str) -> None:
    role = AWS.model_copy(update={"credentials_secret_ref": None, "role_arn": "arn:aws:iam::1:role/r"})
    access = await aws_access(kube, namespace, role)
    own = ObjectMeta.model_validate((await kube.get(NAMESPACES, None, namespace))["metadata"])
    assert (access.keys, access.role_arn, access.external_id) == (None, "arn:aws:iam::1:role/r", own.uid)


async def test_what_a_secret_lacks_is_said(kube: Kube, namespace: str) -> None:
    await make_secret(kube, namespace, "keys", accessKeyId="AKIA1")
    with pytest.raises(CredentialsMissingError, match="must have accessKeyId and secretAccessKey"):
        await aws_access(kube, namespace, AWS)
    await make_secret(kube, namespace, "login", user="u")
    nats = Nats(hosts=("nats://n:1",), credentials_secret_ref=ObjectRef(name="login"))
    with pytest.raises(CredentialsMissingError, match="must have user and password, or token, or nkeySeed"):
        await nats_login(kube, namespace, nats)
    assert (await nats_login(kube, namespace, Nats(hosts=("nats://n:1",)))).user is None


@pytest.mark.parametrize("way", ["../../{}/secrets/login", "x/../../../{}/secrets/login"])
async def test_a_name_leads_to_no_secret_of_another_namespace(kube: Kube, namespace: str, way: str) -> None:
    """The API server takes any text for a reference's name."""
    victim = f"victim-{namespace}"
    await kube.create(NAMESPACES, None, {"metadata": {"name": victim}})
    await make_secret(kube, victim, "login", user="u", password="another customer's")
    nats = Nats(hosts=("nats://n:1",), credentials_secret_ref=ObjectRef(name=way.format(victim)))
    with pytest.raises(CredentialsMissingError, match="is missing: create it"):
        await nats_login(kube, namespace, nats)
    assert await finalizers(kube, victim, "login") == ()
