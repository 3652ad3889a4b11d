"""What an address in place of AWS can do to the operator: nothing for ever, nothing to other customers."""

import asyncio
import itertools
import time

import pytest

from symfed_operator.backends.access import AwsAccess, AwsKeys
from symfed_operator.backends.aws.calls import AT_ONCE, LONGEST_ANSWER, AwsCalls, some_of
from symfed_operator.backends.aws.session import AwsSides
from symfed_operator.backends.base import BackendError, UnreachableError
from tests.integration.hostile_aws import goes_on, hangs, hostile, says
from tests.integration.memory import memory_below

KEYS = AwsKeys("AKIA1", "secret")


def access(endpoint: str) -> AwsAccess:
    return AwsAccess("eu-central-1", "bucket", endpoint_url=endpoint, keys=KEYS, namespace="acme")


async def test_one_customers_address_that_hangs_holds_up_nobody_else() -> None:
    """The threads hang for ever; what waits for them does not, and others have their own."""
    with hostile(hangs) as address:
        slow, others = AwsCalls(seconds=1), AwsCalls(seconds=1)
        sides = AwsSides()
        sides._calls["acme"] = slow
        started = time.monotonic()
        faults = await asyncio.gather(
            *(sides.open(access(address + "/" * number)) for number in range(3 * AT_ONCE)),
            return_exceptions=True,
        )
        assert time.monotonic() - started < 5
        assert {str(fault) for fault in faults} == {
            "access key AKIA1: sts did not end within 1 s; it is tried again. Check the network,"
            " spec.aws.region and spec.aws.endpointUrl"
        }
        assert await others.run("s3", "bucket", lambda: 1) == 1


async def test_an_answer_without_end_is_not_read_into_memory() -> None:
    refused = pytest.raises(UnreachableError, match=f"more than {LONGEST_ANSWER}")
    with hostile(goes_on) as address, memory_below(100 << 20), refused:
        await AwsSides().open(access(address))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"nonsense", "something else than AWS answers"),
        (b"[" * 200_000, "something else than AWS answers"),
        (b"<a>" * 200_000, "something else than AWS answers"),
        (b"", "something else than AWS answers"),
        (
            b"<GetCallerIdentityResponse><GetCallerIdentityResult><Account>1:*</Account>"
            b"</GetCallerIdentityResult></GetCallerIdentityResponse>",
            "something else than AWS answers (an account of another form)",
        ),
    ],
)
async def test_an_answer_that_is_none_of_aws(body: bytes, words: str) -> None:
    with hostile(says(body)) as address, pytest.raises(UnreachableError) as raised:
        await AwsSides().open(access(address))
    assert words in str(raised.value)


def test_a_list_without_end_has_one() -> None:
    """Its pages come from an address that a customer names."""
    assert list(some_of(iter("abc"), 3, "the topic")) == ["a", "b", "c"]
    with pytest.raises(BackendError, match="the topic has more than 3 pages"):
        list(some_of(itertools.count(), 3, "the topic"))
