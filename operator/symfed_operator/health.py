"""`/healthz`: the workers make progress. `/readyz`: the process is up, as leader or waiting to be one."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from symfed_operator.queue import Key


@asynccontextmanager
async def serve_health(listen: str, stuck: Callable[[], list[Key]]) -> AsyncIterator[None]:
    """Answer probes on `host:port` while the context is open; `stuck` names keys without progress."""

    async def healthz(_: web.Request) -> web.Response:
        keys = stuck()
        text = f"no progress: {', '.join(map(str, keys))}" if keys else "ok"
        return web.Response(text=text, status=503 if keys else 200)

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    host, _, port = listen.rpartition(":")
    try:
        await web.TCPSite(runner, host or None, int(port)).start()
        yield
    finally:
        await runner.cleanup()
