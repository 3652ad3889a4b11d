"""What an exchange costs beside the bare transfers under it: `python bench/exchange_speed.py`.

AWS is an emulator and NATS a server of its own, both on loopback. Seconds are of the wall clock, taken in
turns; medians. A bare transfer moves the same bytes by the same client, without digests or tidying up.
Requests and bytes on AWS are counted by a proxy, and set beside the least by which others learn of them.
"""

import asyncio
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from exchange_sides import OverAws, OverNats, Side
from tests.integration.aws_proxy import AwsProxy
from tests.integration.aws_servers import AwsServer, running
from tests.integration.node_aws_world import new_aws_world, opened_exchanges

from symfed_node.exchange.aws_bodies import PART, WHOLE

REPEATS = 7
MIB = 1 << 20
SIZES = (MIB // 16, 4 * MIB, 64 * MIB)
GATE = 0.4
"""of the speed of a bare transfer, where the bytes count"""


async def in_turns(*tasks: Callable[[], Awaitable[object]]) -> list[float]:
    """Median seconds of each task."""
    taken: list[list[float]] = [[] for _ in tasks]
    for repeat in range(REPEATS + 1):
        for times, task in zip(taken, tasks, strict=True):
            start = time.perf_counter()
            await task()
            if repeat:  # the first one makes clients and connections
                times.append(time.perf_counter() - start)
    return [median(times) for times in taken]


async def speeds(side: Side) -> list[float]:
    """Prints MB/s, and gives symfed's shares of the bare speed where the bytes count."""
    shares = []
    for size in SIZES:
        body = secrets.token_bytes(size)
        put, bare_put, get, bare_get = await in_turns(
            lambda body=body: side.put(body),
            lambda body=body: side.bare_put(body),
            side.get,
            lambda size=size: side.bare_get(size),
        )
        assert await side.get() == await side.bare_get(size) == body
        for what, whole, bare in (("put", put, bare_put), ("get", get, bare_get)):
            figures = f"{size / 1e6 / whole:9.1f} {size / 1e6 / bare:9.1f} {bare / whole:7.2f}"
            print(f"{side.name:7} {what:4} {size / MIB:8.2f} {figures}")
            if size == SIZES[-1]:
                shares.append(bare / whole)
    return shares


async def requests(folder: Path) -> None:
    """Prints what one exchange on AWS asks for, beside the least."""
    print("\nAWS, three peers        MiB  requests  least  bytes over those of the snapshots")
    with running(AwsServer.ministack(folder)) as server, AwsProxy(server.url).running() as proxy:
        world = new_aws_world(server, folder)
        async with opened_exchanges(world, proxy.url) as peers:
            member, sign = world.peers[0].member, peers.keys[0].sign_head
            for epoch in range(1, 4):  # from then on two are kept
                await peers.put(0, epoch, b"small")
            for epoch, size in enumerate((MIB, WHOLE + PART), 4):
                parts = 1 if size <= WHOLE else -(-size // PART)
                begun = len(proxy.asked)
                put = peers.outgoing(0, epoch, secrets.token_bytes(size))
                head = peers.read_head(0, await peers.exchanges[0].put(put, sign))
                # Body, head, message; several parts need a beginning and an end. The old one must go.
                show(proxy, begun, "put", size, 4 + (parts + 1 if parts > 1 else 0), size)
                for number in (1, 2):
                    await peers.woke(number)
                begun = len(proxy.asked)
                for reader in peers.exchanges[1:]:
                    await reader.head(member)
                    await reader.body(member, head, None)
                show(proxy, begun, "get by two", size, 2 * (1 + parts), 2 * size)
            begun = len(proxy.asked)
            for exchange in peers.exchanges:
                await exchange.document()
            begun = len(proxy.asked)
            for exchange in peers.exchanges:
                await exchange.document()
                for each in world.peers:
                    await exchange.head(each.member)
            show(proxy, begun, "look, unchanged", 0, 3 * 4, 0)


def show(proxy: AwsProxy, begun: int, what: str, size: int, least: int, payload: int) -> None:
    """One line; the queues are asked beside it, and not counted."""
    asked = [each for each in proxy.asked[begun:] if "Message" not in each.operation]
    kinds = Counter(each.operation for each in asked)
    over = sum(each.sent + each.received for each in asked) - payload
    named = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
    print(f"{what:18} {size / MIB:8.2f} {len(asked):9} {least:6} {over:6}   {named}")


async def main() -> None:
    """Prints both tables and the gate."""
    shares = []
    print(f"{'':12} {'MiB':>8} {'symfed':>9} {'bare':>9} {'ratio':>7}   MB/s")
    with tempfile.TemporaryDirectory() as folder:
        for opened in (OverAws.opened, OverNats.opened):
            async with opened(Path(folder) / opened.__qualname__) as side:
                shares += await speeds(side)
        await requests(Path(folder) / "requests")
    held = "held" if min(shares) >= GATE else "MISSED"
    print(f"\nat {SIZES[-1] // MIB} MiB at least {GATE} of the bare speed, put and get: {held}")


if __name__ == "__main__":
    asyncio.run(main())
