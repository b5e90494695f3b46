"""The deployment files are as docs/deployment.md describes them; no image is built or run here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from plumbline.dlrm.ops.library import cpu_module
from plumbline.serving.launch.binary import find_server
from tests.serving.repository.test_gpu_repository import KINDS, exported

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "serving" / "deploy"
PORTS = {8000, 8001, 8002}

SERVICE_KEYS = {
    "cap_drop",
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
    "security_opt",
    "shm_size",
    "stop_grace_period",
    "tmpfs",
    "user",
    "volumes",
}
"""Those of the compose specification that are used here."""


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8")))


@pytest.fixture
def compose() -> dict[str, Any]:
    (document,) = documents("compose.yaml")
    (service,) = document["services"].values()
    return dict(service)


@pytest.fixture
def kubernetes() -> dict[str, dict[str, Any]]:
    return {document["kind"]: document for document in documents("kubernetes/plumbline.yaml")}


@pytest.fixture
def pod(kubernetes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return dict(kubernetes["Deployment"]["spec"]["template"]["spec"])


def test_compose_publishes_ports_on_loopback_only(compose: dict[str, Any]) -> None:
    assert compose.keys() <= SERVICE_KEYS
    published = [port.rsplit(":", 1) for port in compose["ports"]]
    assert {(address.split(":")[0], int(port)) for address, port in published} == {
        ("127.0.0.1", port) for port in PORTS
    }


def test_compose_restricts_the_container(compose: dict[str, Any]) -> None:
    (mount,) = compose["volumes"]
    assert mount["read_only"] is True and compose["read_only"] is True
    assert compose["user"] == "1000:1000"
    assert compose["cap_drop"] == ["ALL"]
    assert compose["security_opt"] == ["no-new-privileges:true"]
    limits = compose["deploy"]["resources"]["limits"]
    assert {"memory", "pids"} <= limits.keys() and compose["cpuset"] and compose["shm_size"]
    assert "/v2/health/ready" in compose["healthcheck"]["test"][-1]
    compile(compose["healthcheck"]["test"][-1], "healthcheck", "exec")


def test_a_gpu_is_laid_over_the_compose_file(compose: dict[str, Any]) -> None:
    (document,) = documents("compose.gpu.yaml")
    over = document["services"]["triton"]
    (device,) = over["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert over["environment"]["PLUMBLINE_REPOSITORY"] == "/models/gpu_model_repository"
    assert "devices" not in str(compose)


def test_kubernetes_serves_inside_the_cluster(kubernetes: dict[str, dict[str, Any]]) -> None:
    service, policy = kubernetes["Service"]["spec"], kubernetes["NetworkPolicy"]["spec"]
    assert service["type"] == "ClusterIP"
    assert {port["port"] for port in service["ports"]} == PORTS
    assert policy["policyTypes"] == ["Ingress", "Egress"] and policy["egress"] == []
    assert all(rule["from"][0]["podSelector"]["matchLabels"] for rule in policy["ingress"])
    selector = kubernetes["Deployment"]["spec"]["selector"]["matchLabels"]
    labels = kubernetes["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert selector == labels == service["selector"] == policy["podSelector"]["matchLabels"]


def test_kubernetes_probes_and_limits(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    probes = {name: container[f"{name}Probe"] for name in ("startup", "readiness", "liveness")}
    paths = {name: probe["httpGet"]["path"].rsplit("/")[-1] for name, probe in probes.items()}
    assert paths == {"startup": "ready", "readiness": "ready", "liveness": "live"}
    names = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert set(names.values()) == PORTS
    assert all(probe["httpGet"]["port"] in names for probe in probes.values())
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


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl")
def test_the_gpu_overlay_only_changes_the_deployment() -> None:
    def built(folder: str) -> dict[str, dict[str, Any]]:
        command = ["kubectl", "kustomize", str(DEPLOY / folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return {document["kind"]: document for document in yaml.safe_load_all(done.stdout)}

    plain, gpu = built("kubernetes"), built("kubernetes-gpu")
    (container,) = gpu.pop("Deployment")["spec"]["template"]["spec"]["containers"]
    (without,) = plain.pop("Deployment")["spec"]["template"]["spec"]["containers"]
    assert gpu == plain
    assert container["resources"]["limits"].pop("nvidia.com/gpu") == 1
    assert container.pop("env") == [
        {"name": "PLUMBLINE_REPOSITORY", "value": "/models/gpu_model_repository"}
    ]
    assert without.pop("env")[0]["value"] == "/models/model_repository"
    assert container == without


def test_no_image_has_a_moving_tag() -> None:
    text = "".join(file.read_text() for file in sorted(DEPLOY.rglob("*")) if file.is_file())
    images = re.findall(r"^\s*image: (.*)$", text, re.MULTILINE)
    assert images == ["plumbline-triton:25.07"] * 2
    assert ":latest" not in text
    stages = re.findall(r"^FROM (\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert stages == ["${TRITON_IMAGE}", "base", "base"]


def test_the_servers_options_are_tritons_own() -> None:
    script = (DEPLOY / "serve.sh").read_text(encoding="utf-8")
    used = set(re.findall(r"--[a-z-]+", script[script.index("exec tritonserver") :]))
    assert {"--model-control-mode", "--strict-readiness", "--model-repository"} <= used
    assert "--model-control-mode=none" in script
    server = find_server()
    shown = subprocess.run(
        [str(server.executable), "--help"],
        capture_output=True,
        text=True,
        env=server.environment(),
        check=False,
    )
    assert used <= set(re.findall(r"--[a-z-]+", shown.stdout + shown.stderr))
    subprocess.run(["sh", "-n", str(DEPLOY / "serve.sh")], check=True)
    assert os.access(DEPLOY / "serve.sh", os.X_OK)


def test_the_image_gets_the_sources_of_the_wheel() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {line[1:] for line in ignored if line.startswith("!")}
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    packages = set(re.findall(r'"(\w+)"', re.search(r"wheel\.packages = (.*)", project)[1]))
    shipped = set(re.findall(r'^"([\w/]+)" = "plumbline/shipped/', project, re.MULTILINE))
    built_by = {"pyproject.toml", "README.md", "native", "native/CMakeLists.txt"}
    assert packages | shipped | {"serving"} | built_by == kept
    assert all((ROOT / name).exists() for name in kept)


def requirements() -> set[str]:
    lines = (DEPLOY / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return {line for line in lines if not line.startswith("#")}


def test_the_images_packages_are_the_locks() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert requirements() <= {line for line in lock if ";" not in line}


ONLY_THE_IMAGES = """
import sys, types
from importlib.metadata import packages_distributions

allowed = set(sys.argv[1].split(",")) | {"plumbline"}
refused = {
    module
    for module, owners in packages_distributions().items()
    if not {owner.lower().replace("_", "-") for owner in owners} & allowed
}

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in refused:
            raise ModuleNotFoundError(f"No module named {name!r}: not in the image", name=name)

sys.meta_path.insert(0, Refuse())
sys.modules["triton_python_backend_utils"] = types.ModuleType("triton_python_backend_utils")
import plumbline.serving.check.verify
from plumbline.serving.contract.versions import verify_repository
from serving.gpu_models import ctr_features as _
from serving.models import ctr_dlrm, ctr_features, ctr_fused

from pathlib import Path
from plumbline.dlrm.score.scorer import Scorer
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.plan.plan import read_plan
from plumbline.serving.contract.check_rows import CheckRows
from plumbline.serving.contract.outputs import scored

for repository in sys.argv[2:]:
    verify_repository(Path(repository), large_files=True)
folder = Path(sys.argv[2]) / "ctr_fused" / "1"
encode = OnlineExecutor(read_plan(folder / "plan")).transform
scorer = Scorer.load(folder / "model", None)
check = CheckRows.read(folder / "check.arrow")
check.verify(lambda tensors: scored(scorer, encode(tensors)), "fp32", "check.arrow")
"""


@pytest.mark.skipif(cpu_module() is None, reason="the image has the native module")
def test_the_images_packages_are_enough_to_verify_and_to_serve(tmp_path: Path) -> None:
    repository = exported(tmp_path, KINDS)
    repositories = [repository.with_name("model_repository"), repository]
    names = ",".join(line.split("==")[0] for line in requirements())
    command = [sys.executable, "-c", ONLY_THE_IMAGES, names, *map(str, repositories)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
