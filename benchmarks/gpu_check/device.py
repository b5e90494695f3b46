"""Versions, and what the device is."""

from __future__ import annotations

import re
import subprocess
import sys

import torch

from benchmarks.gpu_check.library_file import find_tool
from benchmarks.gpu_check.report import Report

TOOLS = ("nvcc", "ncu", "compute-sanitizer")


def check(is_emulated: bool, report: Report) -> None:
    """Fails if torch does not find a device, unless the kernels are emulated."""
    rows = [["Python", sys.version.split()[0]], ["torch", torch.__version__]]
    rows.append(["CUDA of torch", torch.version.cuda or "none: this torch is for CPUs"])
    rows += [[tool, _version(tool)] for tool in TOOLS]
    rows.append(["driver", _driver()])
    if torch.cuda.is_available():
        rows += _device()
    report.table("Versions and device", ["what", "is"], rows)
    if is_emulated:
        report.note("The kernels run on the CPU, on an emulated device of compute capability 9.0.")
    elif not torch.cuda.is_available():
        raise RuntimeError(
            f"torch {torch.__version__} finds no CUDA device. Wanted a driver, a device and a "
            f"torch that is built for CUDA, got one whose CUDA is {torch.version.cuda}. On a CPU "
            "use EMULATED=1"
        )
    report.checked()


def _device() -> list[list[str]]:
    device = torch.cuda.get_device_properties(0)
    return [
        ["device", device.name],
        ["compute capability", f"{device.major}.{device.minor}"],
        ["processors", str(device.multi_processor_count)],
        ["memory", f"{device.total_memory / 2**30:.1f} GiB"],
        ["L2 cache", f"{device.L2_cache_size / 2**20:.0f} MiB"],
        ["shared memory of a block", f"{device.shared_memory_per_block_optin / 2**10:.0f} KiB"],
    ]


def _version(tool: str) -> str:
    found = find_tool(tool)
    if found is None:
        return "not found"
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"(?:V|[Vv]ersion )(\d+(?:\.\d+)+)", said)
    return version[1] if version else said.strip()


def _driver() -> str:
    found = find_tool("nvidia-smi")
    if found is None:
        return "nvidia-smi not found"
    asked = [found, "--query-gpu=driver_version", "--format=csv,noheader"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    return said.strip() or "nvidia-smi finds none"
