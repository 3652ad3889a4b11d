"""The console script `symfed-gateway`."""

import asyncio
import logging

import uvicorn

from symfed_api.app import create_app
from symfed_api.aws_regions import keep_keys_out_of_logs
from symfed_api.settings import Settings
from symfed_api.websocket import MESSAGE_BYTES
from symfed_api.ws_protocol import BoundedWebSocketProtocol
from symfed_wire.kube import Kube
from symfed_wire.kube_config import KubeConfig

# Calls wait a minute at most; those under way get it before the process ends.
_GRACE_SECONDS = 65


def main() -> None:
    """Serve until SIGTERM, then finish what is under way."""
    settings = Settings()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    keep_keys_out_of_logs()
    asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    host, port = settings.address
    async with Kube(KubeConfig.find()) as kube:
        config = uvicorn.Config(
            create_app(settings, kube),
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            ws=BoundedWebSocketProtocol,
            ws_max_size=MESSAGE_BYTES,
            # No pings: while a node takes its time, the next message waits unread, and a pong behind it.
            ws_ping_interval=None,
            ws_per_message_deflate=False,
        )
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    main()
