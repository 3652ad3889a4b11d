"""The demo's flow with all parts as processes against a real API server, etcd and NATS."""

from contextlib import nullcontext

from examples.demo import data, flow
from examples.demo.flow import Surroundings
from examples.demo.proof import prove

from symfed_wire.names import remote_name
from tests.integration.line import Line, namespace_of


def test_three_peers_get_the_pooled_model_and_two_when_one_is_removed(line: Line) -> None:
    customers = (line.new_customer("c1"), line.new_customer("c2"))
    surroundings = Surroundings(line.url, customers, {"nats_hosts": line.nats})
    outcome = flow.run(surroundings, lambda text: nullcontext(print(text)))

    proof = prove(outcome.federated, data.pooled_reference())
    assert proof.are_bytes_equal
    assert proof.largest_difference <= 1e-10
    pooled = outcome.federated["north"].coefficients
    for peer, model in outcome.local.items():
        assert model.coefficients != pooled, f"{peer} alone gives the pooled answer: the data prove nothing"
    assert all(len(stats.peers) == 3 for stats in outcome.exchange.values())

    def remove_member(uuid: str) -> None:
        path = (
            f"/apis/symfed.dev/v1alpha1/namespaces/{namespace_of('c1')}/federationpeers/{remote_name(uuid)}"
        )
        with line.control_plane.client() as client:
            client.delete(path).raise_for_status()

    after = flow.revoke(surroundings, remove_member, lambda text: nullcontext(print(text)))

    proof = prove(after.federated, data.pooled_reference(flow.STAYING))
    assert proof.are_bytes_equal
    assert proof.largest_difference <= 1e-10
    assert after.local[flow.REVOKED] == outcome.local[flow.REVOKED], "the removed peer keeps its own rows"
