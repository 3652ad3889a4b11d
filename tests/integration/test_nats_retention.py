"""Accounts that outlive their members, against a real server: what is kept, cut and freed."""

from contextlib import AsyncExitStack
from pathlib import Path
from unittest.mock import ANY

import nats.errors
import pytest

from symfed_operator.backends.nats.connection import account_connection
from symfed_operator.backends.nats.keys import public_key
from symfed_wire.documents import Signed
from symfed_wire.join import NatsGrant
from tests.integration.nats_system import (
    MIB,
    WAIT,
    Node,
    Nodes,
    System,
    federation_of,
    granted,
    new_node,
    running_system,
    with_members,
)


async def test_what_is_retained_stays_without_users_and_without_room_for_more(
    programs: None, tmp_path: Path
) -> None:
    async with running_system(tmp_path, "100Mi") as system, AsyncExitStack() as stack:
        kept, empty = new_node(), new_node()
        federation = federation_of(kept, empty, stream_max_bytes=32 * MIB)
        grants = await granted(system.backend, federation)
        await system.backend.publish_document(federation, Signed(payload="MQ==", key="k", sig="s"))
        nodes = Nodes(system.server.url, stack)
        writer = await nodes.writer(kept, grants[kept.member.uuid])
        await writer.jetstream().publish("head", b"kept")
        for goes, stays in ((kept, (empty,)), (empty, ())):
            for _ in range(2):
                await system.backend.retain_member(with_members(federation, *stays), goes.gone)
        for _ in range(2):
            await system.backend.retain(with_members(federation))
        await nodes.closed(writer)
        seeds = (kept.member.seeds, federation.seeds)
        assert await system.accounts() == {public_key(each.account) for each in seeds}
        await _refuses(nodes, kept, grants[kept.member.uuid])

        # What was reserved is free again, at once and after a restart, and the data are still there.
        for _ in range(2):
            assert [await _stored(system, each.account, each.signing) for each in seeds] == [b"kept", ANY]
            other = federation_of(new_node(), stream_max_bytes=80 * MIB)
            await system.backend.apply(other)
            await system.backend.delete(other)
            await system.backend.close()
            system.restart()
        assert system.is_healthy()

        await system.backend.remove_member(with_members(federation), kept.gone)
        await system.backend.delete(with_members(federation))
        assert await system.accounts() == set()
        assert system.is_healthy()


@pytest.mark.parametrize("retains", [True, False])
async def test_what_a_server_with_less_room_does_not_serve_is_retained_or_freed_all_the_same(
    programs: None, tmp_path: Path, retains: bool
) -> None:
    async with running_system(tmp_path, "100Mi") as system, AsyncExitStack() as stack:
        node = new_node()
        federation = federation_of(node, stream_max_bytes=60 * MIB)
        grants = await granted(system.backend, federation)
        writer = await Nodes(system.server.url, stack).writer(node, grants[node.member.uuid])
        await writer.jetstream().publish("head", b"kept")
        await system.backend.close()
        system.server.stop()
        config = tmp_path / "nats.conf"
        config.write_text(config.read_text().replace("100Mi", "40Mi"))
        system.server.start_unchecked()
        assert not system.is_healthy()  # the member's 60 MiB have no place, so its stream is not there

        backend, seeds = system.backend, node.member.seeds
        leave = backend.retain_member if retains else backend.remove_member
        await leave(with_members(federation), node.gone)
        for _ in range(2):
            assert system.is_healthy()
            assert (public_key(seeds.account) in await system.accounts()) is retains
            if retains:
                assert await _stored(system, seeds.account, seeds.signing) == b"kept"
            await backend.close()
            system.restart()


async def _refuses(nodes: Nodes, node: Node, grant: NatsGrant) -> None:
    for connect in (nodes.writer, nodes.reader):
        with pytest.raises(nats.errors.Error, match="Authorization Violation"):
            await connect(node, grant)


async def _stored(system: System, account: str, signing: str) -> bytes | None:
    """The newest message on `head` of an account, by the operator's own user."""
    hosts = (system.server.url,)
    async with account_connection(hosts, account, signing, name="test", timeout=WAIT) as connection:
        return (await connection.jetstream().get_last_msg("SNAPSHOT", "head")).data
