"""The configuration files of the local cluster's programs, written from one place."""

import json
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import keys
from tests.cluster.console import ClusterError
from tests.cluster.layout import (
    BRIDGE,
    BRIDGE_ADDRESS,
    CGROUP,
    CONFIG,
    CONTAINERD_SOCKET,
    LOGS,
    PAUSE_IMAGE,
    POD_RANGE,
    STATE,
)
from tests.cluster.machine import cni_folder

CGROUPS = Path("/sys/fs/cgroup")
CONTAINERD = CONFIG / "containerd.toml"
CNI = CONFIG / "cni" / "10-symfed.conflist"
KUBELET = CONFIG / "kubelet.yaml"
COREDNS = CONFIG / "Corefile"
RESOLV = CONFIG / "resolv.conf"


def write() -> None:
    """Writes all configuration files; an unchanged content leaves the daemons as they are."""
    CNI.parent.mkdir(parents=True, exist_ok=True)
    CONTAINERD.write_text(containerd())
    CNI.write_text(json.dumps(cni(), indent=2))
    KUBELET.write_text(yaml.safe_dump(kubelet()))
    COREDNS.write_text(coredns())
    RESOLV.write_text(f"nameserver {BRIDGE_ADDRESS}\n")


def containerd() -> str:
    """containerd with its own folders beside any other containerd of the machine."""
    return f"""\
version = 2
root = "{STATE}/containerd"
state = "{STATE}/containerd-state"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true  # machines without CAP_SYS_RESOURCE: runc would die
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    discard_unpacked_layers = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_folder()}"
    conf_dir = "{CNI.parent}"
"""


def cni() -> dict[str, Any]:
    """The pod network: a bridge of the node, hidden behind the node's address towards the host."""
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": f"{STATE}/addresses",
            "ranges": [[{"subnet": POD_RANGE}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    return {"cniVersion": "0.4.0", "name": "symfed", "plugins": [bridge]}


def kubelet() -> dict[str, Any]:
    """The kubelet for a machine that may be a container itself: cgroup v1 or v2, no systemd, no evictions."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": False}, "x509": {"clientCAFile": str(keys.AUTHORITY)}},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}",
        "clusterDNS": [BRIDGE_ADDRESS],
        "clusterDomain": "cluster.local",
        "containerLogMaxSize": "50Mi",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "enforceNodeAllocatable": ["none"],
        "evictionHard": {},
        "failCgroupV1": False,
        "failSwapOn": False,
        "imageGCHighThresholdPercent": 100,
        "localStorageCapacityIsolation": False,
        "oomScoreAdj": 0,
        "podLogsDir": str(LOGS / "pods"),
        "registryPullQPS": 0,
        "resolvConf": str(RESOLV),
        "serializeImagePulls": False,
        "tlsCertFile": str(keys.certificate(keys.CLIENTS[-1])),
        "tlsPrivateKeyFile": str(keys.key(keys.CLIENTS[-1])),
    }


def coredns() -> str:
    """Names of the cluster; every other name does not exist: pods have no way out."""
    return f"""\
cluster.local in-addr.arpa ip6.arpa {{
    bind {BRIDGE_ADDRESS}
    errors
    ready {BRIDGE_ADDRESS}:8181
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {keys.kubeconfig("dns")}
        pods insecure
        ttl 2
    }}
}}
. {{
    bind {BRIDGE_ADDRESS}
    errors
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def cgroup_folders() -> list[Path]:
    """The cluster's control group in every hierarchy: one on cgroup v2, one per controller on v1."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    roots = {target for _, target, kind, *_ in mounts if kind in ("cgroup", "cgroup2")}
    if not roots:
        raise ClusterError("no cgroups are mounted: the kubelet needs them")
    return sorted(Path(root) / CGROUP for root in roots)


def make_cgroups() -> None:
    """Makes the control group below which all pods run, with the machine's processors and memory nodes."""
    for folder in cgroup_folders():
        folder.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (folder / name).exists() and not (folder / name).read_text().strip():
                (folder / name).write_text((folder.parent / name).read_text())
    if (CGROUPS / "cgroup.controllers").exists():
        controllers = (CGROUPS / "cgroup.controllers").read_text().split()
        for folder in (CGROUPS, CGROUPS / CGROUP):
            (folder / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in controllers))
