"""The backend for a NATS system that the operator administers: accounts, users and streams."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from symfed_operator.backends.base import (
    Applied,
    BackendError,
    GoneMember,
    Grant,
    MemberSeeds,
    NoCapacityError,
    WantedFederation,
    WantedMember,
)
from symfed_operator.backends.nats.account import (
    FEDERATION_MAX_BYTES,
    account_without_storage,
    account_without_users,
    address_of,
    federation_account,
    grant,
    member_account,
    readers_account,
)
from symfed_operator.backends.nats.jwt import says_the_same
from symfed_operator.backends.nats.keys import public_key
from symfed_operator.backends.nats.streams import Stream, stream_of
from symfed_operator.backends.nats.system import Storage, SystemUser
from symfed_wire.documents import NatsAddress, Signed
from symfed_wire.resources import FederationPeer

_AT_ONCE = 8  # connections of one federation to its accounts
_LEAST_BYTES = 1  # an account without any has no JetStream


@dataclass(frozen=True)
class NatsSettings:
    """Where the operator's own NATS is and what it may use there.

    Args:
        internal_hosts: `nats://` URLs that the operator itself dials.
        advertised_hosts: `nats://` URLs that go into grants.
        operator_signing_seed: seed (`SO…`) of the operator's signing key.
        system_creds: text of the system user's credentials file.
        request_timeout: seconds for one request.
    """

    internal_hosts: tuple[str, ...]
    advertised_hosts: tuple[str, ...]
    operator_signing_seed: str = field(repr=False)
    system_creds: str = field(repr=False)
    request_timeout: float = 5.0


@dataclass(frozen=True)
class _Account:
    """An account that stores: whose it is, its two seeds, and its bytes."""

    name: str
    account: str = field(repr=False)
    signing: str = field(repr=False)
    max_bytes: int = 0

    @property
    def key(self) -> str:
        return public_key(self.account)


class NatsBackend:
    """`Backend` over NATS; see there. One connection as system user, made on first use."""

    def __init__(self, settings: NatsSettings) -> None:
        self._settings = settings
        self._system = SystemUser(
            settings.internal_hosts,
            settings.system_creds,
            settings.operator_signing_seed,
            settings.request_timeout,
        )

    async def close(self) -> None:
        """Closes the connection."""
        await self._system.close()

    def address_of(self, federation: str, member: WantedMember) -> NatsAddress:
        """See `Backend.address_of`."""
        return address_of(member.uuid)

    def place_of(self, peer: FederationPeer, federation_name: str) -> None:
        """See `Backend.place_of`."""

    async def apply(self, wanted: WantedFederation) -> Applied:
        """See `Backend.apply`."""
        operator, now = self._settings.operator_signing_seed, datetime.now(UTC)
        storing = _storing_accounts(wanted)
        storage = await self._system.storage()
        check_capacity(wanted.name, {account.key: account.max_bytes for account in storing}, storage)
        # An account that the server could not give its storage to when it came is pushed again.
        waiting = {
            account.key
            for account in storing
            if not storage.is_cluster and account.key not in storage.reserved
        }
        exporters = {
            public_key(wanted.seeds.account): federation_account(wanted, operator, now),
            **{
                public_key(member.seeds.account): member_account(wanted, member, operator, now)
                for member in wanted.members
            },
        }
        # The exporters first: an import from an account that is not there yet stays without effect.
        await _each(self._push(key, token, key in waiting) for key, token in exporters.items())
        await self._push_readers(wanted, now)
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def ensure_stream(account: _Account) -> None:
            async with at_once, self._stream(account) as stream:
                await stream.ensure()

        await ensure_stream(_federation_account(wanted))
        grants: dict[str, Grant] = {}
        faults: list[BackendError] = []

        async def serve(member: WantedMember) -> None:
            try:
                await ensure_stream(_member_account(wanted, member))
            except BackendError as error:  # a member can fill its own account and take all its connections
                faults.append(error)
            else:
                grants[member.uuid] = grant(wanted, member, self._settings.advertised_hosts)

        await _each(serve(member) for member in wanted.members)
        if faults and not grants:
            raise faults[0]
        return Applied(grants, tuple(faults))

    async def publish_document(self, wanted: WantedFederation, document: Signed) -> None:
        """See `Backend.publish_document`."""
        async with self._stream(_federation_account(wanted)) as stream:
            await stream.publish_document(document)

    async def remove_member(self, wanted: WantedFederation, gone: GoneMember) -> None:
        """See `Backend.remove_member`."""
        await self._cut_reader(wanted, gone.seeds)
        await self._free(_leaving_account(wanted, gone.seeds))

    async def retain_member(self, wanted: WantedFederation, gone: GoneMember) -> None:
        """See `Backend.retain_member`."""
        await self._cut_reader(wanted, gone.seeds)
        await self._shrink(_leaving_account(wanted, gone.seeds))

    async def retain(self, wanted: WantedFederation) -> None:
        """See `Backend.retain`."""
        await self._free_readers(wanted)
        await self._shrink(_federation_account(wanted))

    async def delete(self, wanted: WantedFederation) -> None:
        """See `Backend.delete`."""
        await self._free_readers(wanted)
        for account in _storing_accounts(wanted):
            await self._free(account)

    async def _cut_reader(self, wanted: WantedFederation, seeds: MemberSeeds) -> None:
        """The readers' account without a member."""
        if await self._system.look_up(public_key(wanted.seeds.readers_account)) is None:
            return
        others = [member for member in wanted.members if member.seeds.account != seeds.account]
        # Members that `apply` is still to make are left for it: see there about the order.
        known = await asyncio.gather(
            *(self._system.look_up(public_key(member.seeds.account)) for member in others)
        )
        remaining = tuple(member for member, token in zip(others, known, strict=True) if token is not None)
        await self._push_readers(dataclasses.replace(wanted, members=remaining), datetime.now(UTC))

    async def _free_readers(self, wanted: WantedFederation) -> None:
        readers = public_key(wanted.seeds.readers_account)
        if await self._system.look_up(readers) is not None:
            await self._system.delete([readers])

    async def _push_readers(self, wanted: WantedFederation, now: datetime) -> None:
        token = readers_account(wanted, self._settings.operator_signing_seed, now)
        await self._push(public_key(wanted.seeds.readers_account), token)

    async def _push(self, account: str, token: str, again: bool = False) -> None:
        """Pushes an account's token unless the server has one that says the same."""
        stored = await self._system.look_up(account)
        if stored is None or again or not says_the_same(stored, token):
            await self._system.push(token)

    async def _shrink(self, account: _Account) -> None:
        """Cuts the users of an account, and then leaves it no more room than what it stores.

        The stream itself says what that is: an account that the server does not serve may store all the same.
        """
        if await self._system.look_up(account.key) is None:
            return
        await self._close(account)
        async with self._stream(account) as stream:
            stored = await stream.size()
        if stored:
            await self._cut_users(account, stored)
        else:
            await self._free(account)

    async def _free(self, account: _Account) -> None:
        """Stream, then JetStream, then account: data left behind turns the server's health check red."""
        if await self._system.look_up(account.key) is None:
            return
        if await self._close(account):
            async with self._stream(account) as stream:
                await stream.free()
        operator, now = self._settings.operator_signing_seed, datetime.now(UTC)
        going = account_without_storage(account.name, account.account, account.signing, operator, now)
        await self._push(account.key, going)
        await self._system.delete([account.key])

    async def _close(self, account: _Account) -> bool:
        """Cuts the users of an account, who might have taken all its connections; whether it has JetStream.

        A server that starts with less room than it has promised gives some accounts none, and their data lie
        there. The least room is enough to come to them.
        """
        reserved = (await self._system.storage()).reserved.get(account.key)
        await self._cut_users(account, reserved or _LEAST_BYTES)
        return bool(reserved) or account.key in (await self._system.storage()).reserved

    async def _cut_users(self, account: _Account, max_bytes: int) -> None:
        """All users but the operator's lose the account, which keeps that much room."""
        operator, now = self._settings.operator_signing_seed, datetime.now(UTC)
        token = account_without_users(
            account.name, account.account, account.signing, max_bytes, operator, now
        )
        await self._push(account.key, token)

    def _stream(self, account: _Account) -> AbstractAsyncContextManager[Stream]:
        return stream_of(
            self._settings.internal_hosts,
            account.account,
            account.signing,
            name=account.name,
            timeout=self._settings.request_timeout,
        )


async def _each(calls: Iterable[Awaitable[None]]) -> None:
    """Lets all calls come to their end, then raises the first error: one account does not stop another."""
    for result in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


def _federation_account(wanted: WantedFederation) -> _Account:
    seeds = wanted.seeds
    return _Account(f"federation {wanted.name}", seeds.account, seeds.signing, FEDERATION_MAX_BYTES)


def _member_account(wanted: WantedFederation, member: WantedMember) -> _Account:
    seeds = member.seeds
    return _Account(f"member {member.uuid}", seeds.account, seeds.signing, wanted.stream_max_bytes)


def _leaving_account(wanted: WantedFederation, seeds: MemberSeeds) -> _Account:
    return _Account(f"a removed member of {wanted.name}", seeds.account, seeds.signing)


def _storing_accounts(wanted: WantedFederation) -> list[_Account]:
    return [
        _federation_account(wanted),
        *(_member_account(wanted, member) for member in wanted.members),
    ]


def check_capacity(name: str, wanted: Mapping[str, int], storage: Storage) -> None:
    """Whether the server has the bytes that a federation's accounts, by public key, are to have.

    A server stores an account's claims and then gives it no JetStream when the bytes are promised away.
    Raises NoCapacityError.
    """
    if storage.is_cluster:
        return
    needed = sum(max(0, size - storage.reserved.get(account, 0)) for account, size in wanted.items())
    if 0 < needed > storage.free():  # a server that has promised too much goes on serving what it has
        raise NoCapacityError(
            f"federation {name} needs {needed} bytes of storage more and the NATS server has"
            f" {max(0, storage.free())} of {storage.max_bytes} not yet reserved: raise its JetStream limit"
            " (nats.jetstream.maxFileStore), or lower the federation's streamMaxBytes"
        )
