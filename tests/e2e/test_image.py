"""The image's entry, with the image's packages alone, in front of a real server."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from importlib.metadata import distribution
from pathlib import Path

import pytest

from plumbline.base.paths import ROOT
from plumbline.dlrm.ops.library import cpu_module
from plumbline.serving.launch.binary import find_server
from tests.e2e.test_safety import LOOPBACK, addresses_of
from tests.serving.repository.test_gpu_repository import KINDS, exported

DEPLOY = ROOT / "serving" / "deploy"
SECRET = "0123456789abcdef"

GPU_MODELS = """
import sys, types
from pathlib import Path
sys.modules["triton_python_backend_utils"] = types.ModuleType("triton_python_backend_utils")
from plumbline.serving.contract.versions import verify_repository
from serving.gpu_models import ctr_features
verify_repository(Path(sys.argv[1]), large_files=True)
"""

pytestmark = [
    pytest.mark.skipif(cpu_module() is None, reason="the image has the native module"),
    pytest.mark.skipif(
        sys.version_info < (3, 11), reason="Python 3.10 has other pins than the image's 3.12"
    ),
]


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    gpu = exported(tmp_path_factory.mktemp("export"), KINDS)
    return {"cpu": gpu.with_name("model_repository"), "gpu": gpu}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the packages of requirements.txt, the checkout and Triton."""
    folder = tmp_path_factory.mktemp("image") / "venv"
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    lines = (DEPLOY / "requirements.txt").read_text(encoding="utf-8").splitlines()
    for pin in (line for line in lines if not line.startswith("#")):
        for file in distribution(pin.partition("==")[0]).files or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                link = site / file
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(file.locate())
    (site / "checkout.pth").write_text(f"{ROOT}\n")
    wheel = find_server().wheel
    if wheel is None:
        pytest.skip("another Triton is named, and has its backends elsewhere")
    (site / "pytriton").mkdir()
    (site / "pytriton" / "tritonserver").symlink_to(wheel)
    program = folder / "bin" / "plumbline"
    program.write_text(f'#!/bin/sh\nexec {folder}/bin/python3 -m plumbline "$@"\n')
    program.chmod(0o755)
    return folder


@contextmanager
def served(environment: Path, repository: Path, work: Path) -> Iterator[str]:
    """Run the image's entry; yields its line about where it listens."""
    secret = work / "secret"
    secret.write_text(SECRET)
    ports = [f"--{name}-port=0" for name in ("gateway", "http", "grpc", "metrics")]
    running = subprocess.Popen(
        ["sh", str(DEPLOY / "serve.sh"), *ports, "--secret-file", str(secret)],
        cwd=work,
        env={
            "PATH": f"{environment}/bin:{os.environ['PATH']}",
            "HOME": "/nonexistent",
            "PLUMBLINE_REPOSITORY": str(repository),
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    try:
        lines = []
        for line in running.stderr:
            lines.append(line)
            if "Ctrl-C stops it" in line:
                yield line
                break
        else:
            pytest.fail("".join(lines))
    finally:
        running.send_signal(signal.SIGTERM)
        sys.stderr.write(running.communicate(timeout=60)[1])


def ask(port: int, method: str, path: str, **shown: str) -> tuple[int, bytes]:
    row = {column: None for column in KINDS}
    body = json.dumps({"rows": [row, row]}) if method == "POST" else None
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request(method, path, body, {"Content-Type": "application/json", **shown})
        answer = connection.getresponse()
        return answer.status, answer.read()


def wait_until_ready(port: int) -> None:
    give_up = time.monotonic() + 30
    while True:
        with suppress(OSError):
            if ask(port, "GET", "/health/ready")[0] == 200:
                return
        assert time.monotonic() < give_up, "not ready"
        time.sleep(0.05)


@pytest.mark.slow
def test_only_the_gateway_listens_outside_and_scores(
    environment: Path, repositories: dict[str, Path], tmp_path: Path
) -> None:
    with served(environment, repositories["cpu"], tmp_path) as line:
        gateway, *triton = [int(port) for port in re.findall(r":(\d+)", line)]
        assert addresses_of(gateway) == {"00000000"}
        for port in triton:
            assert addresses_of(port) and addresses_of(port) <= LOOPBACK
        wait_until_ready(gateway)
        assert ask(gateway, "GET", "/health/live")[0] == 200
        assert ask(gateway, "POST", "/v1/score")[0] == 401
        status, body = ask(gateway, "POST", "/v1/score", Authorization=f"Bearer {SECRET}")
        assert status == 200, body
        assert len(json.loads(body)["click_probability"]) == 2
        assert b"Try the model" in ask(gateway, "GET", "/")[1]
        for method, path in (("GET", "/v1/page/columns"), ("POST", "/v1/page/explain")):
            status, body = ask(gateway, method, path, Authorization=f"Bearer {SECRET}")
            assert status == 200, body
        accept = [environment / "bin" / "plumbline", "accept", repositories["cpu"]]
        done = subprocess.run([*accept, f"127.0.0.1:{triton[0]}"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_the_gpu_servers_models_need_no_other_package(
    environment: Path, repositories: dict[str, Path]
) -> None:
    command = [environment / "bin" / "python3", "-c", GPU_MODELS, repositories["gpu"]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", [["server", "--help"], ["server", "/nowhere"]])
def test_help_and_errors_need_no_other_package(environment: Path, arguments: list[str]) -> None:
    command = [environment / "bin" / "plumbline", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert "Traceback" not in done.stderr
    assert done.returncode == (0 if "--help" in arguments else 2)
    assert sys.prefix not in done.stderr
