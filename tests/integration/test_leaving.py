"""Members that leave, are removed, or come back on a retained volume, with all parts as processes."""

import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path

import pytest

from symfed_wire.client import ApiError, Client
from symfed_wire.documents import SnapshotHead, parse_signed
from symfed_wire.frames import DataFrame
from symfed_wire.kube import FEDERATIONS, PEERS, SECRETS, JsonObject, Kube
from symfed_wire.kube_config import KubeConfig
from symfed_wire.names import remote_name
from tests.integration.line import Line, namespace_of
from tests.integration.operator_process import Customer, document_of
from tests.integration.servers import ServerError, wait_until

SECONDS = 60.0
PASSWORD = "password"


@dataclass(frozen=True)
class Tenant:
    """A customer by REST and by the API server."""

    client: Client
    objects: Customer


@pytest.fixture
async def kube(line: Line) -> AsyncIterator[Kube]:
    """An administrator of the line's cluster."""
    async with Kube(KubeConfig.from_file(line.control_plane.kubeconfig)) as client:
        yield client


@pytest.fixture
def tenants(line: Line, kube: Kube, request: pytest.FixtureRequest) -> Iterator[tuple[Tenant, Tenant]]:
    """The admin's customer, and another one."""
    names = [f"{request.node.name.replace('_', '-')[5:40]}-{side}" for side in ("a", "b")]
    made = [line.new_customer(name) for name in names]
    with (
        Client(line.url, made[0].name, made[0].secret_key) as first,
        Client(line.url, made[1].name, made[1].secret_key) as second,
    ):
        clients = zip((first, second), names, strict=True)
        admin, other = (
            Tenant(client, Customer(line.installation, kube, namespace_of(name))) for client, name in clients
        )
        yield admin, other


def found(line: Line, admin: Tenant, project: str, federation: str) -> None:
    admin.client.create(project, federation, "d1", {"nats_hosts": line.nats})


def invitation(line: Line, admin: Tenant, project: str) -> dict[str, str]:
    sealed = admin.client.invitation(project, PASSWORD, rest_host=line.url)
    return {key: str(value) for key, value in Client.open_invitation(sealed, PASSWORD).items()}


def learn(tenant: Tenant, project: str, count: int) -> None:
    rows = tuple((float(number), float(number * number % 17)) for number in range(count))
    tenant.client.learn(project, DataFrame(("x", "y"), ("C", "C"), rows))


def have_merged(members: Mapping[str, Tenant], rows: int) -> bool:
    """Whether all have the same sum of that many rows."""
    sums = {tenant.client.sync_stats(project).merged for project, tenant in members.items()}
    return len({each.digest for each in sums}) == 1 and {each.rows for each in sums} == {rows}


def wait(line: Line, is_so: Callable[[], bool], what: str) -> None:
    """Waits, and shows what the parts printed when it is in vain."""
    try:
        wait_until(is_so, what, SECONDS)
    except ServerError as error:
        raise ServerError(f"{error}\n{line.logs()}") from None


def held_head(volume: Path, peer: str) -> SnapshotHead:
    """The head of a peer's snapshot as another node has it on its volume."""
    [path] = volume.glob(f"federations/*/snapshots/{peer}")
    data = path.read_bytes()
    signed = parse_signed(data[4 : 4 + int.from_bytes(data[:4], "little")])
    return SnapshotHead.model_validate(json.loads(base64.b64decode(signed.payload)))


def is_sealed_under(volume: Path, peer: str, generation: int) -> bool:
    return held_head(volume, peer).key_generation == generation


async def volume_of(line: Line, tenant: Tenant, project: str) -> Path:
    uid = (await tenant.objects.peer(project)).metadata.uid
    return line.pods.volume(tenant.objects.namespace, f"{project}-{uid[:8]}")


async def uuid_of(tenant: Tenant, project: str) -> str:
    return (await tenant.objects.peer(project)).status.uuid or ""


async def test_one_leaves_and_one_is_removed(line: Line, tenants: tuple[Tenant, Tenant]) -> None:
    admin, other = tenants
    found(line, admin, "north", "sealed")
    for project in ("south", "west"):
        other.client.join(invitation(line, admin, "north"), pid=project)
    members = {"north": admin, "south": other, "west": other}
    for (project, tenant), rows in zip(members.items(), (20, 25, 30), strict=True):
        learn(tenant, project, rows)
    admin.client.sync("north")
    wait(line, partial(have_merged, members, 75), "75 rows are not merged")
    uuids = {project: await uuid_of(tenant, project) for project, tenant in members.items()}
    volumes = {project: await volume_of(line, tenant, project) for project, tenant in members.items()}
    assert is_sealed_under(volumes["north"], uuids["west"], 0)  # not sealed
    encrypt: JsonObject = {"spec": {"encryptMessages": True}}
    await admin.objects.kube.patch(FEDERATIONS, admin.objects.namespace, "sealed", encrypt, manager="tests")
    wait(line, partial(is_sealed_under, volumes["north"], uuids["west"], 1), "west does not seal")
    with pytest.raises(ApiError, match=r"other members: (south, west|west, south)") as caught:
        admin.client.delete("north")
    assert caught.value.status == HTTPStatus.CONFLICT

    other.client.delete("south")
    await admin.objects.gone(PEERS, remote_name(uuids["south"]))
    staying = {project: tenant for project, tenant in members.items() if project != "south"}
    wait(line, partial(have_merged, staying, 50), "the others keep the rows of who left")
    # Nothing was learnt: they have published again because of the new key, which who left has not.
    for holder, peer in (("north", "west"), ("west", "north")):
        wait(line, partial(is_sealed_under, volumes[holder], uuids[peer], 2), f"{peer} has the old key")
    wait(line, partial(have_merged, staying, 50), "the sum is lost under the new key")

    await admin.objects.kube.delete(PEERS, admin.objects.namespace, remote_name(uuids["west"]))
    await admin.objects.gone(PEERS, remote_name(uuids["west"]))
    removed = await other.objects.condition(PEERS, "west", "Joined", "False", "Removed")
    assert removed.message.endswith("the federated project stays as it was")
    await other.objects.condition(PEERS, "west", "Ready", "False", "Removed")
    wait(line, partial(have_merged, {"north": admin}, 20), "the admin keeps the rows of who was removed")
    assert other.client.sync_stats("west").merged.rows == 50
    learn(other, "west", 5)
    assert other.client.project("west").rows == 50  # the federated one stays as it was
    states = {member.name: member.state for member in (await document_of(admin.objects, "sealed")).members}
    assert states == {"north": "active", "south": "removed", "west": "removed"}

    admin.client.delete("north")
    other.client.delete("west")


async def test_a_retained_volume_is_taken_over(line: Line, tenants: tuple[Tenant, Tenant]) -> None:
    admin, other = tenants
    found(line, admin, "north", "first")
    other.client.join(invitation(line, admin, "north"), pid="south")
    retain: JsonObject = {"spec": {"deletionPolicy": "Retain"}}
    await other.objects.kube.patch(PEERS, other.objects.namespace, "south", retain, manager="tests")
    learn(admin, "north", 20)
    learn(other, "south", 25)
    admin.client.sync("north")
    wait(line, partial(have_merged, {"north": admin, "south": other}, 45), "45 rows are not merged")
    old, volume = await uuid_of(other, "south"), await volume_of(line, other, "south")
    epoch = admin.client.sync_stats("north").peers[old].epoch
    other.client.delete("south")
    wait(line, partial(have_merged, {"north": admin}, 20), "the rows of who left stay")

    # In the same federation: a new member with the old rows.
    await take_over(other, "again", volume.name, invitation(line, admin, "north"))
    members = {"north": admin, "again": other}
    wait(line, partial(have_merged, members, 45), "the retained rows are not merged")
    new = await uuid_of(other, "again")
    peers = admin.client.sync_stats("north").peers
    assert new != old
    assert old not in peers
    assert peers[new].epoch > epoch
    assert [path.name for path in (volume / "federations").iterdir()] == [
        (await admin.objects.federation("first")).metadata.uid
    ]
    other.client.delete("again")

    # In another one: what is left of the first does no harm.
    found(line, admin, "east", "second")
    learn(admin, "east", 30)
    await take_over(other, "elsewhere", volume.name, invitation(line, admin, "east"))
    wait(line, partial(have_merged, {"east": admin, "elsewhere": other}, 55), "it does not exchange there")
    assert len(list((volume / "federations").iterdir())) == 2


async def take_over(tenant: Tenant, project: str, claim: str, opened: Mapping[str, str]) -> None:
    """A peer that joins with a retained volume, as a user of kubectl makes it."""
    secret = f"{project}-invitation"
    body: JsonObject = {"metadata": {"name": secret}, "stringData": dict(opened)}
    await tenant.objects.kube.create(SECRETS, tenant.objects.namespace, body)
    await tenant.objects.create_peer(
        project, invitationSecretRef={"name": secret}, storage={"existingClaim": claim}
    )
    await tenant.objects.condition(PEERS, project, "Ready", "True")
    tenant.client.sync(project)
