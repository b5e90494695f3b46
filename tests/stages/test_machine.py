"""Device and engine for every combination of what is requested and what a machine has."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from plumbline.base.device import Missing, cuda_devices
from plumbline.base.errors import PlumblineError
from plumbline.commands import options
from plumbline.dlrm.ops import library, missing_cuda
from plumbline.nvtabular.missing_cudf import missing_cudf
from plumbline.stages.machine import Choice, Machine, choose
from plumbline.stages.parent import engine_of_day
from plumbline.stages.run import DEFAULT_CONFIG
from tests.conftest import Command


def there() -> None:
    return None


def never() -> None:
    raise AssertionError("asked without need")


def lacks(what: str) -> Callable[[], Missing]:
    return lambda: Missing(what, f"Install {what}")


WHOLE = Machine(there, there, there, there)
NO_GPU = Machine(lacks("a driver"), never, never, never)
CPU_TORCH = Machine(there, lacks("CUDA for torch"), never, never)
NO_NVCC = Machine(there, there, lacks("nvcc"), never)
NO_CUDF = Machine(there, there, there, lacks("cuDF"))


@pytest.mark.parametrize(
    ("device", "engine", "scheduler", "machine", "used"),
    [
        ("auto", "auto", None, NO_GPU, ("cpu", "native", "cpu")),
        ("auto", "auto", "local", NO_GPU, ("cpu", "nvtabular", "cpu")),
        ("auto", "nvtabular", None, NO_GPU, ("cpu", "nvtabular", "cpu")),
        ("cpu", "nvtabular", "tcp://h:1", Machine(never, never, never, never),
         ("cpu", "nvtabular", "cpu")),
        ("cpu", "native", None, Machine(never, never, never, never), ("cpu", "native", "cpu")),
        ("auto", "auto", None, WHOLE, ("cuda", "nvtabular", "cuda")),
        ("cuda", "nvtabular", "local", WHOLE, ("cuda", "nvtabular", "cuda")),
        ("cuda", "native", None, WHOLE, ("cuda", "native", "cuda")),
        ("cuda", "native", None, NO_CUDF, ("cuda", "native", "cpu")),
    ],
)  # fmt: skip
def test_what_is_used_without_a_note(device, engine, scheduler, machine, used) -> None:
    assert choose(device, engine, scheduler, machine) == Choice(*used, notes=())


@pytest.mark.parametrize(
    ("device", "engine", "scheduler", "machine", "used", "note"),
    [
        ("auto", "auto", None, CPU_TORCH, ("cpu", "native", "cpu"),
         "there is a GPU, but CUDA for torch: the CPU is used. Install CUDA for torch."),
        ("auto", "auto", "local", NO_NVCC, ("cpu", "nvtabular", "cpu"),
         "there is a GPU, but nvcc: the CPU is used. Install nvcc."),
        ("auto", "auto", None, NO_CUDF, ("cuda", "native", "cpu"),
         "cuDF: the native engine encodes the features on the CPU. Install cuDF."),
        ("cuda", "auto", None, NO_CUDF, ("cuda", "native", "cpu"),
         "cuDF: the native engine encodes the features on the CPU. Install cuDF."),
        ("auto", "nvtabular", None, NO_CUDF, ("cuda", "nvtabular", "cpu"),
         "cuDF: NVTabular on pandas encodes the features on the CPU. Install cuDF."),
        ("auto", "auto", "local", NO_CUDF, ("cuda", "nvtabular", "cpu"),
         "cuDF: NVTabular on pandas encodes the features on the CPU. Install cuDF."),
    ],
)  # fmt: skip
def test_what_is_missing_is_said_in_one_line(
    device, engine, scheduler, machine, used, note
) -> None:
    assert choose(device, engine, scheduler, machine) == Choice(*used, notes=(note,))


@pytest.mark.parametrize(
    ("engine", "machine", "message"),
    [
        ("auto", NO_GPU, "--device cuda: a driver. Install a driver, or use --device cpu."),
        ("auto", CPU_TORCH, "--device cuda: CUDA for torch. Install CUDA for torch, or use"),
        ("native", NO_NVCC, "--device cuda: nvcc. Install nvcc, or use --device cpu."),
        ("nvtabular", NO_CUDF, "--device cuda with --engine nvtabular: cuDF. Install cuDF, or use "
         "--engine native."),
    ],
)  # fmt: skip
def test_cuda_with_something_missing_is_refused(engine, machine, message) -> None:
    with pytest.raises(PlumblineError) as raised:
        choose("cuda", engine, None, machine)
    assert str(raised.value).startswith(message)


def test_a_scheduler_without_use_is_refused() -> None:
    with pytest.raises(PlumblineError, match="--scheduler local: a Dask cluster is for --engine"):
        choose("cpu", "native", "local")


SPARK = Machine(never, never, never, never, there)
NO_SPARK = Machine(never, never, never, never, lacks("Java"))


@pytest.mark.parametrize(
    ("device", "engine", "master", "machine", "used"),
    [
        ("cpu", "spark", None, SPARK, ("cpu", "spark", "cpu")),
        ("cpu", "auto", "local[2]", SPARK, ("cpu", "spark", "cpu")),
        ("cpu", "spark", "yarn", SPARK, ("cpu", "spark", "cpu")),
        ("auto", "spark", None, replace(NO_GPU, spark=there), ("cpu", "spark", "cpu")),
        ("auto", "spark", None, replace(WHOLE, spark=there), ("cuda", "spark", "cuda")),
        ("cuda", "spark", None, replace(NO_CUDF, spark=there), ("cuda", "spark", "cpu")),
    ],
)
def test_spark_is_used(device, engine, master, machine, used) -> None:
    assert choose(device, engine, None, machine, master=master) == Choice(*used, notes=())


@pytest.mark.parametrize(
    ("engine", "scheduler", "master", "message"),
    [
        ("spark", None, None, "--engine spark: Java. Install Java, or use --engine native."),
        ("auto", None, "yarn", "--engine spark: Java. Install Java, or use --engine native."),
        ("native", None, "yarn", "--master yarn: a Spark master is for --engine spark, and "
         "--engine native was given. Leave one of the two out."),
        ("nvtabular", None, "yarn", "--master yarn: a Spark master is for --engine spark, and "
         "--engine nvtabular was given. Leave one of the two out."),
        ("spark", "local", None, "--scheduler local: a Dask cluster is for --engine nvtabular, and "
         "--engine spark was given. Leave one of the two out."),
        ("auto", "local", "yarn", "--master yarn: a Spark master is for --engine spark, and "
         "--scheduler was given. Leave one of the two out."),
    ],
)  # fmt: skip
def test_spark_is_refused(engine, scheduler, master, message) -> None:
    with pytest.raises(PlumblineError) as raised:
        choose("cpu", engine, scheduler, NO_SPARK, master=master)
    assert str(raised.value) == message


def test_the_command_prints_the_note_once(monkeypatch, capsys) -> None:
    real = options.choose
    monkeypatch.setattr(options, "choose", lambda *asked, **more: real(*asked, NO_CUDF, **more))
    run, _ = options.run_of(DEFAULT_CONFIG, None, None, "auto", None, "fused", "auto")
    assert (run.device, run.engine, run.engine_device) == ("cuda", "native", "cpu")
    assert capsys.readouterr().err.count("the native engine encodes the features on the CPU") == 1


@pytest.mark.skipif(cuda_devices() > 0, reason="there is a CUDA device")
def test_this_machine_is_asked() -> None:
    assert choose("auto", "auto", None) == Choice("cpu", "native", "cpu", ())
    with pytest.raises(PlumblineError, match="--device cuda: the CUDA driver finds no device"):
        choose("cuda", "auto", None)


@pytest.mark.skipif(cuda_devices() > 0, reason="there is a CUDA device")
def test_the_command_ends_with_status_2(command: Command) -> None:
    ended = command("plumbline/__main__.py", "run", "--device", "cuda")
    assert ended.returncode == 2
    assert ended.stderr == (
        "error: --device cuda: the CUDA driver finds no device. Install NVIDIA's driver for the "
        "GPU, or use --device cpu.\n"
    )


def test_a_build_of_torch_without_cuda(monkeypatch) -> None:
    monkeypatch.setattr(missing_cuda.torch.version, "cuda", None)
    missing = missing_cuda.missing_torch()
    assert missing is not None and missing.what.endswith(" is built without CUDA")
    monkeypatch.setattr(missing_cuda.torch.version, "cuda", "99.0")
    monkeypatch.setattr(missing_cuda.torch.cuda, "is_available", lambda: False)
    missing = missing_cuda.missing_torch()
    assert missing is not None and "built for CUDA 99.0, does not work with" in missing.what
    monkeypatch.setattr(missing_cuda.torch.cuda, "is_available", lambda: True)
    assert missing_cuda.missing_torch() is None


def test_kernels_that_were_not_built_or_are_turned_off(monkeypatch) -> None:
    monkeypatch.setattr(library, "_cuda_module", lambda: None)
    missing = missing_cuda.missing_kernels()
    assert missing is not None and "were not built" in missing.what
    monkeypatch.setenv("PLUMBLINE_NATIVE", "0")
    missing = missing_cuda.missing_kernels()
    assert missing is not None and missing.remedy == "Unset PLUMBLINE_NATIVE"


def test_kernels_without_code_for_the_device(monkeypatch) -> None:
    module = SimpleNamespace(resources=lambda: "entry 'a' for 'sm_80'\nentry 'a' for 'sm_120'")
    monkeypatch.setattr(library, "_cuda_module", lambda: module)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 9))
    assert missing_cuda.missing_kernels() is None
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 0))
    missing = missing_cuda.missing_kernels()
    assert missing is not None
    assert missing.what == "the CUDA kernels were built for sm_80, sm_120, and the GPU is sm_70"


@pytest.mark.skipif(library.cuda_module() is None, reason="the CUDA kernels were not built")
@pytest.mark.parametrize(("capability", "is_missing"), [((9, 0), False), ((6, 1), True)])
def test_the_kernels_say_what_they_were_built_for(monkeypatch, capability, is_missing) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert (missing_cuda.missing_kernels() is not None) == is_missing


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (ModuleNotFoundError("No module named 'cudf'", name="cudf"), "cuDF is not installed"),
        (ModuleNotFoundError("No module named 'rmm'", name="rmm"), "cuDF does not import (No mod"),
        (RuntimeError("driver too old"), "cuDF does not import (driver too old)"),
    ],
)
def test_cudf_that_does_not_import(error: Exception, what: str, monkeypatch) -> None:
    real = builtins.__import__

    def failing(name: str, *rest: Any) -> Any:
        if name == "cudf":
            raise error
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", failing)
    missing = missing_cudf()
    assert missing is not None and missing.what.startswith(what)


def test_cudf_that_imports(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "cudf", sys)
    assert missing_cudf() is None


@pytest.mark.parametrize(
    ("engine", "scheduler", "master", "asked"),
    [
        ("nvtabular", None, None, "--engine nvtabular"),
        ("spark", None, None, "--engine spark"),
        ("auto", "local", None, "--scheduler local"),
        ("auto", None, "local[2]", r"--master local\[2\]"),
    ],
)
def test_a_day_is_of_the_native_engine(engine, scheduler, master, asked) -> None:
    with pytest.raises(PlumblineError, match=f"^{asked}: a day is appended by the native engine"):
        engine_of_day(engine, scheduler, master)
