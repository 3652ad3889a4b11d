"""One line for all kinds of backends, and one federation of three peers on each."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.aws_servers import running
from tests.integration.backends.aws import Aws
from tests.integration.backends.managed import AdministeredNats
from tests.integration.backends.outside import Administered
from tests.integration.backends.shared import SharedNats
from tests.integration.faults.conftest import quick_line
from tests.integration.faults.peers import Peers, peers_of
from tests.integration.line import Line


@pytest.fixture(scope="package")
def line(programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """All parts, running."""
    with quick_line(tmp_path_factory.mktemp("backends")) as running_line:
        yield running_line


Make = Callable[[Line, Path, ExitStack], Administered]


def _managed(line: Line, _folder: Path, _stack: ExitStack) -> Administered:
    return AdministeredNats(line)


def _shared(way: str, *, tls: bool = False) -> Make:
    def make(_line: Line, folder: Path, stack: ExitStack) -> Administered:
        shared = SharedNats(folder / way, way, tls=tls)
        stack.enter_context(shared.server)
        return shared

    return make


def _aws(_line: Line, folder: Path, stack: ExitStack) -> Administered:
    aws = Aws(folder)
    stack.enter_context(running(aws.server))
    stack.enter_context(aws.gate)
    aws.make_buckets()
    return aws


KINDS: dict[str, Make] = {
    "managed": _managed,
    "user": _shared("user"),
    "token": _shared("token", tls=True),
    "nkey": _shared("nkey"),
    "aws": _aws,
}


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The backend's kind; on somebody else's NATS the way of logging in."""
    return str(request.param)


@pytest.fixture(scope="module")
def outside(kind: str, line: Line, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Administered]:
    """A backend of that kind."""
    with ExitStack() as stack:
        yield KINDS[kind](line, tmp_path_factory.mktemp(kind), stack)


@pytest.fixture(scope="module")
def peers(kind: str, line: Line, outside: Administered) -> Iterator[Peers]:
    """A federation whose three peers have exchanged once; the last two are of another customer."""
    with ExitStack() as stack:
        found = peers_of(line, kind, stack, 3, outside).create(fed_encrypt=True)
        for peer in found.peers[1:]:
            found.join(peer)
        found.settle()
        yield found
        found.remove()
