"""`make gpu-check EMULATED=1` runs in a clean copy with few packages, and finds faults."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from unittest import SkipTest

import pytest

from benchmarks.gpu_check import __main__ as command
from benchmarks.gpu_check import ladders, large, library_file, scoring, trainer
from benchmarks.gpu_check.counters import METRICS, matched, read
from benchmarks.gpu_check.library import KernelLibrary
from benchmarks.gpu_check.parts import PARTS, TOTAL_SECONDS, Part
from benchmarks.gpu_check.place import Place
from benchmarks.gpu_check.report import Report
from tests.conftest import ROOT
from tests.dlrm.kernels.emulated import EmulatedModule

PACKAGES = ("torch", "numpy", "pyarrow", "pydantic")
"""All that the check needs, with what they need."""
SOURCES = ("plumbline", "benchmarks", "tests", "Makefile")
NEED_A_DEVICE = {"graph", "counters", "sanitizer"}


@dataclass(frozen=True)
class Checked:
    """A clean copy of the sources, after the emulated check."""

    folder: Path
    status: int
    said: str

    @property
    def result(self) -> dict[str, Any]:
        (file,) = (self.folder / "out").glob("*-gpu-check-emulated.json")
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return content

    @property
    def library(self) -> Path:
        (file,) = (self.folder / ".gpu-check").glob("emulated-*.so")
        return file


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Checked:
    if shutil.which("g++") is None:
        pytest.skip("there is no g++ to compile the emulated kernels")
    folder = tmp_path_factory.mktemp("gpu-check")
    python = python_with(PACKAGES, folder / "environment")
    copy = folder / "copy"
    copy.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            left_out = shutil.ignore_patterns("*.so", "__pycache__", "results", "golden")
            shutil.copytree(source, copy / name, ignore=left_out)
        else:
            shutil.copy(source, copy / name)
    done = subprocess.run(
        ["make", "gpu-check", "EMULATED=1", f"GPU_PYTHON={python}", "OUT=out"],
        cwd=copy,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    return Checked(copy, done.returncode, done.stdout + done.stderr)


def python_with(packages: tuple[str, ...], folder: Path) -> Path:
    """An interpreter that has these packages and what they need, and no others."""
    venv.create(folder, with_pip=False, symlinks=True)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    waiting, seen = list(packages), set()
    while waiting:
        name = waiting.pop()
        try:
            package = distribution(name)
        except PackageNotFoundError:  # of another platform
            continue
        if name in seen:
            continue
        seen.add(name)
        tops = {file.parts[0] for file in package.files or () if not file.parts[0].startswith("..")}
        for top in tops - {"__pycache__"}:
            if not (site_packages / top).exists():  # several packages share `nvidia`
                (site_packages / top).symlink_to(package.locate_file(top))
        needed = [need for need in package.requires or () if "extra ==" not in need]
        waiting += [re.split(r"[^\w.-]", need)[0] for need in needed]
    return folder / "bin" / "python"


@pytest.fixture
def report(tmp_path: Path) -> Report:
    return Report("tried", tmp_path / "report.json")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_emulated_check_passes_with_few_packages(checked: Checked) -> None:
    assert checked.status == 0, checked.said
    parts = {part["part"]: part for part in checked.result["parts"]}
    assert list(parts) == [part.name for part in PARTS]
    for name, part in parts.items():
        wanted = "skipped" if name in NEED_A_DEVICE else "passed"
        assert part["status"] == wanted, f"{name}: {part['reason']}\n{part['output']}"
        assert bool(part["reason"]) == (name in NEED_A_DEVICE)
    counts = {name: part["checks"] for name, part in parts.items() if part["checks"]}
    assert counts == {
        "device": 1,
        "build": 1,
        "ceilings": 2,
        "ladders": len(list(ladders.rungs(is_small=True))),
        "loader": 10,
        "trainer": 15,
        "scoring": 12,
        "large": 4,
        "times": 10,
        "step": 2,
        "counters": 5,
    }


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_result_has_the_benchmarks_form_and_a_page(checked: Checked) -> None:
    result = checked.result
    assert result["benchmark"] == "gpu_check" and result["command"] == "make gpu-check EMULATED=1"
    assert {"date", "commit", "cpu", "threads", "versions", "notes", "targets"} <= result.keys()
    cases = {case["case"]: case for case in result["cases"]}
    forward = cases["interaction forward bf16"]
    assert forward["sides"].keys() == {"ours", "wmma", "bmm and gather", "copy of the bytes"}
    (page,) = (checked.folder / "out").glob("*.md")
    text = page.read_text(encoding="utf-8")
    assert "| A step in a CUDA graph | skipped |" in text
    assert "| Python | 3." in text and "| interaction forward bf16 |" in text


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_library_is_built_once(checked: Checked, monkeypatch: pytest.MonkeyPatch) -> None:
    built = {part["part"]: part for part in checked.result["parts"]}["build"]
    assert not built["notes"]
    monkeypatch.setattr(library_file, "FOLDER", checked.folder / ".gpu-check")
    assert library_file.library_file(is_emulated=True) == checked.library


def _lose(*arguments: object) -> None:
    """A kernel that does nothing."""


FAULTS: list[tuple[str, Callable[[Place, Report], None], str]] = [
    (
        "interaction_forward",
        ladders.check,
        "interaction, GENERAL, torch.float32.* is no exact copy",
    ),
    ("interaction_backward", trainer.check, "fp32: (a loss is .* off|the tables are nan)"),
    ("embedding_update", trainer.check, "fp32: a loss is .* off the CPU's"),
    ("scoring_score", scoring.check, "fp32: scores are .* off the CPU's"),
    ("embedding_update", large.check, "a far row's step is wrong"),
    ("embedding_gather", large.check, "a look-up of a far row is wrong"),
]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("kernel", "check", "says"), FAULTS, ids=[f"{k}, {c.__module__}" for k, c, _ in FAULTS]
)
def test_a_kernel_that_does_nothing_is_found(
    checked: Checked,
    report: Report,
    kernel: str,
    check: Callable[[Place, Report], None],
    says: str,
) -> None:
    library = EmulatedModule(checked.library)
    library.emulate()
    setattr(library, kernel, _lose)
    with pytest.raises(AssertionError, match=says):
        check(Place("cpu", library, True), report)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_functions_are_those_that_python_calls(checked: Checked) -> None:
    """api.h, as it is read, and the stub of the module have the same functions and parameters."""
    stub = (ROOT / "plumbline" / "dlrm" / "_kernels_cuda.pyi").read_text(encoding="utf-8")
    library = KernelLibrary(checked.library)
    functions = [node for node in ast.parse(stub).body if isinstance(node, ast.FunctionDef)]
    for function in functions:
        if function.name == "resources":  # of the module alone
            continue
        assert hasattr(library, function.name)
        parameters = getattr(library.library, f"plumbline_{function.name}").argtypes
        assert len(parameters) == len(function.args.args), function.name


def test_without_a_library_a_part_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library_file, "FOLDER", tmp_path)
    with pytest.raises(SkipTest, match=r"the kernels are not built: there is no kernels-\w+\.so"):
        Place.open(is_emulated=False, is_small=False)


def test_the_limits_are_within_eight_minutes_and_every_part_is_there() -> None:
    assert sum(part.seconds for part in PARTS) <= TOTAL_SECONDS
    for part in PARTS:
        assert callable(import_module(f"benchmarks.gpu_check.{part.name}").check)


Run = Callable[[str, Path, bool], int]


def results_of(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, dict[str, dict[str, Any]]]:
    """Status, and the results by part, of the whole command with another way to run a part."""
    monkeypatch.setattr(command, "run_part", run)
    status = command.main(["--out", str(folder)])
    (file,) = folder.glob("*-gpu-check.json")
    parts = json.loads(file.read_text(encoding="utf-8"))["parts"]
    return status, {part["part"]: part for part in parts}


def test_a_part_that_fails_or_dies_does_not_end_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(name: str, file: Path, is_emulated: bool) -> int:
        report = Report(name, file)
        if name == "ladders":
            os.write(2, b"seen on the page\n")
            report.end("failed", "AssertionError: wrong")
            return 1
        if name == "large":
            report.note("found before")
            os._exit(9)
        report.end("passed")
        return 0

    status, parts = results_of(run, tmp_path, monkeypatch)
    assert status == 1
    ladders = parts["ladders"]
    assert (ladders["status"], ladders["output"]) == ("failed", "seen on the page")
    assert parts["large"]["status"] == "failed" and parts["large"]["notes"] == ["found before"]
    assert parts["large"]["reason"] == "its process ended with status 9"
    others = {part["status"] for name, part in parts.items() if name not in ("ladders", "large")}
    assert others == {"passed"}
    (page,) = tmp_path.glob("*.md")
    text = page.read_text(encoding="utf-8")
    assert "| **failed** |" in text and "seen on the page" in text


def test_without_its_kernels_the_rest_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(name: str, file: Path, is_emulated: bool) -> int:
        Report(name, file).end("failed" if name == "build" else "passed", "no nvcc")
        return 0

    status, parts = results_of(run, tmp_path, monkeypatch)
    assert status == 1
    assert parts["device"]["status"] == "passed" and parts["build"]["status"] == "failed"
    rest = [part for name, part in parts.items() if name not in ("device", "build")]
    assert {part["status"] for part in rest} == {"skipped"}
    assert {part["reason"] for part in rest} == {"part build failed"}


def test_a_part_that_takes_too_long_ends_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"

    def run(name: str, file: Path, is_emulated: bool) -> int:
        report = Report(name, file)
        process = subprocess.Popen(["sleep", "600"])
        started.write_text(str(process.pid))
        report.note("found before")
        time.sleep(600)
        return 0

    monkeypatch.setattr(command, "run_part", run)
    result = command._run(Part("large", 3, "tried"), is_emulated=False)
    assert result["status"] == "timed out" and result["reason"] == "took more than 3 s"
    assert result["notes"] == ["found before"]
    for _ in range(100):
        if not Path(f"/proc/{started.read_text()}").exists():
            return
        state = Path(f"/proc/{started.read_text()}/stat").read_text().split()[2]
        if state == "Z":  # ended, and nobody has asked yet
            return
        time.sleep(0.05)
    pytest.fail("what the part had started goes on")


RAW = """\
==PROF== Connected to process 7
"ID","Process ID","Kernel Name","Block Size","{names}"
"","","","","byte","inst","","nsecond"
"0","7","void plumbline::interaction_forward_tensor<__half>(int)","(128, 1, 1)","1,000","5","0","7"
"1","7","void plumbline::embedding_gather<float, __half>(int)","(128, 1, 1)","2000.5","6","1","8"
"2","7","void plumbline::embedding_gather<__half, __half>(int)","(128, 1, 1)","3000","7","2","9"
"3","7","void plumbline::embedding_update_parts<float>(int)","(128, 1, 1)","100","1","1","1"
"4","7","void plumbline::embedding_update_spans<float>(int)","(128, 1, 1)","10","2","2","2"
"""


def test_ncus_counters_are_read_and_matched_with_their_calls() -> None:
    """In the form that the manual of ncu shows; ncu itself has not run here."""
    made = [
        ["forward", "interaction_forward", "900"],
        ["gather one", "embedding_gather", "1900"],
        ["gather two", "embedding_gather", "2900"],
        ["update", "embedding_update", "100"],
    ]
    counted = read(RAW.format(names='","'.join(METRICS)).splitlines())
    bytes_of = {
        name: (size, one.values["dram__bytes.sum"]) for name, size, one in matched(made, counted)
    }
    assert bytes_of == {
        "forward": (900, 1000.0),
        "gather one": (1900, 2000.5),
        "gather two": (2900, 3000.0),
        "update": (100, 110.0),
    }
    with pytest.raises(AssertionError, match="wanted 1 kernels interaction_forward, ncu counted"):
        matched(made, counted[1:])
