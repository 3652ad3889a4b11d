"""Where the cluster lives: its files, its addresses, its names."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
#: what `make up` leaves for tests, the demo and the user's shell
HANDOVER = REPOSITORY / ".symfed"

#: everything of the local cluster; a fixed place, since its network is a fixed one too: one per machine
STATE = Path("/var/lib/symfed-cluster")
CONFIG = STATE / "config"
LOGS = STATE / "logs"
VOLUMES = STATE / "volumes"
CONTAINERD_SOCKET = STATE / "containerd.sock"
CGROUP = "symfed"

NODE = "symfed"
NAMESPACE = "symfed"  # of the network
HOST_LINK, NODE_LINK = "symfed-host", "symfed-node"
HOST_ADDRESS, NODE_ADDRESS = "172.30.0.1", "172.30.0.2"
BRIDGE, BRIDGE_ADDRESS = "symfed0", "10.244.0.1"
POD_RANGE = "10.244.0.0/24"
SERVICE_RANGE, API_SERVICE_ADDRESS = "10.96.0.0/16", "10.96.0.1"
API_SERVER = f"https://{NODE_ADDRESS}:6443"
GATEWAY_PORT, NATS_PORT = 30080, 30422  # node ports

RELEASE, RELEASE_NAMESPACE = "symfed", "symfed-system"
PAUSE_IMAGE = "localhost/pause:1"
