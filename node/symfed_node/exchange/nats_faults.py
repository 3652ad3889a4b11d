"""What goes wrong over NATS: tried again, then said in words."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import nats.errors
import nats.js.errors
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from symfed_node.exchange.base import ExchangeError, ReplacedError, StreamFullError

ATTEMPTS: Final = 4

# The server's codes: resources of an account, a stream's storage, and a stream's own limit.
_FULL = (10002, 10047, 10077)
_NOBODY = (nats.errors.NoRespondersError, nats.js.errors.NoStreamResponseError)
_LOST = (nats.errors.TimeoutError, *_NOBODY)
_NO_STREAM = "NATS has no such stream (now); the operator of the peer that it belongs to makes it (again)"

Result = TypeVar("Result")


@contextmanager
def in_words(what: str, said: Callable[[], Exception | None]) -> Iterator[None]:
    """Turns the client's errors into ours; `said` is what the server said beside its answers.

    A refused permission arrives as a time-out.
    """
    try:
        yield
    except nats.js.errors.APIError as error:
        if error.err_code not in _FULL:
            raise ExchangeError(f"{what}: {error.description}, code {error.err_code}") from error
        raise StreamFullError(
            f"{what}: its room is used up ({error.description}): raise spec.nats.streamMaxBytes of the "
            "Federation to more than twice a snapshot"
        ) from error
    except (nats.errors.Error, OSError, TimeoutError) as error:
        fault = said()
        also = f"; NATS said: {fault}" if fault else ""
        cause = _NO_STREAM if isinstance(error, _NOBODY) else str(error) or type(error).__name__
        raise ExchangeError(f"{what}: {cause}{also}") from error


async def again(attempt: Callable[[], Awaitable[Result]]) -> Result:
    """Repeats what got no answer, since nats-py does not: 4 times, with growing pauses."""
    async for trial in AsyncRetrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.2, max=5),
        retry=retry_if_exception_type((*_LOST, TimeoutError, ReplacedError)),
        reraise=True,
    ):
        with trial:
            return await attempt()
    raise AssertionError("tenacity ends by an answer or an error")
