"""A whole life of a federation on moto's server, as a second opinion on what AWS is asked for."""

from collections.abc import Iterator

import pytest

from tests.integration.aws_servers import MOTO_ACCOUNT, AwsServer, running
from tests.integration.aws_world import World, bucket_policy, changes, keys_in


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsServer]:
    with running(AwsServer.moto(tmp_path_factory.mktemp("moto"))) as started:
        yield started


@pytest.fixture
def world(server: AwsServer) -> World:
    world = World(server)
    world.admin = world.peer(MOTO_ACCOUNT)
    return world


async def test_a_federation_comes_and_goes(world: World) -> None:
    admin, member = world.admin, world.peer(MOTO_ACCOUNT)
    document = world.document(admin, member)
    backend, wanted = await world.backend(), world.wanted(admin, member)
    await backend.apply(wanted)
    await backend.publish_document(wanted, world.signed(document))
    sides = [await world.peer_side(peer, document) for peer in (admin, member)]
    for side in sides:
        await side.apply()
    subscriptions = admin.account.sns.list_subscriptions()["Subscriptions"]
    assert sorted(each["Endpoint"] for each in subscriptions) == sorted(
        peer.place(world.name).queue_arn for peer in (admin, member)
    )
    with changes(await world.side(admin)) as of_admin, changes(await world.side(member)) as of_member:
        await backend.apply(wanted)
        for side in sides:
            await side.apply()
    assert (of_admin, of_member) == ([], [])

    for side in sides:
        await side.delete(retains=False)
    await backend.delete(world.wanted())
    assert not admin.account.sns.list_subscriptions()["Subscriptions"]
    assert not admin.account.sns.list_topics()["Topics"]
    assert not admin.account.sqs.list_queues().get("QueueUrls")
    for peer in (admin, member):
        assert keys_in(peer.account.s3, peer.bucket) == []
        assert bucket_policy(peer) == {}
