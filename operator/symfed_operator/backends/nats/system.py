"""What the operator asks of a NATS server as its system user: accounts in, accounts out, storage."""

import asyncio
from datetime import UTC, datetime

import nats.errors
from nats.aio.client import Client
from pydantic import BaseModel, Field, ValidationError

from symfed_operator.backends.base import (
    AuthorizationFailedError,
    BackendError,
    JetStreamDisabledError,
    UnreachableError,
)
from symfed_operator.backends.nats.account import deletion
from symfed_operator.backends.nats.connection import dial, made_user
from symfed_operator.backends.nats.jwt import parse_credentials

_UPDATE = "$SYS.REQ.CLAIMS.UPDATE"
_DELETE = "$SYS.REQ.CLAIMS.DELETE"
_STORAGE = "$SYS.REQ.SERVER.PING.JSZ"
_MOST_ACCOUNTS = 100_000
_UNLIMITED = 1 << 63  # −1 as the server writes it, an unsigned number


class _Account(BaseModel):
    id: str
    reserved_storage: int = 0


class _StorageConfig(BaseModel):
    max_storage: int = 0


class _StorageAnswer(BaseModel):
    disabled: bool = False
    config: _StorageConfig = _StorageConfig()
    meta_cluster: dict[str, object] | None = None
    account_details: list[_Account] = Field(default_factory=list)


class _Verdict(BaseModel):
    code: int = 0
    message: str = ""
    description: str = ""


class _Answer(BaseModel):
    data: _Verdict | None = None
    error: _Verdict | None = None


class _StorageReply(BaseModel):
    data: _StorageAnswer


class Storage(BaseModel, frozen=True):
    """A server's promises: bytes in all, and by account (public key) for those with JetStream.

    `is_cluster`: the servers of a cluster check nothing when an account comes, only when a stream does.
    """

    max_bytes: int
    reserved: dict[str, int]
    is_cluster: bool

    def free(self) -> int:
        """Bytes that no account has reserved; an account without a limit reserves none."""
        return self.max_bytes - sum(self.reserved.values())


class SystemUser:
    """The system account, over one connection that is made on first use and again when it has broken."""

    def __init__(self, hosts: tuple[str, ...], credentials: str, operator: str, timeout: float) -> None:
        self._hosts = hosts
        self._credentials = credentials
        self._operator = operator
        self._timeout = timeout
        self._connection: Client | None = None
        self._dialling = asyncio.Lock()

    async def close(self) -> None:
        """Closes the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def look_up(self, account: str) -> str | None:
        """The token that the server has for an account, None when it has none."""
        return (await self._request(f"$SYS.REQ.ACCOUNT.{account}.CLAIMS.LOOKUP")).decode() or None

    async def push(self, token: str) -> None:
        """Makes or changes an account; whoever is connected and still may be stays connected."""
        _check(await self._request(_UPDATE, token.encode()), f"NATS at {self._where} refuses an account")

    async def delete(self, accounts: list[str]) -> None:
        """Deletes accounts that are there; their users are cut at once."""
        token = deletion(accounts, self._operator, datetime.now(UTC))
        _check(
            await self._request(_DELETE, token.encode()),
            f"NATS at {self._where} does not delete accounts {', '.join(accounts)}",
        )

    async def storage(self) -> Storage:
        """What the server has promised to whom. Raises JetStreamDisabledError."""
        question = f'{{"accounts":true,"limit":{_MOST_ACCOUNTS}}}'.encode()
        reply = await self._request(_STORAGE, question)
        try:
            answer = _StorageReply.model_validate_json(reply).data
        except ValidationError as error:
            raise BackendError(
                f"NATS at {self._where} answers {_STORAGE} in an unknown form: {error.errors()[0]['msg']}"
            ) from None
        if answer.disabled:
            raise JetStreamDisabledError(
                f"NATS at {self._where} has JetStream switched off: configure `jetstream` there"
            )
        return Storage(
            max_bytes=answer.config.max_storage,
            reserved={
                account.id: account.reserved_storage if account.reserved_storage < _UNLIMITED else 0
                for account in answer.account_details
            },
            is_cluster=answer.meta_cluster is not None,
        )

    @property
    def _where(self) -> str:
        return ", ".join(self._hosts)

    async def _request(self, subject: str, payload: bytes = b"") -> bytes:
        connection = await self._connected()
        try:
            return (await connection.request(subject, payload, timeout=self._timeout)).data
        except nats.errors.NoRespondersError:
            raise AuthorizationFailedError(
                f"NATS at {self._where}: nobody answers {subject}. The user in Secret symfed-nats-system is"
                " not of the system account, or the server has no full resolver"
            ) from None
        except (nats.errors.Error, OSError) as error:
            # A connection that has gone silent is not used again.
            await self.close()
            raise UnreachableError(
                f"NATS at {self._where} did not answer {subject} within {self._timeout:g} s"
                f" ({type(error).__name__}). Check that the server runs"
            ) from error

    async def _connected(self) -> Client:
        async with self._dialling:
            if self._connection is None or not self._connection.is_connected:
                await self.close()
                self._connection = await self._dial()
            return self._connection

    async def _dial(self) -> Client:
        hint = "Check that Secret symfed-nats-system belongs to this server"
        try:
            token, seed = parse_credentials(self._credentials)
        except ValueError as error:
            raise AuthorizationFailedError(f"Secret symfed-nats-system, key user.creds: {error}") from None
        login = made_user(token, seed)
        return await dial(self._hosts, login, who="the system user", hint=hint, timeout=self._timeout)


def _check(reply: bytes, fault: str) -> None:
    """Raises BackendError with the server's words unless they are good ones."""
    try:
        answer = _Answer.model_validate_json(reply)
    except ValidationError:
        raise BackendError(f"{fault}: its answer has an unknown form") from None
    if answer.error is not None:
        said = answer.error.description or answer.error.message
        if "not trusted" in said:
            raise AuthorizationFailedError(f"{fault}: {said}. Check Secret symfed-nats-operator")
        raise BackendError(f"{fault}: {said}")
