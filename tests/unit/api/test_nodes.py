"""Calls to a node: what is sent, and what is sent again."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace

import httpx
import pytest
import uvicorn

from symfed_api.errors import NodeBrokeOffError
from symfed_api.federation_info import sync_stats_of
from symfed_api.jobs import jobs_of
from symfed_api.nodes import KEEPALIVE_SECONDS, NodeAnswer, NodeCall, Nodes, NodeUnavailableError
from symfed_wire.kube import JsonObject
from symfed_wire.resources import FederationPeer

LEARN = NodeCall("POST", "/projects/p1/learn", body=b"{}")
WITH_ID = replace(LEARN, request_id="r1")


class Secrets:
    """An API server that has each node's token."""

    async def get(self, *_: object) -> JsonObject:
        """A Secret with the token `t`."""
        return {"data": {"token": base64.b64encode(b"t").decode()}}


class Node:
    """A node that answers from a list, the last one again and again; keeps what it was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self._answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.requests.append(request)
        given = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(given, Exception):
            raise given
        return given

    @asynccontextmanager
    async def nodes(self) -> AsyncIterator[Nodes]:
        """The gateway's way to it."""
        nodes = Nodes(Secrets(), "http://{name}.{namespace}", httpx.MockTransport(self))  # type: ignore[arg-type]  # Secrets
        yield nodes
        await nodes.aclose()

    async def call(self, call: NodeCall, seconds: float = 1) -> NodeAnswer:
        """Call it."""
        async with self.nodes() as nodes:
            return await nodes.call("ns", "p1", call, seconds=seconds)


def answer(status: int, **headers: str) -> httpx.Response:
    """A node's envelope."""
    body = {"statusCode": "X", "statusString": f"because {status}", "values": {}}
    return httpx.Response(status, json=body, headers=headers)


async def test_header_values_are_handed_on_as_the_bytes_that_came() -> None:
    node = Node(answer(200))
    await node.call(replace(LEARN, request_id="Z\xfcrich", content_type="text/\xfc"))
    headers = dict(node.requests[0].headers.raw)
    assert (headers[b"sym-request-id"], headers[b"Content-Type"]) == (b"Z\xfcrich", b"text/\xfc")


@pytest.mark.parametrize("call", [LEARN, WITH_ID, NodeCall("GET", "/jobs")])
async def test_a_node_without_endpoint_is_asked_again(call: NodeCall) -> None:
    node = Node(httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), answer(200))
    assert (await node.call(call)).status == 200


async def test_a_node_that_is_hopeless_is_not_waited_for() -> None:
    node, asked = Node(httpx.ConnectError("refused")), iter([False, True])

    async def is_hopeless() -> bool:
        return next(asked)

    async with node.nodes() as nodes:
        with pytest.raises(NodeUnavailableError, match="accepts no connections"):
            await nodes.call("ns", "p1", LEARN, seconds=3600, is_hopeless=is_hopeless)
    assert len(node.requests) == 2


@pytest.mark.parametrize("call", [WITH_ID, NodeCall("GET", "/jobs")])
@pytest.mark.parametrize("first", [answer(503), httpx.ReadError("broken")])
async def test_what_is_safe_to_repeat_is_repeated(call: NodeCall, first: httpx.Response | Exception) -> None:
    node = Node(first, answer(200))
    assert (await node.call(call)).status == 200
    assert len(node.requests) == 2


async def test_a_503_to_a_call_without_id_is_passed_on() -> None:
    node = Node(answer(503), answer(200))
    found = await node.call(LEARN)
    assert (found.status, b"because 503" in found.body) == (503, True)
    assert len(node.requests) == 1


async def test_a_503_that_says_when_to_come_back_was_not_done() -> None:
    node = Node(answer(503, **{"Retry-After": "1"}), answer(200))
    assert (await node.call(LEARN)).status == 200


async def test_the_nodes_own_words_are_kept_when_time_is_over() -> None:
    with pytest.raises(NodeUnavailableError, match="the node answers 503: because 503"):
        await Node(answer(503)).call(WITH_ID, seconds=0)


async def test_a_broken_connection_under_a_call_without_id_is_not_repeated() -> None:
    node = Node(httpx.ReadError("broken"), answer(200))
    with pytest.raises(NodeBrokeOffError, match="whether it did what was asked is not known"):
        await node.call(LEARN)
    assert len(node.requests) == 1


PROXYS = [
    httpx.Response(503),
    httpx.Response(503, headers={"Retry-After": "1"}),
    httpx.Response(401, text="Unauthorized"),
    httpx.Response(502, text="<html>Bad Gateway</html>"),
    httpx.Response(200, json={"status": "ok"}),
]


@pytest.mark.parametrize("strange", PROXYS, ids=["503", "503 later", "401", "502", "200"])
async def test_what_a_proxy_says_is_no_answer_of_the_node(strange: httpx.Response) -> None:
    node = Node(strange, answer(200))
    text = f"HTTP {strange.status_code} came from something before the node; whether it did what was asked"
    with pytest.raises(NodeBrokeOffError, match=text):
        await node.call(LEARN)
    assert len(node.requests) == 1
    repeated = Node(strange, answer(200))
    assert b"because 200" in (await repeated.call(WITH_ID)).body
    assert len(repeated.requests) == 2
    with pytest.raises(NodeUnavailableError, match=f"HTTP {strange.status_code} came from something before"):
        await Node(strange).call(WITH_ID, seconds=0)


async def test_an_answer_without_end_is_broken_off() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1 << 20)

    node = Node(httpx.Response(200, content=endless()))
    with pytest.raises(NodeBrokeOffError, match="answer is larger than 67108864 bytes; ask for less at once"):
        await node.call(NodeCall("GET", "/jobs"))
    assert len(node.requests) == 1


@pytest.mark.parametrize("first", [answer(503), httpx.ReadError("broken")])
async def test_a_nonce_that_may_have_arrived_is_not_sent_again(first: httpx.Response | Exception) -> None:
    """The node would refuse it; the caller repeats with a new one."""
    node = Node(first, answer(200))
    with pytest.raises(NodeUnavailableError):
        await node.call(replace(WITH_ID, nonce="0123456789abcdef"))
    assert [request.headers["sym-nonce"] for request in node.requests] == ["0123456789abcdef"]


async def test_a_nonce_that_did_not_arrive_is_sent_again() -> None:
    node = Node(httpx.ConnectError("refused"), answer(200))
    assert (await node.call(replace(LEARN, nonce="0123456789abcdef"))).status == 200


async def test_a_call_may_wait_less_than_others() -> None:
    node = Node(answer(200))
    await node.call(replace(LEARN, answer_seconds=3))
    timeout = node.requests[0].extensions["timeout"]
    assert (timeout["read"], timeout["write"], timeout["connect"]) == (3, 3, 3)
    await node.call(LEARN)
    assert node.requests[1].extensions["timeout"]["read"] == 300


async def test_jobs_and_info_do_not_wait_long_for_a_node_that_hangs() -> None:
    node, listed = Node(httpx.ReadTimeout("hangs")), Node(httpx.ReadTimeout("hangs"))
    peer = FederationPeer.model_validate({"metadata": {"name": "p1"}, "spec": {"project": "p1"}})
    async with node.nodes() as nodes:
        assert await sync_stats_of(SimpleNamespace(nodes=nodes), peer) == {}  # type: ignore[arg-type]  # its nodes
    async with listed.nodes() as nodes:
        assert await jobs_of(SimpleNamespace(nodes=nodes), peer) == {}  # type: ignore[arg-type]  # its nodes
    for request in node.requests + listed.requests:
        assert request.extensions["timeout"]["read"] == 3


def test_an_idle_connection_is_given_up_before_the_node_closes_it() -> None:
    """A POST on a connection that closes is done or not, and nobody knows."""
    assert uvicorn.Config("app").timeout_keep_alive > KEEPALIVE_SECONDS
