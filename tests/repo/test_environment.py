"""The locks are complete and can be solved, and everything that names their versions agrees."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
CPU, MERLIN, GPU, DISTRIBUTED, SPARK, DOCS = (
    ROOT / f"requirements{name}.lock"
    for name in ("", "-merlin", "-gpu", "-distributed", "-spark", "-docs")
)
LOCKS = (CPU, MERLIN, GPU, DISTRIBUTED, SPARK, DOCS)
PYTHONS = ("3.10", "3.11", "3.12")
PLATFORM = "x86_64-manylinux_2_35"

OF_TORCH = re.compile(r"nvidia-(?!.*-cu12$).*|cuda-toolkit|triton")
"""What a torch build with CUDA brings, pinned by itself."""

OVERRIDDEN = {("merlin-core", "pandas"): "2.2.3"}
"""The requirements of Merlin's packages that are not met, and what works in their place."""

NEWEST_GCC = {"12.4": 13, "12.5": 13, "12.6": 13, "12.8": 14, "12.9": 14}
"""The newest GCC that nvcc takes, by CUDA version (`crt/host_config.h`)."""


def pins(*locks: Path, python: str) -> dict[str, str]:
    """Canonical name to version, for one Python."""
    found = {}
    for lock in locks:
        for line in lock.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                pin = Requirement(line)
                if pin.marker is None or pin.marker.evaluate({"python_version": python}):
                    name = canonicalize_name(pin.name)
                    assert name not in found, f"{name} is pinned twice for Python {python}"
                    found[name] = str(pin.specifier).removeprefix("==")
    return found


def resolve(python: str, *requirements: str) -> subprocess.CompletedProcess[str]:
    """Solve for a Python on Linux, with what these requirements need; nothing is installed."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "uv", "pip", "compile", "-", "--no-header", "--no-annotate"),
            *("--quiet", "--color", "never", "--python-version", python),
            *("--python-platform", PLATFORM),
        ],
        input="\n".join(requirements),
        capture_output=True,
        text=True,
        timeout=150,
    )


def solved(done: subprocess.CompletedProcess[str]) -> bool:
    """Whether there is a solution; the test is skipped where no package index answers."""
    if done.returncode == 0:
        return True
    message = done.stderr.strip()
    if "No solution found" in message:
        return False
    if re.search("(?i)failed to fetch|error sending request|connect|timed out|offline", message):
        pytest.skip(f"no package index can be reached: {message.splitlines()[0]}")
    raise AssertionError(message)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_pins_every_line_exactly(lock: Path) -> None:
    lines = lock.read_text(encoding="utf-8").splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    assert pinned
    for pin in pinned:
        assert re.fullmatch(r"[\w.-]+==[\w.]+(; python_version (<|>=) \"3\.11\")?", pin), pin


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_locks_can_be_solved_together_and_are_complete() -> None:
    """For each Python: the CPU's, the GPU's and the site's set. Nothing that they need lacks."""
    together = (CPU, GPU, DOCS)
    with ThreadPoolExecutor() as threads:
        ends = dict(
            zip(
                PYTHONS,
                threads.map(
                    lambda p: resolve(p, *(lock.read_text() for lock in together)), PYTHONS
                ),
                strict=True,
            )
        )
    for python, end in ends.items():
        assert solved(end), f"Python {python}: {end.stderr}"
        needed = {}
        for line in end.stdout.splitlines():
            pin = Requirement(line)
            needed[canonicalize_name(pin.name)] = str(pin.specifier).removeprefix("==")
        pinned = pins(*together, python=python)
        unpinned = {name for name in needed.keys() - pinned.keys() if not OF_TORCH.fullmatch(name)}
        assert not unpinned, f"Python {python}: a lock should pin {sorted(unpinned)}"
        assert pinned.items() <= needed.items()


@pytest.mark.slow
def test_a_set_without_a_solution_is_told() -> None:
    assert not solved(resolve("3.12", "cudf-cu12==24.12.0", "pandas==1.5.3"))


def test_what_is_installed_is_what_the_locks_pin_and_fits_together() -> None:
    """Also Merlin's packages, which are installed without a look at their requirements."""
    installed = {canonicalize_name(d.metadata["Name"]): d for d in distributions()}
    pinned = pins(CPU, MERLIN, python=f"{sys.version_info.major}.{sys.version_info.minor}")
    versions = {name: one.version.partition("+")[0] for name, one in installed.items()}
    assert pinned.items() <= versions.items()
    unmet = {}
    for name in pinned:
        for line in installed[name].requires or ():
            needed = Requirement(line)
            if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
                continue
            other = canonicalize_name(needed.name)
            version = installed[other].version if other in installed else None
            if version is None or not needed.specifier.contains(version, prereleases=True):
                unmet[name, other] = version
    assert unmet == OVERRIDDEN


def test_what_training_on_several_processes_needs_is_in_the_locks() -> None:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    pinned = pins(CPU, DISTRIBUTED, python=python)
    installed = {canonicalize_name(d.metadata["Name"]): d for d in distributions()}
    if "torchrec" not in installed:
        pytest.skip("TorchRec is not installed: make env DISTRIBUTED=1")
    unmet = set()
    for name in pins(DISTRIBUTED, python=python).keys() & installed.keys():
        assert installed[name].version.partition("+")[0] == pinned[name]
        for line in installed[name].requires or ():
            needed = Requirement(line)
            other = canonicalize_name(needed.name)
            if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
                continue
            if not needed.specifier.contains(pinned.get(other, ""), prereleases=True):
                unmet.add((name, other))
    assert unmet == {("torchrec", "torchmetrics")}


def test_conda_gives_what_the_locks_need() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    versions = {}
    for line in environment["dependencies"]:
        name, _, versions[name] = line.partition("=")
    assert environment["channels"][0] == "conda-forge"
    assert versions["python"] in PYTHONS
    cuda = versions["cuda-version"]
    assert versions["cuda-nvcc"] == versions["cuda-libraries"] == cuda
    major = cuda.partition(".")[0]
    built_for = re.findall(r"-cu(?:da)?(\d+)x?$", "\n".join(pins(GPU, python="3.12")), re.MULTILINE)
    assert set(built_for) == {major}
    assert int(versions["gxx_linux-64"]) == NEWEST_GCC[cuda]
    assert Version(pins(GPU, python="3.12")["cuda-python"]).major == int(major)


def test_every_place_names_the_same_pythons() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    oldest, newest = PYTHONS[0], PYTHONS[-1]
    assert f'requires-python = ">={oldest},<3.{int(newest.partition(".")[2]) + 1}"' in project
    script = (ROOT / "find-python.sh").read_text(encoding="utf-8")
    assert f"for candidate in {' '.join(f'python{p}' for p in reversed(PYTHONS))} " in script
    low, high = (version.replace(".", ", ") for version in (oldest, newest))
    assert f"not ({low}) <= sys.version_info[:2] <= ({high})" in script
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    tried = [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| 3.1")]
    assert tried == list(PYTHONS)
