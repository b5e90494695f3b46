"""Dask's settings before its first import, and what cuDF 24.12 lacks."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

from plumbline.base.merlin_imports import complete


def ended(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)


@pytest.mark.parametrize(
    "module",
    [
        "plumbline.nvtabular.library",
        pytest.param("plumbline.dlrm.data.merlin_loader", marks=pytest.mark.slow),
        pytest.param("plumbline.dlrm.train.merlin_model", marks=pytest.mark.slow),
    ],
)
def test_every_way_to_merlin_sets_the_settings(module: str) -> None:
    done = ended(
        f"import {module}, dask, dask.dataframe\n"
        "assert not dask.dataframe._dask_expr_enabled()\n"
        "assert dask.config.get('dataframe.convert-string') is False\n"
    )
    assert done.returncode == 0, done.stderr


TOO_LATE = "import nvtabular\nfrom nvtabular import ops\n"


@pytest.mark.parametrize(
    "reads_data",
    [
        pytest.param(
            "from plumbline.nvtabular.engine import NVTabularEngine\n"
            "NVTabularEngine('cpu', 'single').fit_transform(None, {}, {}, None, None)",
            marks=pytest.mark.slow,
        ),
        "from plumbline.dlrm.data.merlin_loader import MerlinLoader\n"
        "MerlinLoader(None, None, 1, 'cpu')",
    ],
)
def test_settings_that_come_too_late_are_refused_before_data_is_read(reads_data: str) -> None:
    error = ended(TOO_LATE + reads_data).stderr.splitlines()[-1]
    assert "PlumblineError: NVTabular needs Dask's data frames without the query planner" in error
    assert "Import `plumbline.nvtabular.library` first" in error


@pytest.mark.slow
def test_a_graph_compiles_whatever_was_imported_first() -> None:
    done = ended(
        TOO_LATE + "import plumbline\n"
        "plan = plumbline.fit(['city'] >> ops.Categorify(), {'city': ['a', 'b', None]})\n"
        "assert plan.encode({'city': ['b', 'c']})['city'].to_pylist() == [4, 2]\n"
    )
    assert done.returncode == 0, done.stderr


def test_what_merlin_imports_from_cudf() -> None:
    column = ModuleType("cudf.core.column")
    complete(column)
    with pytest.raises(NotImplementedError, match="partitioned by its folders' names"):
        column.build_categorical_column(categories=["a"], codes=[0], ordered=False)
    own = column.build_categorical_column = lambda: None
    complete(column)
    assert column.build_categorical_column is own


CUDF = """
import sys
from types import ModuleType
from unittest.mock import MagicMock
import merlin.core.compat as compat

column = ModuleType("cudf.core.column")
column.as_column = column.build_column = None
compat.cudf = cudf = MagicMock(__version__="24.12.0")
cudf.core.column = column
modules = {"cudf": cudf, "cudf.core": cudf.core, "cudf.core.column": column}
others = ["cudf.api", "cudf.api.types", "cudf.io", "cudf.io.parquet", "cupy", "rmm"]
others += ["dask_cudf", "dask_cudf.io", "dask_cudf.io.parquet"]
sys.modules |= modules | dict.fromkeys(others, MagicMock())
"""
"""cuDF 24.12 for the imports of `merlin.io`: cuDF itself cannot be imported without a device."""


@pytest.mark.slow
def test_merlin_io_is_imported_beside_cudf_24_12() -> None:
    done = ended(
        CUDF + "import dask\ndask.config.set({'dataframe.query-planning': False})\n"
        "import merlin.io.fsspec_utils"
    )
    assert "cannot import name 'build_categorical_column'" in done.stderr.splitlines()[-1]
    done = ended(
        CUDF + "from plumbline.base.merlin_imports import merlin_imports\n"
        "with merlin_imports():\n    import merlin.io.fsspec_utils"
    )
    assert done.returncode == 0, done.stderr
