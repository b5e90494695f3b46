"""`Categorify(vocabs=…)`: the same ids in both engines, online, and in NVTabular itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from plumbline.base.errors import PlanError
from plumbline.columns.typed import TypedParquet, typed_schema
from plumbline.features.engine.native_engine import NativeEngine
from plumbline.features.plan.plan import read_plan, write_plan
from plumbline.nvtabular.compile import compile_fitted, compile_unfitted
from plumbline.nvtabular.engine import NVTabularEngine
from plumbline.nvtabular.library import Dataset, Serial, Workflow, ops
from plumbline.nvtabular.quiet import quiet
from tests.contract.tables import assert_same, no_progress, online, read, write_splits

KINDS: dict[str, Any] = {"s": "string", "i": "integer", "t": "string", "l": "string_list"}
WORDS = pd.Series(["zz", None, "a", "never"])
NUMBERS = pd.Series([7, 2**62, 1], dtype="Int64")


def rows() -> pa.Table:
    columns = {
        "s": ["a", "b", "zz", None, "a", "a"],
        "i": [1, 7, 2**62, None, 5, 1],
        "t": ["x", "y", "x", None, "z", "x"],
        "l": [["a", "b"], [], ["zz"], None, ["never", "a"], ["a"]],
        "click": [0, 1, 0, 1, 0, 1],
    }
    return pa.table(columns, schema=typed_schema(KINDS))


def workflow(folder: Path, columns: list[str], **parameters: Any) -> Workflow:
    folder.mkdir(exist_ok=True)
    vocabularies = {"s": WORDS, "i": NUMBERS, "l": WORDS}
    operator = ops.Categorify(vocabs=vocabularies, out_path=str(folder), **parameters)
    return Workflow((columns >> operator) + ["click"])


@pytest.mark.parametrize("parameters", [{}, {"num_buckets": 3, "freq_threshold": 2}])
@pytest.mark.timeout(120)
def test_engines_agree(parameters: dict[str, Any], tmp_path: Path) -> None:
    splits = write_splits(tmp_path / "raw", rows(), rows())
    graph = workflow(tmp_path / "vocabs", [*KINDS], **parameters)
    native = NativeEngine(compile_unfitted(graph, KINDS)).fit_transform(
        TypedParquet(splits, KINDS), tmp_path / "native", no_progress
    )
    other = NVTabularEngine("cpu", None).fit_transform(
        graph, KINDS, splits, tmp_path / "nvtabular", no_progress
    )
    assert other.plan.content_hash == native.plan.content_hash
    encoded = read(tmp_path / "native/test")
    assert_same(encoded, read(tmp_path / "nvtabular/test"))
    assert_same(encoded, online(read_plan(tmp_path / "native/plan"), rows()))
    words = native.plan.vocabulary(native.plan.outputs[0])
    assert words.value.to_pylist() == ["zz", "a", "never"]
    assert words.count.to_pylist() == [1, 3, 0]
    if not parameters:
        assert encoded["s"].to_pylist() == [4, 2, 3, 1, 4, 4]
        assert encoded["i"].to_pylist() == [5, 3, 4, 1, 2, 5]
        assert encoded["l"].to_pylist() == [[4, 2], [], [3], [], [5, 4], [4]]


def test_nvtabular_agrees(tmp_path: Path) -> None:
    graph = workflow(tmp_path / "vocabs", ["s", "i", "t"])
    frame = (
        rows()
        .select(["s", "i", "t", "click"])
        .to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    )
    with quiet(), Serial():
        theirs = graph.fit_transform(Dataset(frame, cpu=True)).to_ddf().compute()
    folder = tmp_path / "plan"
    write_plan(folder, *compile_fitted(graph, KINDS, folder))
    ours = online(read_plan(folder), rows())
    for name in ("s", "i", "t"):
        assert theirs[name].tolist() == ours[name].to_pylist(), name


@pytest.mark.parametrize(
    ("vocabulary", "column", "message"),
    [
        (pd.Series(["a", "b", "a"]), "s", "'a' of 's' is in it twice"),
        (pd.Series(["a"]), "i", "wanted int64 in a column 'i'"),
        ("/nowhere/words.parquet", "s", "wanted string in a column 's' of /nowhere/words.parquet"),
    ],
)
def test_a_wrong_vocabulary_raises(
    vocabulary: Any, column: str, message: str, tmp_path: Path
) -> None:
    operator = ops.Categorify(vocabs={column: vocabulary}, out_path=str(tmp_path))
    with pytest.raises(PlanError, match=message):
        compile_unfitted(Workflow([column] >> operator), KINDS)
