"""The client: signing, sealing, repeating, and the calls of the first line."""

import json

import httpx
import pytest
from pydantic import JsonValue
from tests.unit.wire.client.stub import BASE, KEY, URL, answer, assert_signed, client_of

from symfed_wire.bodies import RequestLine, open_body_v2, seal_body, seal_body_v2
from symfed_wire.client import ApiError, Client, ConnectionFailedError, DeadlineError, NotAnEnvelopeError
from symfed_wire.client.http import Form
from symfed_wire.client.results import Job, RowCount
from symfed_wire.errors import MalformedError, UnsealError
from symfed_wire.frames import Cell, DataFrame, parse_frame
from symfed_wire.invitation import seal_invitation


def test_create_seals_the_map_and_signs_path_and_query() -> None:
    client, gateway = client_of(answer(201))
    client.create("a b/c", "fed", "m1", {"nats_hosts": "nats://n:4222", "fed_encrypt": True}, persist=False)
    [request] = gateway.requests
    assert request.url.raw_path.decode() == f"{BASE}/fedml/create?pid=a+b%2Fc&persist=false"
    assert gateway.opened == {
        "fed_name": "fed",
        "sync_sched": "m1",
        "nats_hosts": "nats://n:4222",
        "fed_encrypt": True,
    }


def test_a_date_has_nine_digits_of_the_second() -> None:
    client, gateway = client_of(answer(values={"stringList": {"values": []}}))
    client.projects()
    assert len(gateway.requests[0].headers["sym-date"].partition(";")[2]) == 9


def test_second_form_is_sealed_for_its_request_and_carries_a_new_nonce() -> None:
    client, gateway = client_of(answer(201), form="v2")
    for _ in range(2):
        client.create("p", "fed", "m1", {})
    first, second = gateway.requests
    line = RequestLine("POST", f"{BASE}/fedml/create", "pid=p&persist=true", first.headers["sym-date"])
    assert json.loads(open_body_v2(first.content.decode(), KEY, line)) == {
        "fed_name": "fed",
        "sync_sched": "m1",
    }
    assert first.headers["sym-nonce"] != second.headers["sym-nonce"]


def test_invitation_is_asked_for_and_opens_with_its_password() -> None:
    sealed = seal_invitation({"fed_name": "fed", "fed_req_token": "FEDTOKEN1"}, "secret")
    client, gateway = client_of(answer(values={"fedInfoEncrypted": sealed, "encryptedGroupInfo": sealed}))
    invitation = client.invitation("p", "secret", token_hours=5)
    assert gateway.opened == {"passwd": "secret", "fed_rest_host": URL, "fed_token_hours": 5}
    assert client.open_invitation(invitation, "secret")["fed_name"] == "fed"
    with pytest.raises(UnsealError):
        client.open_invitation(invitation, "wrong")


def test_join_passes_the_invitation_on_unchanged() -> None:
    client, gateway = client_of(answer(201))
    invitation: dict[str, JsonValue] = {"fed_name": "fed", "new_key": [1], "fed_local_type": "gpu"}
    client.join(invitation, {"fed_local_type": "cpu", "own": 1})
    assert gateway.opened == {**invitation, "own": 1}
    assert gateway.requests[0].url.query == b"persist=true"


@pytest.mark.parametrize("form", ["v1", "v2"])
def test_info_opens_in_the_form_that_came(form: Form) -> None:
    plain = json.dumps({"fed_name": "fed", "peersInfo": {"u": "b"}, "is_pulsing": True, "fed_type": "nats"})

    def answering(request: httpx.Request) -> httpx.Response:
        assert_signed(request)
        line = RequestLine("GET", f"{BASE}/fedml/p/info", "", request.headers["sym-date"])
        sealed = seal_body(plain, KEY) if form == "v1" else seal_body_v2(plain, KEY, line, "response")
        return answer(values={"fedInfoEncrypted": sealed})

    info = Client(URL, "c1", KEY, transport=httpx.MockTransport(answering)).info("p")
    assert (info.fed_name, info.is_pulsing, info.peers) == ("fed", True, {"u": "b"})


def test_learn_sends_batches_each_with_its_own_request_id() -> None:
    client, gateway = client_of(answer())
    rows: list[list[Cell]] = [[1.5, "x"], [None, "y"], [float("nan"), None], [2.0, None], [3.0, None]]
    learnt = client.learn("p", DataFrame(("a", "b"), ("C", "X"), rows), batch_rows=2)
    assert learnt == RowCount(rows=3, skipped=2)
    assert len({request.headers["sym-request-id"] for request in gateway.requests}) == 3
    assert [len(parse_frame(request.content).data) for request in gateway.requests] == [2, 2, 1]


def test_learn_counts_what_the_node_counted() -> None:
    client, _ = client_of(answer(values={"learned": 7, "skipped": 1}))
    assert client.learn("p", DataFrame(("a",), ("C",), [[1.0]])) == RowCount(rows=7, skipped=1)


def test_a_repeated_learn_keeps_its_request_id_and_is_signed_anew() -> None:
    client, gateway = client_of(httpx.ReadTimeout("lost"), answer())
    client.learn("p", DataFrame(("a",), ("C",), [[1.0]]))
    first, second = gateway.requests
    assert first.headers["sym-request-id"] == second.headers["sym-request-id"]
    assert first.headers["sym-date"] != second.headers["sym-date"]


def test_build_takes_all_other_attributes_when_no_inputs_are_given() -> None:
    info: JsonValue = {"pid": "p", "attributeNames": ["a", "b", "y"], "attributeTypes": ["C", "C", "C"]}
    created = answer(202, headers={"Location": f"{URL}{BASE}/jobs/7"})
    client, gateway = client_of(answer(values={"smlInfo": info}), created)
    assert client.build("p", "mlr", "m", "y", use_local=True) == Job(7)
    body = json.loads(gateway.requests[-1].content)
    assert (body["inputAttributeNames"], body["targetAttributeNames"]) == (["a", "b"], ["y"])
    assert gateway.requests[-1].url.query == b"algo=mlr&modelid=m&useLocal=true"


def test_a_job_is_waited_for_until_it_is_finished() -> None:
    running, finished = answer(202, {"jobinfo": {}}), answer(200, {"done": 1})
    client, gateway = client_of(running, running, finished)
    assert client.wait(Job(7)) == {"done": 1}
    assert gateway.requests[0].url.path == f"{BASE}/jobs/7"


def test_a_job_that_runs_too_long_is_told_with_its_number() -> None:
    client, _ = client_of(answer(202))
    with pytest.raises(DeadlineError, match="job 7 still runs after 0 s"):
        client.wait(Job(7), deadline=0)


def test_model_has_its_table_and_its_figures() -> None:
    names = ["attribute", "coefficient", "std.error", "scores", "p.values", "ci.low", "ci.high"]
    rows: list[JsonValue] = [["intercept", 0.1, 0.2, 0.5, 0.6, -0.3, 0.5]]
    frame: JsonValue = {"attributeNames": list(names), "attributeTypes": ["S", *"CCCCCC"], "data": rows}
    figures: JsonValue = {"rows": 150, "rSquared": 0.9, "conditionNumber": 2e6, "digest": "ab"}
    info: JsonValue = {
        "modelId": "m",
        "modelType": "mlr",
        "targetNames": ["y"],
        "info": figures,
        "extra": {"coefficients": frame},
    }
    client, _ = client_of(answer(values={"modelInfo": info}))
    model = client.model("p", "m")
    assert (model.rows, model.r_squared, model.digest, model.is_ill_conditioned) == (150, 0.9, "ab", True)
    assert [row.ci_low for row in model.coefficients] == [-0.3]


def test_a_refusal_says_what_was_called_and_keeps_status_text_and_values() -> None:
    client, gateway = client_of(answer(409, {"members": ["b"]}))
    with pytest.raises(ApiError, match=r"DELETE /projects/p: 409 refused with 409") as caught:
        client.delete("p")
    assert (caught.value.status, caught.value.values) == (409, {"members": ["b"]})
    assert len(gateway.requests) == 1


def test_503_with_retry_after_is_sent_again() -> None:
    client, gateway = client_of(answer(503, headers={"Retry-After": "0"}), answer(201))
    client.create("p", "fed", "m1", {})
    assert len(gateway.requests) == 2


def test_503_without_retry_after_is_final() -> None:
    client, gateway = client_of(answer(503), answer(201))
    with pytest.raises(ApiError):
        client.create("p", "fed", "m1", {})
    assert len(gateway.requests) == 1


def test_no_connection_is_tried_again_for_every_call() -> None:
    client, gateway = client_of(httpx.ConnectError("refused"), answer(201))
    client.create("p", "fed", "m1", {})
    assert len(gateway.requests) == 2


def test_a_broken_connection_is_not_tried_again_for_a_creating_call() -> None:
    client, gateway = client_of(httpx.ReadError("broken"), answer(201))
    with pytest.raises(ConnectionFailedError, match=r"POST /fedml/create.*broken"):
        client.create("p", "fed", "m1", {})
    assert len(gateway.requests) == 1


def test_patience_ends() -> None:
    client, _ = client_of(httpx.ConnectError("Connection refused"), patience=0)
    with pytest.raises(ConnectionFailedError, match=f"{URL}.*Connection refused"):
        client.projects()


def test_an_answer_that_is_no_envelope_is_told() -> None:
    client, _ = client_of(httpx.Response(502, text="<html>bad gateway"))
    with pytest.raises(NotAnEnvelopeError, match="502 not an answer of a symfed gateway: '<html>bad"):
        client.projects()


@pytest.mark.parametrize("key", ["", "äö", "AAAA", "9cd4TmBShfeYyVYq3ChGyQ"])
def test_a_key_that_is_none_is_refused_without_being_repeated(key: str) -> None:
    with pytest.raises(MalformedError, match="not 16 bytes in base64") as caught:
        Client(URL, "c1", key)
    assert not key or key not in str(caught.value)


def test_an_address_needs_a_scheme() -> None:
    with pytest.raises(MalformedError, match="no address of a gateway"):
        Client("gateway:8080", "c1", KEY)
