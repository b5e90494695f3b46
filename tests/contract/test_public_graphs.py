"""Own graphs of the operators of 34 public notebooks: they compile, and are served as encoded."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from plumbline.columns.typed import TypedParquet
from plumbline.features.engine.native_engine import NativeEngine
from plumbline.features.plan.plan import read_plan
from plumbline.nvtabular.compile import compile_unfitted
from plumbline.nvtabular.engine import NVTabularEngine
from plumbline.nvtabular.errors import UnsupportedOperator
from plumbline.nvtabular.library import Workflow
from tests.contract.public_graphs import EXAMPLES, KINDS, log
from tests.contract.tables import assert_same, no_progress, online, read, write_splits

COMPILED = [name for name, example in EXAMPLES.items() if example.form != "refused"]
IN_BOTH_ENGINES = {"multi_stage", "padded_views"}


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_splits(tmp_path_factory.mktemp("log"), log(240, 1), log(60, 2))


@pytest.mark.parametrize("name", COMPILED)
def test_a_public_graph_is_served_as_it_is_encoded(
    name: str, splits: dict[str, Path], tmp_path: Path
) -> None:
    graph = EXAMPLES[name].graph
    engine = NativeEngine(compile_unfitted(Workflow(graph()), KINDS))
    result = engine.fit_transform(TypedParquet(splits, KINDS), tmp_path / "native", no_progress)
    assert result.rows["test"] == 60
    rows, encoded = read(splits["test"]), read(tmp_path / "native/test")
    assert_same(encoded, online(read_plan(tmp_path / "native/plan"), rows))
    if name in IN_BOTH_ENGINES:
        other = NVTabularEngine("cpu", None).fit_transform(
            Workflow(graph()), KINDS, splits, tmp_path / "nvtabular", no_progress
        )
        assert other.rows == result.rows
        for split in splits:
            assert_same(read(tmp_path / "native" / split), read(tmp_path / "nvtabular" / split))


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in COMPILED])
def test_the_other_graphs_are_refused(name: str) -> None:
    with pytest.raises(UnsupportedOperator, match=EXAMPLES[name].refusal):
        compile_unfitted(Workflow(EXAMPLES[name].graph()), KINDS)


def test_how_many_public_graphs_compile() -> None:
    forms = Counter(example.form for example in EXAMPLES.values())
    assert sum(forms.values()) == 34
    assert forms["as written"] + forms["named expressions"] == 24
    # With sessions as list columns, which replace `Groupby`.
    assert len(COMPILED) == 31
