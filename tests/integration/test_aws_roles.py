"""Roles on AWS, against ministack where it judges who may assume them."""

import dataclasses
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from symfed_operator.backends.access import AwsAccess
from symfed_operator.backends.aws.backend import AwsBackend
from symfed_operator.backends.aws.errors import AccessDeniedError
from symfed_operator.backends.aws.session import AwsSides
from symfed_operator.backends.base import AuthorizationFailedError, UnreachableError
from tests.integration.aws_rights import iam_of, least
from tests.integration.aws_servers import ADMIN_ACCOUNT, SECRET_KEY, AwsServer, running
from tests.integration.aws_world import World
from tests.policies.cases import page_policy

CLUSTER = "999999999999"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsServer]:
    started = AwsServer.ministack(tmp_path_factory.mktemp("ministack"), judges=True)
    with running(started), pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_CA_BUNDLE", str(started.ca_file))
        yield started


@pytest.fixture
def world(server: AwsServer) -> World:
    return World(server)


@pytest.fixture
def operators_own(server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator has an identity of its own, in the cluster's account."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", CLUSTER)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)


def role(world: World, external_id: str) -> AwsAccess:
    """A new role of the admin's account, with its least policy, for the operator alone."""
    iam, name = iam_of(world.admin), f"symfed-{uuid.uuid4().hex[:8]}"
    trust = page_policy("trust policy of a role")
    statement = dict(trust["Statement"][0])  # type: ignore[index,arg-type]
    statement["Principal"] = {"AWS": f"arn:aws:iam::{CLUSTER}:root"}
    statement["Condition"] = {"StringEquals": {"sts:ExternalId": "the-namespace"}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)
    policy = least(world, "policy of the admin", world.admin)
    iam.put_role_policy(RoleName=name, PolicyName="least", PolicyDocument=policy)
    arn = f"arn:aws:iam::{ADMIN_ACCOUNT}:role/{name}"
    return world.admin.access(keys=None, role_arn=arn, external_id=external_id)


async def test_a_role_is_assumed_once_and_nothing_else_is_done_as_the_operator(
    world: World, operators_own: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides, as_operator = AwsSides(), list[str]()

    def note(operation_name: str, request_signer: Any, **_: Any) -> None:
        if request_signer._credentials.access_key == CLUSTER:
            as_operator.append(operation_name)

    sides._session.events.register("before-sign", note)
    access = role(world, "the-namespace")
    side = await sides.open(access)
    assert side.account == ADMIN_ACCOUNT
    assert await sides.open(access) is side
    await AwsBackend(side).apply(world.wanted(world.peer()))
    assert as_operator == ["AssumeRole"]
    in_an_hour = time.monotonic() + 3_001  # and ten minutes before its end
    monkeypatch.setattr("symfed_operator.backends.aws.session.time.monotonic", lambda: in_an_hour)
    assert await sides.open(access) is not side
    assert as_operator == ["AssumeRole", "AssumeRole"]


async def test_a_role_is_not_assumed_for_another_namespace(world: World, operators_own: None) -> None:
    access = role(world, "another-namespace")
    with pytest.raises(AccessDeniedError) as caught:
        await AwsSides().open(access)
    assert str(caught.value) == f"sts:AssumeRole is not allowed on {access.role_arn}"


async def test_the_operators_signature_goes_to_no_address_that_a_customer_names(
    world: World, operators_own: None
) -> None:
    seen: list[str] = []
    sides = AwsSides()
    sides._session.events.register("before-send", lambda request, **_: seen.append(request.url))
    access = dataclasses.replace(role(world, "the-namespace"), endpoint_url="http://127.0.0.1:1")
    with pytest.raises(UnreachableError):
        await sides.open(access)
    assert seen[0] == f"{world.server.url}/"
    assert {*seen[1:]} == {"http://127.0.0.1:1/"}  # with the customer's role


async def test_an_operator_without_identity_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    access = role(world, "the-namespace")
    with pytest.raises(AuthorizationFailedError) as caught:
        await AwsSides().open(access)
    assert str(caught.value) == (
        f"{access.role_arn}: the operator has no identity of its own on AWS (Unable to locate credentials):"
        " give its ServiceAccount a role, or name a Secret in spec.aws.credentialsSecretRef instead of"
        " spec.aws.roleArn"
    )
