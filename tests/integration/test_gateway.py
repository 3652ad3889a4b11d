"""What every call of the gateway has, and its process; it runs on a real API server."""

import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx

from tests.integration.gateway import (
    FEDERATION_KEY,
    JOIN,
    NewTenant,
    Nodes,
    RunningGateway,
    Tenant,
    started_gateway,
    text_of,
)
from tests.integration.servers import ControlPlane, wait_until


def test_every_answer_is_an_envelope(tenant: Tenant, gateway: RunningGateway) -> None:
    assert httpx.get(f"{gateway.url}/healthz").json() == {
        "statusCode": "OK",
        "statusString": "OK",
        "values": {},
    }
    here = f"/symetry/rest/{tenant.id}"
    assert text_of(tenant.call("GET", "/nowhere")) == (404, f"No such path: {here}/nowhere")
    assert text_of(tenant.call("POST", "/projects/list")) == (
        405,
        f"POST is not possible on {here}/projects/list",
    )
    unsigned = httpx.get(f"{gateway.url}{here}/projects/list")
    assert text_of(unsigned) == (400, "Authentication header is null")


def test_a_strangers_signature_is_refused(tenant: Tenant) -> None:
    stranger = Tenant(tenant.control_plane, tenant.url, tenant.id, tenant.namespace)
    assert text_of(stranger.call("GET", "/projects/list")) == (401, "Invalid Signature")
    nobody = Tenant(tenant.control_plane, tenant.url, "nobody", tenant.namespace)
    assert text_of(nobody.call("GET", "/projects/list")) == (401, "Invalid Signature")


def test_of_two_namespaces_with_one_customer_neither_is_served(new_tenant: NewTenant) -> None:
    first = new_tenant()
    second = new_tenant(first.id, wait=False)
    for claimant in (first, second):
        wait_until(partial(is_refused, claimant), "still served", 10)


def is_refused(tenant: Tenant) -> bool:
    """Whether the customer's signature is not accepted."""
    return text_of(tenant.call("GET", "/projects/list")) == (401, "Invalid Signature")


def test_the_log_has_a_line_a_request_and_no_secrets(tenant: Tenant, gateway: RunningGateway) -> None:
    tenant.create("logged", nats_sec_user="u", nats_sec_passwd="hidden-password")
    wait_until(
        lambda: f"POST /symetry/rest/{tenant.id}/fedml/create 201" in gateway.log.read_text(), "no line", 5
    )
    log = gateway.log.read_text()
    assert not any(
        secret in log for secret in ("hidden-password", tenant.secret_key, FEDERATION_KEY, "FEDTOKEN")
    )
    assert "Traceback" not in log


def test_an_address_with_many_refusals_waits(
    control_plane: ControlPlane, nodes: Nodes, tmp_path: Path
) -> None:
    with started_gateway(control_plane, nodes, tmp_path) as own:
        url = f"{own.url}/symetry/rest/c1/fedml/p1/createPolicies"
        codes = [httpx.post(url, json={}).status_code for _ in range(11)]
        assert codes == [403] * 10 + [429]
        assert text_of(httpx.post(url)) == (429, "Too many refused requests from this address")


def test_the_gateway_finishes_what_is_under_way(
    new_tenant: NewTenant, control_plane: ControlPlane, nodes: Nodes, tmp_path: Path
) -> None:
    tenant = new_tenant()
    with started_gateway(control_plane, nodes, tmp_path) as own:
        tenant.url = own.url
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(tenant.call, "POST", "/fedml/createJoin", "pid=last", sealed=JOIN)
            wait_until(lambda: bool(tenant.object("federationpeers", "last")), "no peer")
            own.process.send_signal(signal.SIGTERM)
            assert text_of(waiting.result()) == (201, "Fed Project created with join")
        assert own.process.wait(20) in (0, -signal.SIGTERM)
