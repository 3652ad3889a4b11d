"""Jobs: which node has them."""

from symfed_wire.jobs import job_id
from tests.integration.gateway import Nodes, Tenant, text_of


def test_a_job_is_on_the_node_with_its_slot(tenant: Tenant, nodes: Nodes) -> None:
    for slot, pid in enumerate(("p1", "p2"), start=1):
        tenant.make_project(pid, nodes)
        tenant.set_status("federationpeers", pid, slot=slot)
    number = job_id(2, 5)
    assert text_of(tenant.call("GET", f"/jobs/{number}")) == (200, "learnt by p2")
    assert nodes.seen[-1]["call"] == f"GET /jobs/{number}"
    for unknown in (job_id(3, 5), 7, "x", "9" * 30):
        assert text_of(tenant.call("GET", f"/jobs/{unknown}")) == (400, "No such job")
    listed = tenant.call("GET", "/jobs").json()["values"]
    assert listed == {"jobs": [{"jobId": "p1"}, {"jobId": "p2"}]}
