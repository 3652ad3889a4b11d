"""What tests leave behind in the API server that all share."""

from itertools import chain
from typing import Final

from tests.integration.servers import ControlPlane

_API: Final = "/apis/symfed.dev/v1alpha1"
_KINDS: Final = ("federations", "federationpeers")
_NO_FINALIZERS: Final = {"metadata": {"finalizers": None}}


def remove_leftovers(control_plane: ControlPlane) -> None:
    """Deletes all Federations and FederationPeers while no operator runs: each new one would look at them."""
    with control_plane.client() as client:
        lists = [client.get(f"{_API}/{kind}").raise_for_status().json()["items"] for kind in _KINDS]
        for item in chain(*lists):
            meta, kind = item["metadata"], f"{item['kind'].lower()}s"
            path = f"{_API}/namespaces/{meta['namespace']}/{kind}/{meta['name']}"
            if meta.get("finalizers"):
                headers = {"Content-Type": "application/merge-patch+json"}
                client.patch(path, json=_NO_FINALIZERS, headers=headers).raise_for_status()
            if not meta.get("deletionTimestamp"):
                client.delete(path).raise_for_status()
