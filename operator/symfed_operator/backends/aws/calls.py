"""Calls of boto3 beside the event loop: each customer's in threads of their own, each with an end.

A customer may name an address at which anything answers, or nothing ever does.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, ParamSpec, Protocol, TypeVar

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.client import BaseClient
from botocore.exceptions import HTTPClientError

from symfed_operator.backends.aws.errors import in_words
from symfed_operator.backends.base import BackendError, UnreachableError

CALL_SECONDS: Final = 60.0  # more than three attempts take
AT_ONCE: Final = 4
_CHUNK: Final = 1 << 16
LONGEST_ANSWER: Final = 8 << 20  # a page of a list has a megabyte or two

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class AwsCalls:
    """One customer's calls. A thread that hangs cannot be ended, so he has a few, and waits for those alone.

    Not asyncio's own threads: in those names are looked up too.
    """

    def __init__(self, seconds: float = CALL_SECONDS) -> None:
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="aws")

    async def run(
        self,
        service: str,
        resource: str,
        method: Callable[Parameters, Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Calls a client's method in a thread. Raises BackendError; see `in_words`."""
        loop = asyncio.get_running_loop()
        with in_words(service, resource):
            try:
                async with asyncio.timeout(self._seconds):
                    return await loop.run_in_executor(self._threads, partial(method, *args, **kwargs))
            except TimeoutError as error:
                raise UnreachableError(
                    f"{resource}: {service} did not end within {self._seconds:g} s; it is tried again. Check"
                    " the network, spec.aws.region and spec.aws.endpointUrl"
                ) from error


def some_of(pages: Iterable[Result], most: int, what: str) -> Iterator[Result]:
    """The pages of a list. Raises BackendError where there are more than `most`."""
    for number, page in enumerate(pages):
        if number == most:
            raise BackendError(f"{what} has more than {most} pages: that is not all done in one go")
        yield page


class _Raw(Protocol):
    """What botocore needs of urllib3's answer."""

    def read(self, amt: int) -> bytes: ...

    def close(self) -> None: ...


class BoundedBody:
    """An answer's body, which botocore would read into memory whatever its length."""

    def __init__(self, raw: _Raw) -> None:
        self._raw = raw
        self._left = LONGEST_ANSWER

    def read(self, amt: int | None = None) -> bytes:
        """See urllib3. Raises HTTPClientError where it goes on beyond the limit."""
        if amt is None:
            return b"".join(self.stream())
        data = self._raw.read(amt)
        self._left -= len(data)
        if self._left < 0:
            self._raw.close()
            raise HTTPClientError(error=f"the answer has more than {LONGEST_ANSWER} bytes")
        return data

    def stream(self) -> Iterator[bytes]:
        """All of it, in parts."""
        while part := self.read(_CHUNK):
            yield part

    def close(self) -> None:
        """See urllib3."""
        self._raw.close()


def bound_answers(client: BaseClient) -> None:
    """From now on each answer that a client reads has an end."""
    session: Any = vars(client)["_endpoint"].http_session  # the one that knows proxies and certificates

    def send(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        request.stream_output = True  # else it is read before anybody can say how much
        answer = session.send(request)
        return AWSResponse(answer.url, answer.status_code, answer.headers, BoundedBody(answer.raw))

    hooks: Any = client.meta.events  # its types know no hook that answers
    hooks.register("before-send", send)
