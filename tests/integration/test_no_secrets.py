"""No secret is in any message, log, event, object or answer, whatever goes well or wrong."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import pytest

from tests.foreign.client import Answer, Client, Json, frame
from tests.foreign.signing import open_invitation
from tests.integration.aws_servers import REGION
from tests.integration.foreign_pair import ADMIN, COLUMNS, MEMBER, PASSWORD, Pair, exchange, iris, new_pair
from tests.integration.line import Line, namespace_of
from tests.integration.secret_search import forms_of, search, secrets_of, texts_of
from tests.integration.servers import wait_until

EVENTS = "/api/v1/events"
DELETED = (ADMIN, MEMBER, "aws")
ACCOUNT = "555555555555"
NATS = "nats://nats.example.org:4222"
GIVEN = {
    "nats_sec_passwd": "a-password-of-somebodys-nats",
    "nats_sec_token": "a-token-of-somebodys-nats",
    "nats_sec_nkey_seed": "SUALSJDX3ZRKNE6PWHQVLFQVFUVKTQ7RJVPGIXPMU6FNYWOB7RMGZFB5E4",
    "aws_secret_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "aws_session_token": "FwoGZXIvYXdzEXAMPLETOKEN",
    "passwd": PASSWORD,
    "long passwd": "a-password-of-more-than-16-bytes",
    "cell": "the-name-of-a-patient",
}


@dataclass
class Seen:
    """What a test has come to know: secrets by value, and what was answered."""

    secrets: dict[str, str] = field(default_factory=lambda: {value: key for key, value in GIVEN.items()})
    answers: list[str] = field(default_factory=list)

    def note(self, *answers: Answer) -> None:
        """Keep answers with their headers."""
        self.answers += [f"{answer.headers} {answer.body}" for answer in answers]


class Listening(Client):
    """A client that keeps what it is answered."""

    def __init__(self, client: Client, seen: Seen) -> None:
        super().__init__(client.server, client.cid, client.secret_key)
        self._seen = seen

    def send(self, verb: str, path: str, query: str, body: str, headers: Mapping[str, str]) -> Answer:
        """The request, and a note of its answer."""
        answer = super().send(verb, path, query, body, headers)
        self._seen.note(answer)
        return answer


def test_no_secret_is_seen_anywhere(line: Line) -> None:
    made, seen = new_pair(line, "secrets"), Seen()
    seen.note(*made.answers.values())
    pair = Pair(Listening(made.admin, seen), Listening(made.member, seen), {})
    invited = made.answers["getEncrypted"].values["fedInfoEncrypted"]
    token = open_invitation(PASSWORD, invited)["fed_req_token"]
    seen.secrets[token] = "a token"
    what_goes_well(pair, seen)
    what_goes_well_on_aws(line, pair)
    what_goes_wrong(line, pair, seen)
    seen.secrets |= secrets_of(line)
    what_ends(line, pair)
    seen.secrets |= secrets_of(line)

    texts = texts_of(line) | {f"answer {number}": text for number, text in enumerate(seen.answers)}

    assert len(seen.secrets) > 50, "hardly a secret is known: the search proves nothing"
    assert {"operator.log", "gateway.log", "nats/nats-server.log"} <= texts.keys()
    assert any(name.endswith("node.log") for name in texts)
    assert any(name.startswith(EVENTS) for name in texts)
    assert search(seen.secrets, texts) == []


def what_goes_well(pair: Pair, seen: Seen) -> None:
    """A federation's life, from rows to a prediction."""
    pair.admin.learn(ADMIN, iris(0, 80))
    pair.member.learn(MEMBER, iris(80, 150))
    exchange(pair, 150)
    for client, pid in ((pair.admin, ADMIN), (pair.member, MEMBER)):
        seen.answers.append(str(client.opened(client.info(pid), "fedInfoEncrypted")))
        for call in (client.sync_stats, client.sync_log, client.error_log, client.project):
            assert call(pid).status == 200
        by_index = {"inputAttributes": ["0", "1"], "targets": ["2"]}
        assert client.finished(client.build(pid, "mlr", "m", by_index)).status == 200
        assert client.predict(pid, "m", iris(0, 3)).status == 200
        assert client.explore(pid, "uni", [by_index]).status == 200


def on_aws(line: Line) -> Json:
    """A side on AWS, with temporary keys."""
    keys = {key: GIVEN[key] for key in ("aws_secret_key", "aws_session_token")}
    side = {"s3_bucket": "secrets", "aws_region": REGION, "aws_endpoint_url": line.aws.url}
    return {**keys, **side, "aws_access_key": ACCOUNT}


def what_goes_well_on_aws(line: Line, pair: Pair) -> None:
    """A federation on AWS until its node publishes, and what there is in the account."""
    line.aws.account(ACCOUNT).s3.create_bucket(
        Bucket="secrets", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    client = pair.admin
    assert client.create("aws", {"fed_name": "aws", "sync_sched": "m1", **on_aws(line)}).status == 201
    invited = client.get_encrypted("aws", {"passwd": PASSWORD, "fed_rest_host": line.url})
    assert invited.status == 200, invited.body
    assert client.learn("aws", iris(0, 80)).status == 200
    client.full_sync_request("aws")
    wait_until(lambda: merged_rows(client, "aws") == 80, "nothing is published on AWS")
    assert client.finished(client.aws_info({**on_aws(line), "aws_region": REGION})).status == 200


def what_goes_wrong(line: Line, pair: Pair, seen: Seen) -> None:
    """Calls with secrets in them that are refused, and federations that cannot be served."""
    client = pair.admin
    own = {"sync_sched": "d1", "nats_hosts": NATS}
    aws = on_aws(line)
    out_of_reach: dict[str, Json] = {  # nobody deletes these: what they would free cannot be asked
        "user": {**own, "nats_sec_user": "u", "nats_sec_passwd": GIVEN["nats_sec_passwd"]},
        "token": {**own, "nats_sec_token": GIVEN["nats_sec_token"]},
        "nkey": {**own, "nats_sec_nkey_seed": GIVEN["nats_sec_nkey_seed"]},
    }
    for name, keys in out_of_reach.items():
        assert client.create(name, {**keys, "fed_name": name}).status == 201
    faulty: list[Json] = [
        {**own, **aws, "fed_name": "both"},
        {**own, "fed_name": "ways", "nats_sec_token": GIVEN["nats_sec_token"], "nats_sec_user": "u"},
        {**own, "fed_name": "address", "nats_hosts": f"nats://u:{GIVEN['nats_sec_passwd']}@h:4222"},
        {**own, "fed_name": "list", "nats_sec_token": [GIVEN["nats_sec_token"]]},
    ]
    assert [client.create("faulty", keys).status for keys in faulty] == [400] * len(faulty)
    wrong = {"passwd": GIVEN["long passwd"], "fed_rest_host": line.url}
    assert client.get_encrypted(ADMIN, wrong).status == 400
    invitation = open_invitation(
        PASSWORD,
        client.get_encrypted(ADMIN, {"passwd": PASSWORD, "fed_rest_host": line.url}).values[
            "fedInfoEncrypted"
        ],
    )
    for change in ({"fed_req_token": "FEDTOKEN0000000000000000"}, {"fed_secret_key": client.secret_key}):
        assert pair.member.create_join({**invitation, **change}, "refused").status == 403
    assert client.learn(ADMIN, frame(["sepal_length"], [[GIVEN["cell"]]])).status == 400
    with client.socket("learn", ADMIN) as socket:
        rows = frame(COLUMNS, [[GIVEN["cell"]] * 4])
        seen.answers += [str(socket.send(rows)), str(socket.send_text(f"9,{GIVEN['cell']}"))]
    stranger = Listening(Client(line.url, client.cid, pair.member.secret_key), seen)
    assert stranger.project(ADMIN).status == 401


def what_ends(line: Line, pair: Pair) -> None:
    """The operator crashes, the member is removed, projects are deleted, a customer's id is taken twice."""
    with line.without_operator():
        pass
    namespace = namespace_of(pair.admin.cid)
    peers = f"/apis/symfed.dev/v1alpha1/namespaces/{namespace}/federationpeers"
    with line.control_plane.client() as api:
        [remote] = [
            item["metadata"]["name"]
            for item in api.get(peers).raise_for_status().json()["items"]
            if "remote" in item["spec"]
        ]
        api.delete(f"{peers}/{remote}").raise_for_status()
        wait_until(lambda: api.get(f"{peers}/{remote}").status_code == 404, "the member is not removed")
    for client in (pair.member, pair.admin):
        for pid in (pid for pid in client.projects().values["stringList"]["values"] if pid in DELETED):
            wait_until(partial(is_deleted, client, pid), f"{pid} is not deleted")
    other = {"name": "second-claim", "labels": {"symfed.dev/customer": pair.member.cid}}
    namespace_object = {"apiVersion": "v1", "kind": "Namespace", "metadata": other}
    line.control_plane.apply(namespace_object, "/api/v1/namespaces/second-claim")
    wait_until(lambda: any(place.startswith(EVENTS) for place in texts_of(line)), "no event says so")


def merged_rows(client: Client, pid: str) -> int:
    """How many rows a project has in its sum."""
    return int(client.sync_stats(pid).values["fedSyncStats"]["merged"]["rows"])


def is_deleted(client: Client, pid: str) -> bool:
    """Whether a deletion has come to its end."""
    return client.delete(pid).status == 200


@pytest.mark.parametrize("before", ["", "x", "xy"])
def test_a_secret_is_found_in_every_form(before: str) -> None:
    secret = base64.b64encode(bytes(range(200, 216))).decode()
    written = {
        "plain": f"token {secret}.",
        "base64": base64.b64encode(f"{before}{secret}{before}".encode()).decode(),
        "hex": bytes(range(200, 216)).hex(),
    }
    assert search({secret: "it"}, written) == ["it in base64", "it in hex", "it in plain"]
    assert all(len(form) > 8 for form in forms_of(secret))


def test_a_secret_that_is_planted_is_found(line: Line) -> None:
    customer = line.new_customer("planted")
    path = f"/api/v1/namespaces/{namespace_of('planted')}/configmaps"
    coded = base64.b64encode(f"key={customer.secret_key}".encode()).decode()
    with line.control_plane.client() as api:
        api.post(path, json={"metadata": {"name": "leak", "annotations": {"why": coded}}}).raise_for_status()
        log = line.installation.folder / "planted.log"
        log.write_text(f"the key is {customer.secret_key}\n")
        try:
            found = search(secrets_of(line), texts_of(line))
        finally:
            log.unlink()
            api.delete(f"{path}/leak").raise_for_status()
    key = "customer-planted/symfed-customer secretKey"
    assert found == [f"{key} in /api/v1/configmaps customer-planted/leak", f"{key} in planted.log"]
