"""Federations on somebody else's NATS, with the client that shares no code with symfed, and with kubectl."""

from collections.abc import Iterator

import pytest

from tests.foreign.client import Client, Json, frame
from tests.foreign.signing import open_invitation
from tests.integration.external_nats import NKEY, PASSWORD, TLS, TOKEN, ExternalNats, Way, external_server
from tests.integration.line import Line, namespace_of
from tests.integration.servers import wait_until

ROWS = [[str(30 + number), str(50 + number * number % 40)] for number in range(40)]
INVITE = "for-a-peer"


@pytest.fixture(params=[PASSWORD, TOKEN, NKEY, TLS], ids=lambda way: way.name)
def nats(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExternalNats]:
    """A server of somebody else's, for each way in which one logs in."""
    way: Way = request.param
    server = external_server(tmp_path_factory.mktemp(way.name), way)
    with server.server:
        yield server


def login_keys(nats: ExternalNats) -> Json:
    """The login in a map's own keys."""
    login = nats.login
    keys = {
        "nats_sec_user": login.user,
        "nats_sec_passwd": login.password,
        "nats_sec_token": login.token,
        "nats_sec_nkey_seed": login.nkey_seed,
        "nats_tls_ca": login.ca,
    }
    return {key: value for key, value in keys.items() if value}


def new_client(line: Line, name: str) -> Client:
    owner = line.new_customer(name)
    return Client(line.url, owner.name, owner.secret_key)


def merged_rows(client: Client, pid: str) -> int:
    """How many rows a project has in its sum."""
    return int(client.sync_stats(pid).values["fedSyncStats"]["merged"]["rows"])


def invitation_of(line: Line, client: Client, pid: str) -> Json:
    """An opened invitation."""
    invited = client.get_encrypted(pid, {"passwd": INVITE, "fed_rest_host": line.url})
    assert invited.status == 200, invited.body
    return open_invitation(INVITE, invited.values["fedInfoEncrypted"])


def test_a_federation_is_created_joined_and_deleted(line: Line, nats: ExternalNats) -> None:
    name = f"ext-{nats.way.name}"
    admin, member = new_client(line, f"{name}-1"), new_client(line, f"{name}-2")
    keys = {"fed_name": name, "sync_sched": "d1", "nats_stream_max_memory": "33554432"}
    keys |= {"nats_hosts": nats.url, **login_keys(nats)}
    created = admin.create("admin", keys)
    assert (created.status, created.text) == (201, "Project Created with id:admin")

    invitation = invitation_of(line, admin, "admin")
    assert invitation["nats_hosts"] == nats.url
    shown = {key: str(value).strip() for key, value in login_keys(nats).items()}
    assert {key: str(invitation.get(key, "")).strip() for key in shown} == shown
    joined = member.create_join(invitation, "member")
    assert (joined.status, joined.text) == (201, "Fed Project created with join")

    assert admin.learn("admin", frame(["age", "weight"], ROWS[:20])).status == 200
    assert member.learn("member", frame(["age", "weight"], ROWS[20:])).status == 200
    assert admin.full_sync_request("admin").status == 200
    for client, pid in ((admin, "admin"), (member, "member")):
        wait_until(lambda: merged_rows(client, pid) == 40, f"{pid} has not merged everything", 60)  # noqa: B023

    assert member.delete("member").status == 200
    wait_until(lambda: admin.delete("admin").status == 200, "the admin's project is not deleted", 60)


@pytest.mark.parametrize("nats", [PASSWORD], indirect=True)
def test_a_federation_made_with_kubectl_invites_with_the_login_of_its_own_secret(
    line: Line, nats: ExternalNats
) -> None:
    client = new_client(line, "ext-kubectl")
    namespace = namespace_of("ext-kubectl")
    data = {"user": nats.login.user, "password": nats.login.password}
    objects: list[Json] = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "my-login"}, "stringData": data},
        federation("study", nats.url, "my-login"),
        {
            "apiVersion": "symfed.dev/v1alpha1",
            "kind": "FederationPeer",
            "metadata": {"name": "p"},
            "spec": {"project": "p", "federationRef": {"name": "study"}},
        },
    ]
    for item in objects:
        apply(line, namespace, item)
    invitation = invitation_of(line, client, "p")
    assert (invitation["nats_sec_user"], invitation["nats_sec_passwd"]) == ("fed", "s3cret pass")


@pytest.mark.parametrize("nats", [PASSWORD], indirect=True)
def test_a_login_that_the_server_refuses_is_told_at_once(line: Line, nats: ExternalNats) -> None:
    client = new_client(line, "ext-refused")
    keys = {"fed_name": "refused", "sync_sched": "d1", "nats_hosts": nats.url}
    wrong = {**keys, "nats_sec_user": "fed", "nats_sec_passwd": "another"}
    assert client.create("admin", wrong).status == 201
    asked = client.get_encrypted("admin", {"passwd": INVITE, "fed_rest_host": line.url})
    assert (asked.status, asked.text.split(": ")[:2]) == (
        409,
        ["Federation refused is not ready", "AuthorizationFailed"],
    )
    assert "another" not in asked.body


def federation(name: str, host: str, secret: str) -> Json:
    """A Federation as a user writes it."""
    nats = {"hosts": [host], "credentialsSecretRef": {"name": secret}}
    return {
        "apiVersion": "symfed.dev/v1alpha1",
        "kind": "Federation",
        "metadata": {"name": name},
        "spec": {"name": name, "schedule": "d1", "nats": nats},
    }


def apply(line: Line, namespace: str, item: Json) -> None:
    """What kubectl does, with an administrator's rights."""
    kind = f"{item['kind'].lower()}s"
    base = "/api/v1" if item["apiVersion"] == "v1" else f"/apis/{item['apiVersion']}"
    with line.control_plane.client() as api:
        api.post(f"{base}/namespaces/{namespace}/{kind}", json=item).raise_for_status()
