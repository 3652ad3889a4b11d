"""What tests leave behind in the API server that all share."""

from itertools import chain
from typing import Final

from symfed_wire.names import CUSTOMER_LABEL
from tests.integration.servers import ControlPlane

_API: Final = "/apis/symfed.dev/v1alpha1"
_KINDS: Final = ("federations", "federationpeers")
_NO_FINALIZERS: Final = {"metadata": {"finalizers": None}}
_NO_CUSTOMER: Final = {"metadata": {"labels": {CUSTOMER_LABEL: None}}}
_MERGE: Final = {"Content-Type": "application/merge-patch+json"}


def remove_leftovers(control_plane: ControlPlane) -> None:
    """While no operator runs, takes away what each new one would look at.

    All Federations and FederationPeers are deleted, and no namespace is a customer's any more.
    """
    with control_plane.client() as client:
        customers = client.get("/api/v1/namespaces", params={"labelSelector": CUSTOMER_LABEL})
        for namespace in customers.raise_for_status().json()["items"]:
            path = f"/api/v1/namespaces/{namespace['metadata']['name']}"
            client.patch(path, json=_NO_CUSTOMER, headers=_MERGE).raise_for_status()
        lists = [client.get(f"{_API}/{kind}").raise_for_status().json()["items"] for kind in _KINDS]
        for item in chain(*lists):
            meta, kind = item["metadata"], f"{item['kind'].lower()}s"
            path = f"{_API}/namespaces/{meta['namespace']}/{kind}/{meta['name']}"
            if meta.get("finalizers"):
                client.patch(path, json=_NO_FINALIZERS, headers=_MERGE).raise_for_status()
            if not meta.get("deletionTimestamp"):
                client.delete(path).raise_for_status()
