"""The wheel installs only the package `plumbline`, and its command works in any folder."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import yaml

from plumbline.serving.gateway.page.files import FOLDER
from tests.conftest import ROOT
from tests.e2e.test_run_all import TINY

SHIPPED = ("workflows", "configs", "serving/models", "serving/gpu_models")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel without its native modules, which take minutes to compile."""
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"),
            *("--no-build-isolation", "-C", "wheel.cmake=false", "-w", folder, ROOT),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (file,) = folder.glob("plumbline-*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def python(installed: Path, cwd: Path, code: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run code with the installed wheel; without `site`, which would find the checkout."""
    packages = [str(installed), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    return subprocess.run(
        [sys.executable, "-S", "-c", code, *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(packages)},
        check=False,
    )


SCRIPT = "import sys; from plumbline.cli import main; sys.argv[0] = 'plumbline'; main()"
"""The console script, as written by an installer."""


def test_only_the_package_is_installed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (entry_points,) = [name for name in names if name.endswith("entry_points.txt")]
        script = archive.read(entry_points).decode()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"plumbline"}
    assert "plumbline = plumbline.cli:main" in script
    assert not [name for name in names if "__pycache__" in name or name.endswith((".cpp", ".cu"))]
    page = {f"plumbline/serving/gateway/page/static/{file.name}" for file in FOLDER.iterdir()}
    assert page and page <= set(names)


def test_files_that_a_user_edits_or_deploys_are_shipped(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    there = {
        f"plumbline/shipped/{file.relative_to(ROOT)}"
        for folder in SHIPPED
        for file in (ROOT / folder).rglob("*")
        if file.suffix in (".py", ".yaml", ".properties")
    }
    assert there == {name for name in names if name.startswith("plumbline/shipped/")}


@pytest.mark.slow
def test_the_command_works_in_any_folder(installed: Path, tmp_path: Path) -> None:
    done = python(installed, tmp_path, SCRIPT, "run", "--help")
    assert done.returncode == 0 and "configs/criteo_synthetic.yaml" in done.stdout
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY, sort_keys=False))
    words = ("run", "--config", "tiny.yaml", "--to", "etl", "--out", "out")
    done = python(installed, tmp_path, SCRIPT, *words)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "etl" / "plan" / "plan.json").is_file()


def test_shipped_files_are_found(installed: Path, tmp_path: Path) -> None:
    code = (
        "from plumbline.base.paths import ROOT, SOURCES\n"
        "from plumbline.stages.run import DEFAULT_CONFIG\n"
        "print(SOURCES, ROOT, DEFAULT_CONFIG.is_file(), sep='\\n')\n"
    )
    done = python(installed, tmp_path, code)
    assert done.stdout.splitlines() == [
        str(installed.resolve()),
        str(installed.resolve() / "plumbline" / "shipped"),
        "True",
    ], done.stderr
