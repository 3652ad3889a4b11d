"""The stream in an account of ours: made, checked, pruned, freed; and the document in the federation's."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import nats.errors
from nats.js.api import DiscardPolicy, Header, RetentionPolicy, StorageType, StreamConfig
from nats.js.client import JetStreamContext
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError, ServiceUnavailableError

from symfed_operator.backends.base import (
    BackendError,
    JetStreamDisabledError,
    NoCapacityError,
    UnreachableError,
)
from symfed_operator.backends.nats.account import DATA, HEAD, STREAM
from symfed_operator.backends.nats.connection import account_connection
from symfed_wire.documents import Signed

_CONFIG = StreamConfig(
    name=STREAM,
    subjects=[f"{DATA}.*", HEAD],
    retention=RetentionPolicy.LIMITS,
    storage=StorageType.FILE,  # a memory stream would vanish with a restart
    discard=DiscardPolicy.NEW,  # a full stream refuses; discarding old chunks would break a snapshot
    max_msgs=-1,
    max_bytes=-1,  # the account's limit bounds it
    num_replicas=1,
    allow_rollup_hdrs=True,
    allow_direct=True,
    deny_delete=True,
)
_CHECKED = (
    "subjects", "retention", "storage", "discard", "max_msgs", "max_bytes", "num_replicas",
    "allow_rollup_hdrs", "allow_direct", "deny_delete",
)  # fmt: skip
# Old heads are of no use; they go rarely, and never all but one, so that a reader between two looks is safe.
_PRUNE_ABOVE = 1000
_HEADS_KEPT = 100
# The server's codes: resources of an account, a server, a stream's storage; and a full stream.
_NO_CAPACITY = (10002, 10023, 10047, 10077)


class Stream:
    """The stream of one account, over an open connection."""

    def __init__(self, jetstream: JetStreamContext, name: str) -> None:
        self._jetstream = jetstream
        self._name = name

    async def ensure(self) -> None:
        """Makes the stream, or sets right what differs, and drops old heads."""
        with self._faults():
            try:
                info = await self._jetstream.stream_info(STREAM, subjects_filter=HEAD)
            except NotFoundError:
                await self._jetstream.add_stream(_CONFIG)
                return
            if any(getattr(info.config, field) != getattr(_CONFIG, field) for field in _CHECKED):
                await self._jetstream.update_stream(_CONFIG)
            if (info.state.subjects or {}).get(HEAD, 0) > _PRUNE_ABOVE:
                await self._jetstream.purge_stream(STREAM, subject=HEAD, keep=_HEADS_KEPT)

    async def size(self) -> int:
        """The bytes that it stores; none where there is no stream."""
        with self._faults():
            try:
                return (await self._jetstream.stream_info(STREAM)).state.bytes
            except NotFoundError:
                return 0

    async def free(self) -> None:
        """Deletes the stream with all that is in it."""
        with self._faults():
            try:
                await self._jetstream.delete_stream(STREAM)
            except NotFoundError:
                return

    async def publish_document(self, document: Signed) -> None:
        """Publishes on `head` what is not there yet, unless somebody else has published meanwhile."""
        wanted = document.model_dump_json().encode()
        with self._faults():
            try:
                newest = await self._jetstream.get_last_msg(STREAM, HEAD)
            except NotFoundError:
                stored, sequence = None, 0
            else:
                stored, sequence = newest.data, newest.seq or 0
            if stored != wanted:
                headers = {Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value: str(sequence)}
                await self._jetstream.publish(HEAD, wanted, stream=STREAM, headers=headers)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Turns the client's errors into ours."""
        where = f"stream {STREAM} in the account of {self._name}"
        try:
            yield
        except ServiceUnavailableError as error:
            raise JetStreamDisabledError(
                f"{where}: JetStream is not available to this account ({_said(error)}). Check the server's"
                " JetStream limits and its log"
            ) from error
        except APIError as error:
            if error.err_code in _NO_CAPACITY:
                raise NoCapacityError(
                    f"{where}: {_said(error)}. Raise the server's JetStream limit or the stream's size"
                ) from error
            raise BackendError(f"{where}: {_said(error)}") from error
        except NoStreamResponseError as error:
            raise BackendError(f"{where} is missing; it is made again with the next look") from error
        except (nats.errors.Error, OSError) as error:
            raise UnreachableError(f"{where}: no answer from the server ({type(error).__name__})") from error


@asynccontextmanager
async def stream_of(
    hosts: tuple[str, ...], account: str, signing: str, *, name: str, timeout: float
) -> AsyncIterator[Stream]:
    """The stream of the account with these seeds; `name` says whose it is in errors."""
    async with account_connection(hosts, account, signing, name=name, timeout=timeout) as connection:
        yield Stream(connection.jetstream(timeout=timeout), name)


def _said(error: APIError) -> str:
    return f"{error.description or 'no description'}, code {error.err_code or error.code or 503}"
