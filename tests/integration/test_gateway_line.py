"""What the gateway turns into something else, with all parts as processes: it reaches the nodes."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from symfed_wire.bodies import open_body
from symfed_wire.client import Client
from tests.integration.gateway import Tenant, text_of
from tests.integration.line import Line, namespace_of
from tests.integration.servers import ServerError, wait_until
from tests.integration.websocket_client import address, ask, message, opened

SECONDS = 90.0


def tenant_of(line: Line, name: str) -> Tenant:
    """A new customer that signs its own calls."""
    customer = line.new_customer(name)
    return Tenant(line.control_plane, line.url, name, namespace_of(name), customer.secret_key)


def values_of(tenant: Tenant, path: str) -> dict[str, Any]:
    """The values of a signed GET."""
    return dict(tenant.call("GET", path).json()["values"])


def info_of(tenant: Tenant, project: str) -> dict[str, Any]:
    """The FederationInfo of a project."""
    sealed = values_of(tenant, f"/fedml/{project}/info")["fedInfoEncrypted"]
    return dict(json.loads(open_body(sealed, tenant.secret_key)))


def params_of(tenant: Tenant, project: str) -> dict[str, Any]:
    """What the node says of itself; nothing until it answers."""
    return dict(values_of(tenant, f"/projects/{project}/info").get("smlInfo", {}).get("params", {}))


def has_schedule(tenant: Tenant, project: str, schedule: str) -> bool:
    """Whether the project's node follows this schedule."""
    stats = values_of(tenant, f"/fedml/{project}/syncStats")["fedSyncStats"]
    return bool(stats["schedule"] == schedule)


def is_pulsing(tenant: Tenant, project: str, wanted: bool) -> bool:
    """Whether the node does what is wanted."""
    return params_of(tenant, project)["fed_pulsing"] is wanted


def errors_of(tenant: Tenant, project: str) -> list[str]:
    """The error log of a project's node."""
    return list(values_of(tenant, f"/fedml/{project}/getErrorLog")["stringList"]["values"])


def wait(line: Line, is_so: Callable[[], bool], what: str) -> None:
    """Waits, and shows what the parts printed when it is in vain."""
    try:
        wait_until(is_so, what, SECONDS)
    except ServerError as error:
        raise ServerError(f"{error}\n{line.logs()}") from None


def test_what_is_asked_by_rest_reaches_every_node(line: Line) -> None:
    tenant = tenant_of(line, "steering")
    with Client(line.url, tenant.id, tenant.secret_key) as client:
        client.create("admin", "steered", "m30", {"nats_hosts": line.nats, "color": "red"})
        invitation = client.invitation("admin", "password", rest_host=line.url)
        client.join(Client.open_invitation(invitation, "password"), pid="joined")
        for project in ("admin", "joined"):
            client.project(project)  # it is served once this answers

    assert text_of(tenant.call("GET", "/fedml/admin/newSchedule", "newSchedule=h3")) == (200, "OK")
    for project in ("admin", "joined"):
        wait(line, partial(has_schedule, tenant, project, "h3"), "no new schedule")
    assert info_of(tenant, "joined")["sync_sched"] == "h3"

    wait(line, lambda: params_of(tenant, "admin")["fed_has_error"], "no error")
    [error] = errors_of(tenant, "admin")
    assert error.endswith("the map that made this project had keys that are not known: color")
    assert text_of(tenant.call("DELETE", "/fedml/admin/clearErrorLog")) == (200, "OK")
    wait(line, lambda: not params_of(tenant, "admin")["fed_has_error"], "the error log is not cleared")
    assert errors_of(tenant, "admin") == []

    for call, pulsing in (("stopPulse", False), ("startPulse", True)):
        assert text_of(tenant.call("GET", f"/fedml/joined/{call}")) == (200, "OK")
        wait(line, partial(is_pulsing, tenant, "joined", pulsing), f"{call} did nothing")
        assert info_of(tenant, "joined")["is_pulsing"] is pulsing


def test_a_job_of_the_gateways_own_has_the_rights_that_it_needs(line: Line) -> None:
    tenant = tenant_of(line, "asking")
    tenant.call("POST", "/projects", "pid=p1")
    number = tenant.call("GET", "/projects/info").headers["sym-job-id"]
    wait(line, lambda: tenant.call("GET", f"/jobs/{number}").status_code != 202, "the job runs")
    finished = tenant.call("GET", f"/jobs/{number}").json()["values"]
    assert [info["pid"] for info in finished["smlInfoList"]] == ["p1"]
    assert tenant.call("GET", "/jobs").json()["values"]["jobinfoList"][0]["jobId"] == int(number)
    assert text_of(tenant.call("DELETE", f"/jobs/{number}")) == (200, "Job killed")


def test_rows_from_a_websocket_are_learnt(line: Line) -> None:
    tenant = tenant_of(line, "streaming")
    with Client(line.url, tenant.id, tenant.secret_key) as client:
        client.create_project("p1")
        client.project("p1")  # it is served once this answers
    frame = '{"attributeNames":["a"],"attributeTypes":["C"],"data":[["1"],["2"]]}'
    url = address(tenant)
    with opened(url) as connection:
        assert ask(connection, message(tenant, url, "p1", payload=frame, signed=frame)) == ("OK", "OK")
        assert ask(connection, f"0,{frame}") == ("OK", "OK")
        assert ask(connection, "0,[]") == ("BAD_REQUEST", "DataFrame: the body must be a JSON map")
    assert params_of(tenant, "p1")["rows"] == 4
