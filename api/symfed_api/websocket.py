"""The WebSocket (wire.md, section 8): messages that learn, forget or predict, each with its answer."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal
from urllib.parse import quote

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from symfed_api.answers import cluster_failure
from symfed_api.auth import authenticate_message
from symfed_api.customers import Customer
from symfed_api.errors import BadRequestError, CallError, SlowBodyError, UnauthorizedError
from symfed_api.forwarding import ask_node
from symfed_api.gateway import Gateway, TheGateway
from symfed_api.nodes import NodeCall
from symfed_api.objects import get_project
from symfed_api.ws_messages import Message, parse_message
from symfed_wire.envelope import envelope
from symfed_wire.kube_errors import KubeError

_logger = logging.getLogger(__name__)

MESSAGE_BYTES: Final = 256 * 1024
_REFUSED: Final = 1008  # close codes of RFC 6455: the message breaks the rules,
_TRY_AGAIN: Final = 1013  # or cannot be served at the moment
_SEND_SECONDS: Final = 30.0

Verb = Literal["learn", "forget", "predict"]

router = APIRouter(prefix="/symetry/ws")


@router.websocket("/learn")
async def learn(websocket: WebSocket, gateway: TheGateway) -> None:
    """Learn the rows of each message."""
    await serve(websocket, gateway, "learn")


@router.websocket("/forget")
async def forget(websocket: WebSocket, gateway: TheGateway) -> None:
    """Forget the rows of each message."""
    await serve(websocket, gateway, "forget")


@router.websocket("/predict")
async def predict(websocket: WebSocket, gateway: TheGateway) -> None:
    """Predict for the rows of each message."""
    await serve(websocket, gateway, "predict")


@dataclass(frozen=True)
class Bound:
    """Whom a connection speaks for, as its last header said and proved."""

    customer: Customer
    project: str
    model: str | None


class Session:
    """One connection: messages in, calls to nodes out."""

    def __init__(self, gateway: Gateway, verb: Verb, urls: list[str]) -> None:
        self._gateway = gateway
        self._verb = verb
        self._urls = urls
        self._bound: Bound | None = None

    @property
    def is_known(self) -> bool:
        """Whether somebody has proved who he is."""
        return self._bound is not None

    async def admit(self, text: str) -> NodeCall:
        """The call that a message asks for. Raises BadRequestError, UnauthorizedError, KubeError."""
        message = parse_message(text, with_model=self._verb == "predict")
        self._bound = await self._binding(message)
        path = f"/projects/{quote(self._bound.project, safe='')}/{self._verb}"
        if self._bound.model is not None:
            path += f"/{quote(self._bound.model, safe='')}"
        return NodeCall("POST", path, body=message.payload.encode(), content_type="application/json")

    async def call(self, call: NodeCall) -> str:
        """The node's envelope, or one that says why there is none."""
        bound = self._bound
        if bound is None:
            raise TypeError("nobody was admitted")
        kube, namespace = self._gateway.kube, bound.customer.namespace
        try:
            peer = await get_project(kube, namespace, bound.project, bound.customer.id)
            return (await ask_node(self._gateway, peer, call)).body.decode(errors="replace")
        except CallError as error:
            return text_of(error)
        except KubeError as error:
            return text_of(cluster_failure(error))

    async def _binding(self, message: Message) -> Bound:
        header, now = message.header, datetime.now(UTC)
        if header is not None:
            customer = await self._gateway.customers.find(header.customer)
            vendor_errors = self._gateway.settings.auth_vendor_errors
            known = authenticate_message(
                header, message.payload, customer, self._urls, now, vendor_errors=vendor_errors
            )
            return Bound(known, header.project, header.model)
        if self._bound is None:
            raise BadRequestError("The first message of a connection needs a header")
        # A customer whose key was changed, or who is none any more, has to prove himself again.
        if await self._gateway.customers.find(self._bound.customer.id) != self._bound.customer:
            raise UnauthorizedError("Invalid Signature")
        return self._bound


async def serve(websocket: WebSocket, gateway: Gateway, verb: Verb) -> None:
    """Answer each message, until the client goes or sends what is refused; then say why, and close."""
    await websocket.accept()
    try:
        with gateway.connections.one():
            await _converse(websocket, gateway, Session(gateway, verb, urls_of(websocket, gateway)))
    except WebSocketDisconnect:
        return
    except CallError as error:
        await _close(websocket, error)
    except KubeError as error:
        await _close(websocket, cluster_failure(error))


def urls_of(websocket: WebSocket, gateway: Gateway) -> list[str]:
    """What the client may have signed: the path, or the full address in any spelling that means this one."""
    path = websocket.scope["raw_path"].decode("latin-1")
    host = websocket.headers.get("host", "")
    origins = [f"ws://{host}", f"wss://{host}"]
    if gateway.settings.external_url:
        origins.append("ws" + gateway.settings.external_url.removeprefix("http"))
    return [path, *(origin + path for origin in origins)]


def text_of(error: CallError) -> str:
    """A failure as the message that answers."""
    return envelope(error.status, error.text, error.values).to_json().decode()


async def _converse(websocket: WebSocket, gateway: Gateway, session: Session) -> None:
    settings = gateway.settings
    while True:
        seconds = settings.websocket_idle_seconds if session.is_known else settings.websocket_first_seconds
        call = await session.admit(await _next(websocket, seconds))
        await _send(websocket, await session.call(call))


async def _next(websocket: WebSocket, seconds: float) -> str:
    """The next whole message. Raises SlowBodyError, BadRequestError, WebSocketDisconnect."""
    try:
        async with asyncio.timeout(seconds):
            message = await websocket.receive()
    except TimeoutError:
        raise SlowBodyError(f"No message came within {seconds:g} s") from None
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    text = message.get("text")
    if not isinstance(text, str):
        raise BadRequestError("The message is binary; send text")
    return text


async def _send(websocket: WebSocket, text: str) -> None:
    """Send an answer. Raises WebSocketDisconnect for a client that is gone, or does not take it."""
    try:
        async with asyncio.timeout(_SEND_SECONDS):
            await websocket.send_text(text)
    except TimeoutError:
        raise WebSocketDisconnect from None


async def _close(websocket: WebSocket, error: CallError) -> None:
    _logger.info("WebSocket %s: %s", websocket.scope["raw_path"].decode("latin-1"), error.text)
    try:
        await _send(websocket, text_of(error))
        await websocket.close(_TRY_AGAIN if error.retry_after is not None else _REFUSED)
    except WebSocketDisconnect:
        return
