"""A hundred ready-made volumes for the local cluster, where nothing provisions them on demand.

`local` volumes respect a pod's fsGroup; the controller-manager's own hostpath provisioner does not.
"""

import shutil
from typing import Any

from tests.cluster import kubectl
from tests.cluster.layout import NODE, VOLUMES

COUNT = 100


def renew() -> int:
    """Makes the missing volumes and makes released ones anew, empty; answers how many were made."""
    present = {volume["metadata"]["name"]: volume["status"]["phase"] for volume in kubectl.items("pv")}
    used_up = [name for name, phase in present.items() if phase in ("Released", "Failed")]
    if used_up:
        kubectl.kubectl("delete", "pv", *used_up)
    wanted = [
        name for name in map("local-{:03}".format, range(COUNT)) if name in used_up or name not in present
    ]
    for name in wanted:
        folder = VOLUMES / name
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
    if wanted:
        kubectl.apply(*map(volume, wanted))
    return len(wanted)


def volume(name: str) -> dict[str, Any]:
    """A volume that is a folder of the node."""
    on_the_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "20Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "local",
            "local": {"path": str(VOLUMES / name)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_the_node]}]}},
        },
    }
