"""The WebSocket of a gateway's process on a real API server; the tests play the nodes."""

from pathlib import Path

import pytest

from tests.integration.gateway import NewTenant, Nodes, Tenant, started_gateway
from tests.integration.servers import ControlPlane, wait_until
from tests.integration.websocket_client import (
    FRAME,
    SECONDS,
    address,
    answer,
    ask,
    close_code,
    message,
    opened,
)


@pytest.fixture
def learner(tenant: Tenant, nodes: Nodes) -> Tenant:
    """A customer with the projects p1 and p2."""
    for project in ("p1", "p2"):
        tenant.make_project(project, nodes)
    return tenant


@pytest.mark.parametrize("verb", ["learn", "forget"])
def test_rows_go_to_the_projects_node(learner: Tenant, nodes: Nodes, verb: str) -> None:
    url = address(learner, verb)
    with opened(url) as connection:
        assert ask(connection, message(learner, url, "p1")) == ("X", "learnt by p1")
        assert (nodes.seen[-1]["call"], nodes.seen[-1]["body"]) == (f"POST /projects/p1/{verb}", FRAME)
        assert ask(connection, '0,{"data":[]}') == ("X", "learnt by p1")  # as the first header said
        assert nodes.seen[-1]["body"] == '{"data":[]}'
        assert ask(connection, message(learner, url, "p2")) == ("X", "learnt by p2")
        assert ask(connection, f"0,{FRAME}") == ("X", "learnt by p2")


def test_a_prediction_goes_to_its_model(learner: Tenant, nodes: Nodes) -> None:
    url = address(learner, "predict")
    with opened(url) as connection:
        assert ask(connection, message(learner, "/symetry/ws/predict", "p1", "m 1")) == ("X", "learnt by p1")
        assert nodes.seen[-1]["call"] == "POST /projects/p1/predict/m%201"
        assert ask(connection, message(learner, url, "p1")) == ("BAD_REQUEST", HEADER_FORM)
        assert close_code(connection) == 1008


HEADER_FORM = (
    'The header is not {"headers": [date, MD5, signature, customer id], "extraKeys": [project id]}, '
    "for predict with the model id after the project id"
)


def test_the_outer_address_may_be_signed(
    new_tenant: NewTenant, control_plane: ControlPlane, nodes: Nodes, tmp_path: Path
) -> None:
    tenant = new_tenant()
    tenant.make_project("p1", nodes)
    outer = {"SYMFED_EXTERNAL_URL": "https://symfed.example.org/"}
    with started_gateway(control_plane, nodes, tmp_path, **outer) as own:
        tenant.url = own.url
        with opened(address(tenant)) as connection:
            signed = message(tenant, "wss://symfed.example.org/symetry/ws/learn", "p1")
            assert ask(connection, signed) == ("X", "learnt by p1")
            signed = message(tenant, "wss://symfed.example.com/symetry/ws/learn", "p1")
            assert ask(connection, signed) == ("UNAUTHORIZED", "Invalid Signature")


def test_what_is_not_accepted_is_answered_in_words_and_closed(learner: Tenant) -> None:
    url = address(learner)
    stranger = Tenant(learner.control_plane, learner.url, learner.id, learner.namespace)
    nobody = Tenant(learner.control_plane, learner.url, "nobody", learner.namespace)
    invalid = ("UNAUTHORIZED", "Invalid Signature")
    for text, wanted in (
        (message(stranger, url, "p1"), invalid),
        (message(nobody, url, "p1"), invalid),
        (message(learner, "ws://elsewhere/symetry/ws/learn", "p1"), invalid),
        (message(learner, address(learner, "forget"), "p1"), invalid),
        (message(learner, url, "p1", payload="{}"), ("BAD_REQUEST", "Md5 do not match")),
        (f"0,{FRAME}", ("BAD_REQUEST", "The first message of a connection needs a header")),
        ("2,{}", ("BAD_REQUEST", HEADER_FORM)),
        (b"binary", ("BAD_REQUEST", "The message is binary; send text")),
    ):
        with opened(url) as connection:
            assert ask(connection, text) == wanted
            assert close_code(connection) == 1008


def test_a_later_header_needs_a_signature_of_its_own(learner: Tenant, nodes: Nodes) -> None:
    url = address(learner)
    stranger = Tenant(learner.control_plane, learner.url, learner.id, learner.namespace)
    with opened(url) as connection:
        assert ask(connection, message(learner, url, "p1")) == ("X", "learnt by p1")
        before = len(nodes.seen)
        assert ask(connection, message(stranger, url, "p2")) == ("UNAUTHORIZED", "Invalid Signature")
        assert close_code(connection) == 1008
        assert len(nodes.seen) == before


def test_a_connection_bears_what_its_project_cannot_do_now(learner: Tenant) -> None:
    url = address(learner)
    missing = ("BAD_REQUEST", f"Cannot Find SYMETRYML id[p9] for Customer id [{learner.id}]")
    with opened(url) as connection:
        assert ask(connection, message(learner, url, "p9")) == missing
        learner.call("POST", "/projects", "pid=p3")
        learner.set_condition("federationpeers", "p3", "NodeReady", "False", "Unschedulable", "0/3 nodes")
        stuck = ("SERVICE_UNAVAILABLE", "Project p3 is not ready: Unschedulable: 0/3 nodes")
        assert ask(connection, message(learner, url, "p3")) == stuck
        assert ask(connection, message(learner, url, "p1")) == ("X", "learnt by p1")


def test_a_message_has_its_limit(learner: Tenant) -> None:
    url = address(learner)
    large = "x" * (255 * 1024)
    with opened(url) as connection:
        assert ask(connection, message(learner, url, "p1", payload=large, signed=large))[0] == "X"
        connection.send("0," + "x" * (256 * 1024))
        assert close_code(connection) == 1009


def test_who_waits_too_long_is_sent_away(
    new_tenant: NewTenant, control_plane: ControlPlane, nodes: Nodes, tmp_path: Path
) -> None:
    tenant = new_tenant()
    tenant.make_project("p1", nodes)
    limits = {"SYMFED_WEBSOCKET_FIRST_SECONDS": "0.5", "SYMFED_WEBSOCKET_IDLE_SECONDS": "1"}
    with started_gateway(control_plane, nodes, tmp_path, SYMFED_WEBSOCKET_CONNECTIONS="1", **limits) as own:
        tenant.url = own.url
        url = address(tenant)
        with opened(url) as silent:
            assert answer(silent) == ("REQUEST_TIMEOUT", "No message came within 0.5 s")
            assert close_code(silent) == 1008
        with opened(url) as slow:  # a message that never comes to its end
            slow.protocol.send_text(b"0,", fin=False)
            slow.socket.sendall(b"".join(slow.protocol.data_to_send()))
            assert answer(slow) == ("REQUEST_TIMEOUT", "No message came within 0.5 s")
        with opened(url) as idle:
            assert ask(idle, message(tenant, url, "p1")) == ("X", "learnt by p1")
            with opened(url) as second:
                assert answer(second) == (
                    "SERVICE_UNAVAILABLE",
                    "The gateway has too many WebSockets at the moment",
                )
                assert close_code(second) == 1013
            assert answer(idle) == ("REQUEST_TIMEOUT", "No message came within 1 s")


def test_a_customer_with_a_new_key_has_to_sign_again(learner: Tenant) -> None:
    url = address(learner)
    with opened(url) as connection:
        assert ask(connection, message(learner, url, "p1")) == ("X", "learnt by p1")
        learner.put_secret("symfed-customer", {"secretKey": "AAAAAAAAAAAAAAAAAAAAAA=="})
        last = ("X", "")

        def is_refused() -> bool:
            nonlocal last
            last = ask(connection, f"0,{FRAME}")
            return last == ("UNAUTHORIZED", "Invalid Signature")

        wait_until(is_refused, f"still served: {last}", SECONDS)
        assert close_code(connection) == 1008
