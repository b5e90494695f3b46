"""A pytest plugin that tries every workflow that a test fits: see `benchmarks.nvtabular_tests`.

`--cases FILE` is where it appends a line of JSON for every call of `Workflow.fit`. The test goes on
with what NVTabular's own `fit` returns or raises.
"""

from __future__ import annotations

import copy
import functools
import importlib.util
import json
import os
import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.nvtabular_tests_case import RAW, Fit, Outcome, tried
from plumbline.nvtabular.library import Dataset, Serial, Workflow
from plumbline.nvtabular.quiet import quiet

FITS = Workflow.fit


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cases", type=Path, help="the file that gets a line of JSON for each fit")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    if importlib.util.find_spec("asvdb") is None:
        sys.modules["asvdb"] = _asvdb()


def pytest_configure(config: pytest.Config) -> None:
    os.chdir(tempfile.mkdtemp(dir="."))  # tests write files there
    Workflow.fit = _trying(config.getoption("--cases"))


def pytest_unconfigure() -> None:
    Workflow.fit = FITS


def _asvdb() -> types.ModuleType:
    """What NVTabular's conftest.py imports to store timings, which no test of a workflow needs."""
    module = types.ModuleType("asvdb")
    vars(module).update(ASVDb=None, BenchmarkInfo=None, utils=None)
    return module


def _trying(cases: Path) -> Callable[[Workflow, Dataset], Workflow]:
    """`Workflow.fit`, which then tries the workflow and writes what came of it."""

    @functools.wraps(FITS)
    def fit(workflow: Workflow, dataset: Dataset) -> Workflow:
        before = copy.deepcopy(workflow)
        error: Exception | None = None
        try:
            FITS(workflow, dataset)
        except Exception as raised:  # noqa: BLE001 - it is raised again below
            error = raised
        Workflow.fit = FITS
        try:
            outcome = tried(_fit(before, workflow, dataset, error))
        except Exception as failure:  # noqa: BLE001 - no case may be lost
            outcome = Outcome(RAW, f"its rows cannot be read: {type(failure).__name__}: {failure}")
        finally:
            Workflow.fit = fit
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
        with cases.open("a", encoding="utf-8") as file:
            file.write(
                json.dumps({"test": test, "outcome": outcome.kind, "detail": outcome.detail}) + "\n"
            )
        if error is not None:
            raise error
        return workflow

    return fit


def _fit(before: Workflow, after: Workflow, dataset: Dataset, error: Exception | None) -> Fit:
    with quiet(), Serial():
        fit = Fit(before, dataset.to_ddf().compute().reset_index(drop=True))
        if error is None:
            try:
                fit.encoded = copy.deepcopy(after).transform(dataset).to_ddf().compute()
                fit.fitted = after
            except Exception as raised:  # noqa: BLE001 - NVTabular's own failure
                error = raised
    fit.failure = "" if error is None else f"{type(error).__name__}: {error}"
    return fit
