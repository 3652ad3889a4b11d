"""AWS as a pod of the cluster: ministack, with two accounts that have a bucket each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cluster import images, kind, kubectl, machine
from tests.cluster.console import ClusterError, eventually
from tests.cluster.images import Image
from tests.e2e.objects import SECONDS

NAMESPACE = "aws"
NAME = "ministack"
PORT = 4566
ENDPOINT = f"http://{NAME}.{NAMESPACE}.svc:{PORT}"
REGION = "eu-central-1"
ADMIN_ACCOUNT, PEER_ACCOUNT = "111111111111", "222222222222"
BUCKETS = {ADMIN_ACCOUNT: "bucket-of-the-admin", PEER_ACCOUNT: "bucket-of-a-peer"}
_DOCKERFILE = Path("tests/e2e/ministack.Dockerfile")
_MAKE_BUCKET = """
import sys, boto3
endpoint, region, account, bucket = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=endpoint, region_name=region, aws_access_key_id=account,
                  aws_secret_access_key="any")
if bucket not in [one["Name"] for one in s3.list_buckets()["Buckets"]]:
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
"""


def side(account: str) -> Mapping[str, str]:
    """What a map says of an account's side; on ministack an access key of 12 digits is the account."""
    return {
        "aws_id": account,
        "aws_access_key": account,
        "aws_secret_key": "any",
        "aws_region": REGION,
        "s3_bucket": BUCKETS[account],
        "aws_endpoint_url": ENDPOINT,
    }


def start() -> None:
    """Bring it up, empty but for the buckets."""
    image = _image()
    kubectl.apply(*_manifests(image))
    eventually("ministack answers", SECONDS, _make_buckets)


def stop() -> None:
    """Remove it."""
    kubectl.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s")


def run(*words: str) -> str:
    """A command in its pod."""
    return kubectl.kubectl("exec", f"--namespace={NAMESPACE}", f"deploy/{NAME}", "--", *words)


def _image() -> Image:
    image = images.of_file(NAME, _DOCKERFILE)
    if machine.cluster_kind() == "kind":
        kind.load(images.build_with_docker(image, f"--file={_DOCKERFILE}"))
    else:
        images.ensure_of_file(image, _DOCKERFILE)
    return image


def _make_buckets() -> str | None:
    try:
        for account, bucket in BUCKETS.items():
            run("python", "-c", _MAKE_BUCKET, f"http://127.0.0.1:{PORT}", REGION, account, bucket)
    except ClusterError as error:
        return str(error)
    return None


def _manifests(image: Image) -> list[dict[str, Any]]:
    labels = {"app": NAME}
    container = {
        "name": NAME,
        "image": image.name,
        "imagePullPolicy": "IfNotPresent",
        "env": [
            {"name": "BIND_HOST", "value": "0.0.0.0"},  # noqa: S104 - in a pod
            {"name": "MINISTACK_HOST", "value": f"{NAME}.{NAMESPACE}.svc"},  # of the URLs of queues
            {"name": "GATEWAY_PORT", "value": str(PORT)},
        ],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - in the pod
    }
    pod = {"containers": [container], "volumes": [{"name": "tmp", "emptyDir": {}}]}
    metadata = {"name": NAME, "namespace": NAMESPACE}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"port": PORT}]},
        },
    ]
