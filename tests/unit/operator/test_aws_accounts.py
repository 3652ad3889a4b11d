"""Policies for accounts of which AWS knows some and refuses a policy whole for the others."""

from collections.abc import Collection

import pytest

from symfed_operator.backends.aws.accounts import put_for
from symfed_operator.backends.aws.errors import AwsFailedError, is_unknown_principal
from symfed_operator.backends.base import BackendError, UnreachableError

UNKNOWN = AwsFailedError("MalformedPolicy: Invalid principal in policy", "MalformedPolicy")


class Policy:
    """What is stored, on an AWS where some accounts were never opened."""

    def __init__(self, *unopened: str) -> None:
        self.unopened = set(unopened)
        self.stored: set[str] = set()
        self.tries = 0

    async def put(self, accounts: Collection[str]) -> None:
        self.tries += 1
        if self.unopened & set(accounts):
            raise UNKNOWN
        self.stored = set(accounts)


async def test_accounts_that_are_all_known_cost_one_try() -> None:
    policy = Policy()
    assert await put_for({"1", "2", "3"}, {"1"}, policy.put) == set()
    assert (policy.stored, policy.tries) == ({"1", "2", "3"}, 1)


async def test_one_that_is_unknown_keeps_nobody_else_out() -> None:
    policy = Policy("2")
    assert await put_for({"1", "2", "3", "4"}, {"1"}, policy.put) == {"2"}
    assert policy.stored == {"1", "3", "4"}


async def test_one_that_was_closed_keeps_nobody_else_out() -> None:
    policy = Policy("1")
    assert await put_for({"1", "2", "3"}, {"1", "2"}, policy.put) == {"1"}
    assert policy.stored == {"2", "3"}


async def test_one_that_was_closed_goes_when_nobody_comes() -> None:
    policy = Policy("1")
    policy.stored = {"1", "2"}
    assert await put_for({"1", "2"}, {"1", "2"}, policy.put) == {"1"}
    assert policy.stored == {"2"}


async def test_another_error_is_raised() -> None:
    async def put(_: Collection[str]) -> None:
        raise UnreachableError("away")

    with pytest.raises(UnreachableError):
        await put_for({"1"}, set(), put)


@pytest.mark.parametrize(
    ("error", "is_so"),
    [
        (UNKNOWN, True),
        (AwsFailedError("Invalid parameter: Policy Error: PrincipalNotFound", "InvalidParameter"), True),
        (AwsFailedError("Policy has invalid resource", "MalformedPolicy"), False),
        (AwsFailedError("Invalid parameter: TopicArn", "InvalidParameter"), False),
        (BackendError("Invalid principal"), False),
    ],
)
def test_what_says_that_an_account_is_unknown(error: BackendError, *, is_so: bool) -> None:
    assert is_unknown_principal(error) is is_so
