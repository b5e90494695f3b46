"""The deployment files are as docs/deployment.md describes them; no image is built or run here."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "serving" / "deploy"
GATEWAY_PORT = 8080
TRITON_PORTS = {8000, 8001, 8002}
SECRET = "/run/secrets/plumbline/secret"

SERVICE_KEYS = {
    "cap_drop",
    "command",
    "cpuset",
    "deploy",
    "environment",
    "healthcheck",
    "image",
    "init",
    "ports",
    "pull_policy",
    "read_only",
    "restart",
    "secrets",
    "security_opt",
    "shm_size",
    "stop_grace_period",
    "tmpfs",
    "user",
    "volumes",
}
"""Those of the compose specification that are used here."""


class Loader(yaml.SafeLoader):
    """Reads compose's `!override`, which replaces a list that an overlay would extend."""


Loader.add_constructor("!override", Loader.construct_sequence)


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.load_all((DEPLOY / name).read_text(encoding="utf-8"), Loader))


def overlay(name: str) -> dict[str, Any]:
    (document,) = documents(name)
    assert document["services"].keys() == {"server"}
    return dict(document["services"]["server"])


@pytest.fixture
def compose() -> dict[str, Any]:
    return overlay("compose.yaml")


@pytest.fixture
def kubernetes() -> dict[str, dict[str, Any]]:
    return {document["kind"]: document for document in documents("kubernetes/plumbline.yaml")}


@pytest.fixture
def pod(kubernetes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return dict(kubernetes["Deployment"]["spec"]["template"]["spec"])


def published(service: dict[str, Any]) -> set[tuple[str, int]]:
    """Address and port on the machine; the container has the same ports."""
    ports = [port.split(":") for port in service["ports"]]
    assert all(outside == inside for _, outside, inside in ports)
    return {(address, int(outside)) for address, outside, _ in ports}


def asked(service: dict[str, Any]) -> str:
    """The path that the health check asks, and its port."""
    program = service["healthcheck"]["test"][-1]
    compile(program, "healthcheck", "exec")
    return re.search(r"http://127\.0\.0\.1(:\d+/[\w/]+)", program)[1]


def test_compose_publishes_the_gateway_alone_on_loopback(compose: dict[str, Any]) -> None:
    assert compose.keys() <= SERVICE_KEYS
    assert published(compose) == {("127.0.0.1", GATEWAY_PORT)}
    assert asked(compose) == f":{GATEWAY_PORT}/health/ready"
    assert "command" not in compose


def test_an_overlay_publishes_tritons_ports_for_trusted_clients() -> None:
    direct = overlay("compose.direct.yaml")
    assert direct.keys() <= SERVICE_KEYS
    assert direct["command"] == ["--no-gateway"]
    assert published(direct) == {("127.0.0.1", port) for port in TRITON_PORTS}
    assert "ports: !override" in (DEPLOY / "compose.direct.yaml").read_text(encoding="utf-8")
    assert asked(direct) == ":8000/v2/health/ready"


def test_a_secret_comes_from_the_environment_or_a_file(
    compose: dict[str, Any], pod: dict[str, Any]
) -> None:
    assert compose["environment"]["PLUMBLINE_SECRET"] is None, "the caller's, if it is set"
    (document,) = documents("compose.secret.yaml")
    ((name, secret),) = document["secrets"].items()
    (used,) = overlay("compose.secret.yaml")["secrets"]
    assert used == {"source": name, "target": SECRET} and "PLUMBLINE_SECRET_FILE" in secret["file"]
    (container,) = pod["containers"]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "secret"]
    assert mount == {"name": "secret", "mountPath": str(Path(SECRET).parent), "readOnly": True}
    (volume,) = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]
    assert volume["secretName"] == "plumbline" and volume["optional"] is True


def test_compose_restricts_the_container(compose: dict[str, Any]) -> None:
    (mount,) = compose["volumes"]
    assert mount["read_only"] is True and compose["read_only"] is True
    assert compose["user"] == "1000:1000"
    assert compose["cap_drop"] == ["ALL"]
    assert compose["security_opt"] == ["no-new-privileges:true"]
    limits = compose["deploy"]["resources"]["limits"]
    assert {"memory", "pids"} <= limits.keys() and compose["cpuset"] and compose["shm_size"]


def test_a_gpu_is_laid_over_the_compose_file(compose: dict[str, Any]) -> None:
    over = overlay("compose.gpu.yaml")
    (device,) = over["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert over["environment"]["PLUMBLINE_REPOSITORY"] == "/models/gpu_model_repository"
    assert "devices" not in str(compose)


def test_kubernetes_serves_inside_the_cluster(kubernetes: dict[str, dict[str, Any]]) -> None:
    service, policy = kubernetes["Service"]["spec"], kubernetes["NetworkPolicy"]["spec"]
    assert service["type"] == "ClusterIP"
    assert [port["port"] for port in service["ports"]] == [GATEWAY_PORT]
    assert [rule["ports"] for rule in policy["ingress"]] == [[{"port": "gateway"}]]
    assert policy["policyTypes"] == ["Ingress", "Egress"] and policy["egress"] == []
    assert all(rule["from"][0]["podSelector"]["matchLabels"] for rule in policy["ingress"])
    selector = kubernetes["Deployment"]["spec"]["selector"]["matchLabels"]
    labels = kubernetes["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert selector == labels == service["selector"] == policy["podSelector"]["matchLabels"]


def test_kubernetes_probes_and_limits(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    probes = {name: container[f"{name}Probe"] for name in ("startup", "readiness", "liveness")}
    assert {name: probe["httpGet"] for name, probe in probes.items()} == {
        "startup": {"path": "/health/ready", "port": "gateway"},
        "readiness": {"path": "/health/ready", "port": "gateway"},
        "liveness": {"path": "/health/live", "port": "gateway"},
    }
    assert container["ports"] == [{"name": "gateway", "containerPort": GATEWAY_PORT}]
    resources = container["resources"]
    assert resources["requests"].keys() == resources["limits"].keys() == {"cpu", "memory"}


def test_kubernetes_restricts_the_container(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert mounts["/models"]["readOnly"] is True
    assert volumes[mounts["/models"]["name"]]["persistentVolumeClaim"]["readOnly"] is True
    assert volumes[mounts["/dev/shm"]["name"]]["emptyDir"]["medium"] == "Memory"
    assert all("sizeLimit" in v["emptyDir"] for v in volumes.values() if "emptyDir" in v)


def built(folder: str) -> dict[str, dict[str, Any]]:
    """The documents of a folder, by kind."""
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl")
    command = ["kubectl", "kustomize", str(DEPLOY / folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {document["kind"]: document for document in yaml.safe_load_all(done.stdout)}


def container_of(documents: dict[str, dict[str, Any]]) -> dict[str, Any]:
    (container,) = documents.pop("Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(container)


def test_the_gpu_overlay_only_changes_the_deployment() -> None:
    plain, gpu = built("kubernetes"), built("kubernetes-gpu")
    container, without = container_of(gpu), container_of(plain)
    assert gpu == plain
    assert container["resources"]["limits"].pop("nvidia.com/gpu") == 1
    assert container.pop("env") == [
        {"name": "PLUMBLINE_REPOSITORY", "value": "/models/gpu_model_repository"}
    ]
    assert without.pop("env")[0]["value"] == "/models/model_repository"
    assert container == without


def test_the_direct_overlay_replaces_the_gateways_port_by_tritons() -> None:
    direct = built("kubernetes-direct")
    container = container_of(direct)
    assert container["args"] == ["--no-gateway"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert set(ports.values()) == TRITON_PORTS
    for probe, kind in (("startup", "ready"), ("readiness", "ready"), ("liveness", "live")):
        asked = container[f"{probe}Probe"]["httpGet"]
        assert asked == {"path": f"/v2/health/{kind}", "port": "http"}
    service = direct["Service"]["spec"]
    assert {port["targetPort"]: port["port"] for port in service["ports"]} == ports
    (rule,) = direct["NetworkPolicy"]["spec"]["ingress"]
    assert {port["port"] for port in rule["ports"]} == ports.keys()
    assert rule["from"][0]["podSelector"]["matchLabels"]


def test_no_image_has_a_moving_tag() -> None:
    text = "".join(file.read_text() for file in sorted(DEPLOY.rglob("*")) if file.is_file())
    images = re.findall(r"^\s*image: (.*)$", text, re.MULTILINE)
    assert images == ["plumbline-triton:26.07"] * 2
    assert ":latest" not in text
    stages = re.findall(r"^FROM (\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert stages == ["${TRITON_IMAGE}", "base", "base"]
