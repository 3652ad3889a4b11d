"""The Kubernetes client against an API server in the process: watches that end in every way."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from symfed_wire.kube import PEERS, Kube, KubeConfig, KubeError, WatchEvent


class Server:
    """Lists nothing at version 1; its watches are told here, the last one again and again."""

    def __init__(self, *watches: str) -> None:
        self._watches = list(watches)
        self.versions: list[str] = []
        self.pauses: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a list or a watch."""
        if "watch" not in request.url.params:
            return httpx.Response(200, json={"metadata": {"resourceVersion": "1"}, "items": []})
        self.versions.append(request.url.params["resourceVersion"])
        text = self._watches.pop(0) if len(self._watches) > 1 else self._watches[0]
        return httpx.Response(200, text=text)

    async def pause(self, seconds: float) -> None:
        """Instead of sleeping."""
        self.pauses.append(seconds)
        if len(self.pauses) > 8:
            raise StopAsyncIteration

    async def watch(self) -> AsyncIterator[WatchEvent]:
        """Watch it."""
        transport = httpx.MockTransport(self)
        async with Kube(KubeConfig(server="http://api"), transport=transport, sleep=self.pause) as kube:
            async for event in kube.watch(PEERS, "ns"):
                yield event


def line(version: int, kind: str = "MODIFIED") -> str:
    """One event."""
    return json.dumps({"type": kind, "object": {"metadata": {"resourceVersion": str(version)}}}) + "\n"


EXPIRED = json.dumps({"type": "ERROR", "object": {"code": 410, "message": "too old"}}) + "\n"


@pytest.mark.parametrize(
    "cut", [line(3)[:20], "[]\n", '{"type": "ADDED"}\n', '{"type": "ADDED", "object": {}}\n']
)
async def test_a_line_that_is_cut_is_an_error_of_the_api_server(cut: str) -> None:
    events = Server(line(2) + cut).watch()
    assert (await anext(events)).object == {"metadata": {"resourceVersion": "2"}}
    with pytest.raises(KubeError, match=r"watch of .*: a line that is no event"):
        await anext(events)


@pytest.mark.parametrize("ending", ["", EXPIRED])
async def test_a_watch_that_ends_at_once_is_asked_for_again_after_growing_pauses(ending: str) -> None:
    server = Server(ending)
    with pytest.raises(RuntimeError):  # the last pause ends the watch
        await anext(server.watch())
    assert server.pauses[0] < 0.5
    assert server.pauses == sorted(server.pauses)
    assert server.pauses[-2:] == [5.0, 5.0]


async def test_a_watch_goes_on_where_it_was() -> None:
    server = Server(line(2) + line(7, "BOOKMARK"), line(8))
    events = server.watch()
    assert [(await anext(events)).object["metadata"] for _ in range(2)] == [
        {"resourceVersion": "2"},
        {"resourceVersion": "8"},
    ]
    assert server.versions == ["1", "7"]
