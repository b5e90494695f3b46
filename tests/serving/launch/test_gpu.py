"""A repository for GPUs is not started where one is missing, and the error says what is."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from plumbline.base.device import Missing
from plumbline.commands import run_server
from plumbline.serving.errors import ServerError
from plumbline.serving.launch import gpu
from plumbline.serving.launch.server_options import ServerOptions
from tests.serving.repository.test_gpu_repository import KINDS, SETTINGS, exported

NO_DRIVER = Missing("the CUDA driver finds no device", "Install NVIDIA's driver for the GPU")
NO_KERNELS = Missing("the CUDA kernels were not built", "Install nvcc")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return exported(tmp_path, KINDS, SETTINGS.model_copy(update={"gpu_fused": "bf16"}))


def machine(
    monkeypatch: pytest.MonkeyPatch, driver: Missing | None, kernels: Missing | None
) -> None:
    monkeypatch.setattr(gpu, "missing_driver", lambda: driver)
    monkeypatch.setattr(gpu, "missing_cuda_module", lambda: kernels)


def test_the_driver_is_missing(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, NO_DRIVER, None)
    wanted = (
        "wanted a GPU for ctr_dlrm, ctr_fused, but the CUDA driver finds no device. Install "
        "NVIDIA's driver for the GPU, or serve the repository for CPUs."
    )
    with pytest.raises(ServerError, match=f"gpu_model_repository: {wanted}$"):
        gpu.require_gpu(repository)


def test_the_kernels_are_missing(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, None, NO_KERNELS)
    with pytest.raises(ServerError, match="ctr_fused, but the CUDA kernels were not built"):
        gpu.require_gpu(repository)


def test_onnx_runtime_alone_needs_no_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, None, NO_KERNELS)
    gpu.require_gpu(exported(tmp_path, KINDS))


def test_nothing_is_missing(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, None, None)
    gpu.require_gpu(repository)


def test_a_repository_for_cpus_needs_no_gpu(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, NO_DRIVER, NO_KERNELS)
    gpu.require_gpu(repository.with_name("model_repository"))


def test_the_launcher_says_so_before_it_starts_a_server(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, NO_DRIVER, None)
    monkeypatch.setattr(run_server, "_serve", lambda *_: pytest.fail("a server was started"))
    server = ServerOptions()
    launch = run_server.Launch(server, None, ready_seconds=1.0, check_seconds=1.0)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(ServerError, match=r"wanted a GPU for ctr_dlrm, ctr_fused, but"):
            run_server.run_server(repository, launch)
    finally:
        signal.signal(signal.SIGTERM, before)
