"""A new operator is two files: its step in the plan, and its compilation from a graph.

The test copies the package, adds the two files, and runs the operator through both engines and the
online executor in a process that imports the copy.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import plumbline

STEP = '''
"""The square root of a number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plumbline.features.steps.step import NumberStep


@dataclass(frozen=True, slots=True)
class SquareRoot(NumberStep):
    """Missing for numbers below 0 and for missing numbers."""

    op = "square_root"

    def apply(self, values_B: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore"):
            return np.asarray(np.sqrt(values_B))
'''

OPERATOR = '''
"""SquareRoot, an operator of our own."""

from __future__ import annotations

from typing import Any

import numpy as np

from plumbline.features.operators.square_root import SquareRoot as Step
from plumbline.features.steps.chains import Source
from plumbline.nvtabular.library import ops
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.patching.columns import changed


class SquareRoot(ops.Operator):
    """Missing for numbers below 0 and for missing numbers."""

    def transform(self, col_selector: Any, df: Any) -> Any:
        with np.errstate(invalid="ignore"):
            return changed(df, col_selector.names, lambda _, column: np.sqrt(column))


def square_root(at: OperatorCall) -> Source:
    return at.step(Step(), at.numbers(at.output))


OPERATORS = (CompiledOperator(SquareRoot, square_root),)
'''

PROGRAM = """
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import plumbline
from plumbline.base.native import uses_native
from plumbline.columns.typed import TypedParquet, typed_schema
from plumbline.columns.wire import to_tensors
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.engine.native_engine import NativeEngine
from plumbline.features.operators.normalize import Normalize
from plumbline.features.operators.square_root import SquareRoot as Step
from plumbline.features.plan.plan import read_plan
from plumbline.nvtabular.compile import compile_unfitted
from plumbline.nvtabular.engine import NVTabularEngine
from plumbline.nvtabular.errors import UnsupportedOperator
from plumbline.nvtabular.library import Workflow, ops
from plumbline.nvtabular.operators import SUPPORTED
from plumbline.nvtabular.operators.square_root import SquareRoot

folder = Path.cwd()
assert Path(plumbline.__file__).is_relative_to(folder), plumbline.__file__

kinds = {"x": "continuous", "s": "string"}
rows = {"x": [4.0, None, 0.25, -1.0, 9.0], "s": list("abaab"), "click": [0, 1, 0, 1, 0]}
table = pa.table(rows, typed_schema(kinds))
for split in ("train", "test"):
    (folder / "raw" / split).mkdir(parents=True)
    pq.write_table(table, folder / "raw" / split / "part-00000.parquet")
splits = {split: folder / "raw" / split for split in ("train", "test")}


def workflow():
    root = ["x"] >> SquareRoot() >> ops.Rename(name="root")
    normal = ["x"] >> ops.FillMissing(1) >> ops.Clip(min_value=0) >> SquareRoot() >> ops.Normalize()
    return Workflow(root + normal + (["s"] >> ops.Categorify()) + ["click"])


def no_progress(rows):
    pass


native = NativeEngine(compile_unfitted(workflow(), kinds))
native.fit_transform(TypedParquet(splits, kinds), folder / "native", no_progress)
NVTabularEngine("cpu", None).fit_transform(
    workflow(), kinds, splits, folder / "nvtabular", no_progress
)

encoded = pq.read_table(folder / "native" / "test")
np.testing.assert_array_equal(encoded["root"], [2.0, np.nan, 0.5, np.nan, 3.0])
for engine in ("native", "nvtabular"):
    of_engine = pq.read_table(folder / engine / "test")
    assert of_engine["s"] == encoded["s"]
    plan = read_plan(folder / engine / "plan")
    root, normal, _ = plan.outputs
    assert root.chain.steps == (Step(),)
    assert isinstance(normal.chain.steps[-1], Normalize)
    for wanted in ("1", "0"):
        os.environ["PLUMBLINE_NATIVE"] = wanted
        assert uses_native() == (wanted == "1" and os.environ["BUILT"] == "1")
        executor = OnlineExecutor(plan)
        online = executor.transform(to_tensors(table, executor.columns))
        assert online.ids_BF[:, 0].tolist() == encoded["s"].to_pylist()
        for index, column in enumerate(("root", "x")):
            for dense in (online.dense_BC[:, index], np.asarray(of_engine[column])):
                np.testing.assert_allclose(dense, encoded[column], rtol=2**-23, atol=1e-9)

assert "SquareRoot" in SUPPORTED
try:
    compile_unfitted(Workflow(["s"] >> SquareRoot()), kinds)
except UnsupportedOperator as error:
    assert str(error).startswith("Column 's' uses SquareRoot on text, which has no compiled form")
    assert "QuantileTransform, ReduceDtypeSize, Rename, SquareRoot, Tag" in str(error)
else:
    raise AssertionError("text has no square root")
print("done", len(SUPPORTED))
"""


def test_an_operator_without_state_is_two_files(tmp_path: Path) -> None:
    source = Path(plumbline.__file__).parent
    copy = tmp_path / "plumbline"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    for built in source.rglob("*.so"):
        (copy / built.relative_to(source)).symlink_to(built)
    for package, text in (("features", STEP), ("nvtabular", OPERATOR)):
        (copy / package / "operators" / "square_root.py").write_text(text.lstrip())
    packages = [entry for entry in sys.path if entry.endswith("site-packages")]
    done = subprocess.run(
        # -S leaves out the editable installation, which would import the original package.
        [sys.executable, "-S", "-W", "ignore", "-c", PROGRAM],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(tmp_path), *packages]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "BUILT": "1" if any(source.glob("_native*.so")) else "0",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("done")
