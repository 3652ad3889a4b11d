"""The cluster's own network namespace and its links to the host, whose own rules stay untouched."""

import subprocess
import sys
from pathlib import Path

from tests.cluster.console import ClusterError, run
from tests.cluster.layout import (
    BRIDGE,
    BRIDGE_ADDRESS,
    HOST_ADDRESS,
    HOST_LINK,
    NAMESPACE,
    NODE_ADDRESS,
    NODE_LINK,
    POD_RANGE,
)

ASK = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=3).read().decode())"
HANDLE = Path("/run/netns") / NAMESPACE
BRIDGE_SETTINGS = Path("/proc/sys/net/bridge")
KERNEL_SETTINGS = {
    "net/ipv4/ip_forward": "1",
    # a Service's answer must pass the rules that translated its question, also between two pods of the bridge
    "net/bridge/bridge-nf-call-iptables": "1",
}


def inside(*command: str) -> list[str]:
    """The command as it runs in the cluster's network.

    `ip netns exec` would do more: it remounts /sys, which hides the cgroups from the kubelet.
    """
    return ["nsenter", f"--net={HANDLE}", "--", *command]


def up() -> None:
    """Makes whatever is missing of namespace, links, addresses, bridge and kernel settings."""
    if not succeeds(inside("true")):
        down()
        run(["ip", "netns", "add", NAMESPACE])
    run(inside("ip", "link", "set", "lo", "up"))
    if not succeeds(["ip", "link", "show", HOST_LINK]):
        run(["ip", "link", "add", HOST_LINK, "type", "veth", "peer", "name", NODE_LINK, "netns", NAMESPACE])
    run(["ip", "address", "replace", f"{HOST_ADDRESS}/24", "dev", HOST_LINK])
    run(["ip", "link", "set", HOST_LINK, "up"])
    run(inside("ip", "address", "replace", f"{NODE_ADDRESS}/24", "dev", NODE_LINK))
    run(inside("ip", "link", "set", NODE_LINK, "up"))
    if not succeeds(inside("ip", "link", "show", BRIDGE)):
        run(inside("ip", "link", "add", BRIDGE, "type", "bridge"))
    prefix = POD_RANGE.partition("/")[2]
    run(inside("ip", "address", "replace", f"{BRIDGE_ADDRESS}/{prefix}", "dev", BRIDGE))
    run(inside("ip", "link", "set", BRIDGE, "up"))
    load_bridge_filter()
    for name, value in KERNEL_SETTINGS.items():
        run(inside("sh", "-c", f'echo {value} > "/proc/sys/{name}"'))


def load_bridge_filter() -> None:
    """Loads br_netfilter where the kernel has it as a module, as Docker does where it runs."""
    if BRIDGE_SETTINGS.exists():
        return
    try:
        run(["modprobe", "br_netfilter"])
    except (ClusterError, FileNotFoundError) as error:
        raise ClusterError(
            f"the kernel has no {BRIDGE_SETTINGS}: load its module br_netfilter (`modprobe br_netfilter`), "
            f"then try again. {error}"
        ) from None


def down() -> None:
    """Removes the namespace and the links: those go with it."""
    if succeeds(["ip", "link", "show", HOST_LINK]):
        run(["ip", "link", "delete", HOST_LINK])
    if HANDLE.exists():
        run(["ip", "netns", "delete", NAMESPACE])


def ask_http(address: str, port: int, path: str) -> str:
    """What a server inside the network answers, or why it did not; the host has no route there."""
    asked = subprocess.run(
        inside(sys.executable, "-c", ASK, f"http://{address}:{port}{path}"),
        capture_output=True,
        text=True,
        check=False,
    )
    return (asked.stdout or asked.stderr).strip()


def succeeds(command: list[str]) -> bool:
    """Whether a command that only asks answers yes; a program that is not installed answers no."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
