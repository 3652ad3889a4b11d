"""A stream of snapshots or of the federation document: made, checked, pruned, freed."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

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

_log = logging.getLogger(__name__)

_CHECKED = (
    "subjects", "retention", "storage", "discard", "max_msgs", "max_msgs_per_subject", "max_msg_size",
    "max_bytes", "max_age", "num_replicas", "no_ack", "sealed", "deny_purge", "allow_rollup_hdrs",
    "allow_direct", "deny_delete", "mirror", "sources", "republish", "subject_transform",
    "discard_new_per_subject", "persist_mode",
)  # fmt: skip
# Old heads are of no use; they go rarely, and never all but one, so that a reader between two looks is safe.
_PRUNE_ABOVE = 1000
_HEADS_KEPT = 100
# The server's codes: resources of an account, a server, a stream's storage; and a full stream.
_NO_CAPACITY = (10002, 10023, 10047, 10077)
_FULL = 10077
_UNCHANGEABLE = 10052  # a stream that exists cannot be given this property


@dataclass(frozen=True)
class Layout:
    """A stream's name and subjects: chunks on `<data>.*`, heads on `head`; `max_bytes` −1 is no limit."""

    name: str
    data: str
    head: str
    max_bytes: int

    @property
    def direct_get(self) -> str:
        """The subject on which the server gives away its messages."""
        return f"$JS.API.DIRECT.GET.{self.name}"


#: the one stream of an account of ours, whose limit bounds it
OWN_LAYOUT = Layout(STREAM, DATA, HEAD, max_bytes=-1)


def _config(layout: Layout) -> StreamConfig:
    return StreamConfig(
        name=layout.name,
        subjects=[f"{layout.data}.*", layout.head],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,  # a memory stream would vanish with a restart
        discard=DiscardPolicy.NEW,  # a full stream refuses; discarding old chunks would break a snapshot
        max_msgs=-1,
        max_msgs_per_subject=-1,
        max_msg_size=-1,
        max_bytes=layout.max_bytes,
        max_age=0,
        num_replicas=1,
        no_ack=False,
        sealed=False,
        deny_purge=False,
        allow_rollup_hdrs=True,
        allow_direct=True,
        deny_delete=True,
    )


class Stream:
    """One stream, over an open connection. `where` says in errors whose it is."""

    def __init__(self, jetstream: JetStreamContext, layout: Layout, where: str) -> None:
        self._jetstream = jetstream
        self._layout = layout
        self._where = where

    async def ensure(self) -> None:
        """Makes the stream, or sets right what differs, and drops old heads.

        One that cannot be set right is made anew: its peer puts its snapshot again.
        """
        name, wanted = self._layout.name, _config(self._layout)
        with _faults(self._what):
            try:
                info = await self._jetstream.stream_info(name, subjects_filter=self._layout.head)
            except NotFoundError:
                await self._jetstream.add_stream(wanted)
                return
            if any(_value(info.config, field) != _value(wanted, field) for field in _CHECKED):
                await self._set_right(wanted)
            if (info.state.subjects or {}).get(self._layout.head, 0) > _PRUNE_ABOVE:
                await self._jetstream.purge_stream(name, subject=self._layout.head, keep=_HEADS_KEPT)

    async def _set_right(self, wanted: StreamConfig) -> None:
        try:
            await self._jetstream.update_stream(wanted)
        except APIError as error:
            if error.err_code != _UNCHANGEABLE:
                raise
            _log.warning("stream %s is made anew: %s", self._layout.name, error.description)
            await self._jetstream.delete_stream(self._layout.name)
            await self._jetstream.add_stream(wanted)

    async def size(self) -> int:
        """The bytes that it stores; none where there is no stream."""
        with _faults(self._what):
            try:
                return (await self._jetstream.stream_info(self._layout.name)).state.bytes
            except NotFoundError:
                return 0

    async def free(self) -> None:
        """Deletes the stream with all that is in it."""
        with _faults(self._what):
            try:
                await self._jetstream.delete_stream(self._layout.name)
            except NotFoundError:
                return

    async def newest(self) -> bytes | None:
        """The newest head; None where there is none."""
        with _faults(self._what):
            try:
                return (await self._jetstream.get_last_msg(self._layout.name, self._layout.head)).data
            except NotFoundError:
                return None

    async def publish_document(self, document: Signed) -> None:
        """Publishes as a head what is not there yet, unless somebody else has published meanwhile."""
        wanted = document.model_dump_json().encode()
        name, head = self._layout.name, self._layout.head
        with _faults(self._what):
            try:
                newest = await self._jetstream.get_last_msg(name, head)
            except NotFoundError:
                stored, sequence = None, 0
            else:
                stored, sequence = newest.data, newest.seq or 0
            if stored == wanted:
                return
            try:
                await self._put(wanted, after=sequence)
            except APIError as error:
                if error.err_code != _FULL or self._layout.max_bytes < 0:
                    raise
                # Its size is for thousands of documents: somebody who shares the account has filled it.
                _log.warning("stream %s is full of what is not ours, and is emptied", name)
                await self._jetstream.purge_stream(name)
                await self._put(wanted, after=0)

    async def _put(self, head: bytes, after: int) -> None:
        """Publishes a head if the newest one is still the message of this sequence; 0 is none."""
        headers = {Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value: str(after)}
        await self._jetstream.publish(self._layout.head, head, stream=self._layout.name, headers=headers)

    @property
    def _what(self) -> str:
        return f"stream {self._layout.name} {self._where}"


def _value(config: StreamConfig, field: str) -> object:
    """Of a property; servers leave out what is false, and some do not know all of them."""
    return getattr(config, field) or None


async def stream_names(jetstream: JetStreamContext, where: str) -> list[str]:
    """The names of all streams of an account."""
    names = list[str]()
    with _faults(f"the streams {where}"):
        while page := await jetstream.streams_info(offset=len(names)):
            names += [info.config.name or "" for info in page]
    return names


@contextmanager
def _faults(what: str) -> Iterator[None]:
    """Turns the client's errors into ours; `what` is where they come from."""
    try:
        yield
    except ServiceUnavailableError as error:
        raise JetStreamDisabledError(
            f"{what}: JetStream is not available to this account ({_said(error)}). Check the server's"
            " JetStream limits and its log"
        ) from error
    except APIError as error:
        if error.err_code in _NO_CAPACITY:
            raise NoCapacityError(
                f"{what}: {_said(error)}. Raise the server's JetStream limit, or lower the federation's"
                " streamMaxBytes"
            ) from error
        raise BackendError(f"{what}: {_said(error)}") from error
    except NoStreamResponseError as error:
        raise BackendError(f"{what} is missing; it is made again with the next look") from error
    except (nats.errors.Error, OSError) as error:
        raise UnreachableError(f"{what}: no answer from the server ({type(error).__name__})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackendError(f"{what}: the answer is none of JetStream's ({type(error).__name__})") from error


@asynccontextmanager
async def stream_of(
    hosts: tuple[str, ...], account: str, signing: str, *, name: str, timeout: float
) -> AsyncIterator[Stream]:
    """The stream of the account with these seeds; `name` says whose it is in errors."""
    async with account_connection(hosts, account, signing, name=name, timeout=timeout) as connection:
        yield Stream(connection.jetstream(timeout=timeout), OWN_LAYOUT, f"in the account of {name}")


def _said(error: APIError) -> str:
    return f"{error.description or 'no description'}, code {error.err_code or error.code or 503}"
