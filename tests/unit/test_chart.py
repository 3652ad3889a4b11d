"""The chart as helm renders it: security contexts, probes, rights, and the CRDs as they are in `crds/`."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.gobuild import find

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "symfed"
CRD = "CustomResourceDefinition"

Object = dict[str, Any]  # a Kubernetes object, as YAML gives it


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = find("helm")
    if program is None:
        pytest.skip("helm is not built: `make programs` builds it")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def render(*values: str) -> list[Object]:
    result = helm(
        "template",
        "symfed",
        str(CHART),
        "--namespace=symfed-system",
        "--kube-version=1.32.0",
        *(f"--set={value}" for value in values),
    )
    assert result.returncode == 0, result.stderr
    return [document for document in yaml.safe_load_all(result.stdout) if document]


@pytest.fixture(scope="module")
def objects() -> list[Object]:
    return render()


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    return [document for document in objects if document["kind"] in kinds]


def named(objects: list[Object], kind: str, name: str) -> Object:
    [found] = [document for document in of_kind(objects, kind) if document["metadata"]["name"] == name]
    return found


def pod_specs(objects: list[Object]) -> Iterator[tuple[Object, Object]]:
    for document in of_kind(objects, "Deployment", "StatefulSet", "Job"):
        yield document, document["spec"]["template"]["spec"]


def environment(objects: list[Object], kind: str, name: str) -> dict[str, str]:
    [container] = named(objects, kind, name)["spec"]["template"]["spec"]["containers"]
    return {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}


def test_lint_finds_nothing() -> None:
    result = helm("lint", "--strict", str(CHART))
    assert result.returncode == 0, result.stdout


def test_the_release_is_whole(objects: list[Object]) -> None:
    workloads = {(document["kind"], document["metadata"]["name"]) for document, _ in pod_specs(objects)}
    assert workloads == {
        ("Deployment", "symfed-operator"),
        ("Deployment", "symfed-gateway"),
        ("StatefulSet", "symfed-nats"),
        ("Job", "symfed-nats-bootstrap"),
    }


def test_every_pod_is_confined(objects: list[Object]) -> None:
    for document, pod in pod_specs(objects):
        name = document["metadata"]["name"]
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["runAsUser"] > 0, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"], name
            assert not context["allowPrivilegeEscalation"], name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert {"requests", "limits"} <= set(container["resources"]), name


def test_every_server_has_its_probes(objects: list[Object]) -> None:
    for document, pod in pod_specs(objects):
        if document["kind"] == "Job":
            continue
        for container in pod["containers"]:
            assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)


def test_no_right_is_a_star_and_secrets_are_never_listed(objects: list[Object]) -> None:
    roles = of_kind(objects, "Role", "ClusterRole")
    assert len(roles) == 4
    for role in roles:
        for rule in role["rules"]:
            assert "*" not in rule["apiGroups"] + rule["resources"] + rule["verbs"], role["metadata"]["name"]
            assert not {"escalate", "bind", "impersonate"} & set(rule["verbs"]), role["metadata"]["name"]
            if "secrets" in rule["resources"]:
                assert not {"list", "watch"} & set(rule["verbs"]), role["metadata"]["name"]


def test_every_binding_has_its_role_and_its_account(objects: list[Object]) -> None:
    present = {(document["kind"], document["metadata"]["name"]) for document in objects}
    for binding in of_kind(objects, "RoleBinding", "ClusterRoleBinding"):
        assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) in present
        for subject in binding["subjects"]:
            assert (subject["kind"], subject["name"]) in present
            assert subject["namespace"] == "symfed-system"


def test_the_crds_are_those_of_the_repository_and_outlive_the_release(objects: list[Object]) -> None:
    rendered = {document["metadata"]["name"]: document for document in of_kind(objects, CRD)}
    files = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))]
    assert set(rendered) == {document["metadata"]["name"] for document in files}
    for document in files:
        found = rendered[document["metadata"]["name"]]
        assert found["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
        assert found == document


def test_the_crds_can_be_left_out() -> None:
    assert of_kind(render("crds.install=false"), CRD) == []


def test_the_keys_are_made_before_the_release_and_its_upgrades(objects: list[Object]) -> None:
    hooks = [document for document in objects if document["metadata"]["name"] == "symfed-nats-bootstrap"]
    weights = {}
    for hook in hooks:
        annotations = hook["metadata"]["annotations"]
        assert annotations["helm.sh/hook"] == "pre-install,pre-upgrade"
        assert annotations["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
        weights[hook["kind"]] = int(annotations["helm.sh/hook-weight"])
    assert weights["ServiceAccount"] <= weights["Role"] < weights["RoleBinding"] < weights["Job"]


def test_the_root_seed_is_mounted_nowhere(objects: list[Object]) -> None:
    for _, pod in pod_specs(objects):
        mounted = [volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume]
        assert "symfed-nats-root" not in mounted


def test_addresses_inside_and_outside() -> None:
    objects = render(
        "nats.advertisedHosts=nats://n.example:4222",
        "nats.service.type=NodePort",
        "nats.service.nodePort=30422",
        "gateway.externalUrl=https://symfed.example",
    )
    inner, outer = "nats://symfed-nats.symfed-system.svc:4222", "nats://n.example:4222"
    operator = environment(objects, "Deployment", "symfed-operator")
    gateway = environment(objects, "Deployment", "symfed-gateway")
    assert operator["SYMFED_NATS_INTERNAL_HOSTS"] == inner
    assert operator["SYMFED_NATS_ADVERTISED_HOSTS"] == outer
    assert operator["SYMFED_NODE_IMAGE"] == "symfed-node:0.1.0"
    assert gateway["SYMFED_NATS_HOSTS"] == f"{inner},{outer}"
    assert gateway["SYMFED_EXTERNAL_URL"] == "https://symfed.example"
    [port] = named(objects, "Service", "symfed-nats")["spec"]["ports"]
    assert port["nodePort"] == 30422


def test_gpu_nodes_have_an_image_of_their_own_where_one_is_given(objects: list[Object]) -> None:
    assert "SYMFED_NODE_GPU_IMAGE" not in environment(objects, "Deployment", "symfed-operator")
    given = render("images.nodeGpu.repository=r.example/symfed-node-gpu", "images.nodeGpu.tag=0.2.0")
    operator = environment(given, "Deployment", "symfed-operator")
    assert operator["SYMFED_NODE_GPU_IMAGE"] == "r.example/symfed-node-gpu:0.2.0"
    assert operator["SYMFED_NODE_IMAGE"] == "symfed-node:0.1.0"


def test_the_operator_comes_to_an_identity_on_aws_where_one_is_given(objects: list[Object]) -> None:
    assert "annotations" not in named(objects, "ServiceAccount", "symfed-operator")["metadata"]
    role = "arn:aws:iam::999999999999:role/symfed-operator"
    given = render(f"operator.serviceAccountAnnotations.eks\\.amazonaws\\.com/role-arn={role}")
    account = named(given, "ServiceAccount", "symfed-operator")
    assert account["metadata"]["annotations"] == {"eks.amazonaws.com/role-arn": role}


def test_pods_are_reached_at_the_ports_that_they_serve_and_no_other(objects: list[Object]) -> None:
    """NATS' monitoring names all customers' accounts and addresses. The kubelet's probes always pass."""
    open_ports = {}
    for policy in of_kind(objects, "NetworkPolicy"):
        [pod] = [
            document["metadata"]["name"]
            for document, _ in pod_specs(objects)
            if policy["spec"]["podSelector"]["matchLabels"].items()
            <= document["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert policy["spec"]["policyTypes"] == ["Ingress"]
        rules = policy["spec"]["ingress"]
        assert all(set(rule) == {"ports"} for rule in rules)
        open_ports[pod] = [port["port"] for rule in rules for port in rule["ports"]]
    assert open_ports == {"symfed-nats": [4222], "symfed-gateway": [8080], "symfed-operator": []}


def test_no_service_offers_the_monitoring(objects: list[Object]) -> None:
    offered = {
        port["targetPort"] for service in of_kind(objects, "Service") for port in service["spec"]["ports"]
    }
    assert offered == {"nats", "http"}


def test_without_the_embedded_nats_nothing_of_it_is_left() -> None:
    objects = render("nats.enabled=false")
    assert [
        document["metadata"]["name"] for document in objects if "nats" in document["metadata"]["name"]
    ] == []
    assert environment(objects, "Deployment", "symfed-operator")["SYMFED_NATS_INTERNAL_HOSTS"] == ""


@pytest.mark.parametrize(
    "value",
    ["nats.foo=1", "logLevel=loud", "nats.advertisedHosts=n.example", "nats.jetstream.maxFileStore=much"],
)
def test_a_wrong_value_is_refused(value: str) -> None:
    result = helm("template", "symfed", str(CHART), "--kube-version=1.32.0", f"--set={value}")
    assert result.returncode != 0
    assert value.partition("=")[0].rpartition(".")[2] in result.stderr


def test_an_older_kubernetes_is_refused() -> None:
    result = helm("template", "symfed", str(CHART), "--kube-version=1.31.9")
    assert "requires kubeVersion" in result.stderr
