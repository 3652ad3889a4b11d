"""The programs of the local cluster with their command lines."""

import shutil
from pathlib import Path

from tests.cluster import keys, settings
from tests.cluster.gobuild import program
from tests.cluster.layout import (
    API_SERVER,
    CONTAINERD_SOCKET,
    NODE,
    NODE_ADDRESS,
    POD_RANGE,
    SERVICE_RANGE,
    STATE,
)
from tests.cluster.processes import Daemon

ETCD = "http://127.0.0.1:2379"


def etcd() -> Daemon:
    """The store. It does not wait for the disk: a machine that crashes loses its test cluster."""
    return Daemon(
        "etcd",
        (
            str(program("etcd")),
            f"--data-dir={STATE}/etcd",
            f"--listen-client-urls={ETCD}",
            f"--advertise-client-urls={ETCD}",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ),
    )


def api_server() -> Daemon:
    """The API server, with the node and role authorizers of a real cluster."""
    certificate, key = str(keys.certificate(keys.API)), str(keys.key(keys.API))
    return Daemon(
        "kube-apiserver",
        (
            str(program("kube-apiserver")),
            f"--etcd-servers={ETCD}",
            f"--advertise-address={NODE_ADDRESS}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--client-ca-file={keys.AUTHORITY}",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            f"--kubelet-certificate-authority={keys.AUTHORITY}",
            f"--kubelet-client-certificate={certificate}",
            f"--kubelet-client-key={key}",
            "--kubelet-preferred-address-types=InternalIP",  # else logs and exec ask DNS for the node
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={keys.SERVICE_ACCOUNTS}",
            f"--service-account-signing-key-file={keys.SERVICE_ACCOUNTS}",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            "--profiling=false",
        ),
        (Path(certificate), Path(key), keys.AUTHORITY, keys.SERVICE_ACCOUNTS),
    )


def controller_manager() -> Daemon:
    """The controllers; one replica, so no election."""
    kubeconfig = keys.kubeconfig("controller-manager")
    return Daemon(
        "kube-controller-manager",
        (
            str(program("kube-controller-manager")),
            f"--kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
            f"--root-ca-file={keys.AUTHORITY}",
            f"--service-account-private-key-file={keys.SERVICE_ACCOUNTS}",
            "--use-service-account-credentials",
        ),
        (kubeconfig,),
    )


def scheduler() -> Daemon:
    """The scheduler; one replica, so no election."""
    kubeconfig = keys.kubeconfig("scheduler")
    return Daemon(
        "kube-scheduler",
        (
            str(program("kube-scheduler")),
            f"--kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
        ),
        (kubeconfig,),
    )


def containerd() -> Daemon:
    """The container runtime, beside any other of the machine."""
    found = shutil.which("containerd") or "containerd"
    return Daemon("containerd", (found, f"--config={settings.CONTAINERD}"), (settings.CONTAINERD,))


def kubelet() -> Daemon:
    """The node."""
    kubeconfig = keys.kubeconfig("kubelet")
    return Daemon(
        "kubelet",
        (
            str(program("kubelet")),
            f"--kubeconfig={kubeconfig}",
            f"--config={settings.KUBELET}",
            f"--root-dir={STATE}/kubelet",
            f"--node-ip={NODE_ADDRESS}",
            f"--hostname-override={NODE}",
        ),
        (kubeconfig, settings.KUBELET),
    )


def proxy() -> Daemon:
    """Services as iptables rules, in the cluster's own network namespace."""
    kubeconfig = keys.kubeconfig("proxy")
    return Daemon(
        "kube-proxy",
        (
            str(program("kube-proxy")),
            f"--kubeconfig={kubeconfig}",
            f"--master={API_SERVER}",
            f"--cluster-cidr={POD_RANGE}",
            f"--hostname-override={NODE}",
            "--proxy-mode=iptables",
            "--conntrack-max-per-core=0",  # these three are the host's settings, not a namespace's
            "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
        ),
        (kubeconfig,),
    )


def coredns() -> Daemon:
    """Names, as a plain process at the bridge's address."""
    kubeconfig = keys.kubeconfig("dns")
    return Daemon(
        "coredns",
        (str(program("coredns")), "-conf", str(settings.COREDNS)),
        (settings.COREDNS, kubeconfig),
    )


def containers_tool() -> list[str]:
    """containerd's own client, pointed at the cluster's containerd and the kubelet's containers."""
    return ["ctr", f"--address={CONTAINERD_SOCKET}", "--namespace=k8s.io"]
