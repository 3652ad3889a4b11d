"""`createJoin` on a real API server; the tests play the joining peer's operator."""

import base64
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tests.integration.gateway import JOIN, Tenant, text_of
from tests.integration.servers import wait_until


def test_silence_is_no_refusal(tenant: Tenant) -> None:
    assert text_of(tenant.call("POST", "/fedml/createJoin", sealed=JOIN)) == (
        201,
        "Fed Project created with join",
    )
    reference = tenant.object("federationpeers", "iris")["spec"]["invitationSecretRef"]["name"]
    data = tenant.object("secrets", reference)["data"]
    assert {key: base64.b64decode(value).decode() for key, value in data.items()} == JOIN
    again = tenant.call("POST", "/fedml/createJoin", sealed=JOIN)
    assert text_of(again) == (409, f"Customer [{tenant.id}] already have SYMETRYML with id[iris], ")


def test_a_grant_is_told_at_once_and_a_refusal_leaves_nothing(tenant: Tenant) -> None:
    with ThreadPoolExecutor() as pool:
        for pid, verdict in (("good", "True"), ("bad", "False")):
            waiting = pool.submit(tenant.call, "POST", "/fedml/createJoin", f"pid={pid}", sealed=JOIN)
            wait_until(partial(tenant.has, "federationpeers", pid), "no peer")
            reason = "Granted" if verdict == "True" else "InvitationRefused"
            tenant.set_condition("federationpeers", pid, "Joined", verdict, reason, "the admin refused: no")
            answer = waiting.result()
            wanted = (
                (201, "Fed Project created with join")
                if verdict == "True"
                else (403, "the admin refused: no")
            )
            assert text_of(answer) == wanted
    assert tenant.names("federationpeers") == ["good"]
    assert [name[:16] for name in tenant.names("secrets")] == ["good-invitation-", "symfed-customer"]


def test_an_incomplete_invitation_is_refused_with_what_to_do(tenant: Tenant) -> None:
    incomplete = {key: value for key, value in JOIN.items() if key != "fed_rest_url"}
    answer = tenant.call("POST", "/fedml/createJoin", "pid=p2", sealed=incomplete)
    assert text_of(answer) == (400, "fed_rest_url: missing; pass the opened invitation on unchanged")
