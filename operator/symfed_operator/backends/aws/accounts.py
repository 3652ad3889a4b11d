"""Grants to accounts, of which AWS may not know every one."""

from collections.abc import Awaitable, Callable, Collection

from symfed_operator.backends.aws.errors import is_unknown_principal
from symfed_operator.backends.base import BackendError


class AccountUnknownError(BackendError):
    """AWS takes no policy that names this account: it was never opened, or is closed."""

    reason = "AccountUnknown"


async def put_for(
    accounts: Collection[str], known: Collection[str], put: Callable[[Collection[str]], Awaitable[None]]
) -> frozenset[str]:
    """Puts a policy for these accounts, and without those that AWS does not know, which are returned.

    AWS refuses a policy whole for one such account, which would keep everybody else out.

    Args:
        known: those in the policy that is stored.
        put: stores the policy for some accounts.
    """
    if await _is_taken(accounts, put):
        return frozenset()
    good = set(accounts) & set(known)
    if not await _is_taken(good, put):
        good = set()  # one that was there has been closed
    for account in sorted(set(accounts) - good):
        if await _is_taken([*good, account], put):
            good.add(account)
    return frozenset(set(accounts) - good)


async def _is_taken(accounts: Collection[str], put: Callable[[Collection[str]], Awaitable[None]]) -> bool:
    try:
        await put(accounts)
    except BackendError as error:
        if is_unknown_principal(error):
            return False
        raise
    return True
