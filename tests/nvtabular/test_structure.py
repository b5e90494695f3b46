"""What only arranges columns: Subgraph, and one name out of several branches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from plumbline.base.errors import PlanError
from plumbline.features.operators.bucketize import Bucketize
from plumbline.features.operators.categorify import FitCategorify
from plumbline.features.operators.clip import Clip
from plumbline.features.operators.log import Log
from plumbline.features.operators.normalize import FitNormalize
from plumbline.features.operators.normalize import Normalize as NormalizeStep
from plumbline.features.steps.chains import Chain
from plumbline.nvtabular.compile import compile_fitted, compile_unfitted
from plumbline.nvtabular.errors import UnsupportedOperator
from plumbline.nvtabular.frames import merlin_input_schema
from plumbline.nvtabular.graphs import build
from plumbline.nvtabular.library import ColumnSelector, Dataset, Serial, Subgraph, Workflow, ops
from plumbline.nvtabular.quiet import quiet
from plumbline.settings import WorkflowSettings

KINDS: dict[str, Any] = {"x": "continuous", "y": "continuous", "s": "string", "i": "integer"}


def chains(workflow: Any) -> dict[str, Chain]:
    workflow = workflow if isinstance(workflow, Workflow) else Workflow(workflow)
    return {column.name: column.chain for column in compile_unfitted(workflow, KINDS).outputs}


def stages() -> Any:
    user = (["s"] >> ops.Categorify()) + (["x"] >> ops.Normalize())
    item = ["i"] >> ops.Categorify() >> ops.Rename(postfix="_id")
    return Subgraph("user", user) + Subgraph("item", item) + ["click"]


USER = {"s": Chain(("s",), (FitCategorify(),)), "x": Chain(("x",), (FitNormalize(),))}
ITEM = {"i_id": Chain(("i",), (FitCategorify(),))}


def test_a_subgraph_is_its_nodes() -> None:
    assert chains(stages()) == {**USER, **ITEM}
    workflow = Workflow(stages())
    assert chains(workflow.get_subworkflow("user")) == USER
    assert chains(workflow.get_subworkflow("item")) == ITEM
    assert chains(workflow) == {**USER, **ITEM}


def test_inputs_of_a_subgraph_may_be_removed() -> None:
    workflow = Workflow(stages()).fit_schema(merlin_input_schema(KINDS))
    workflow.remove_inputs(["x", "click"])
    assert chains(workflow) == {"s": USER["s"], **ITEM}


def test_a_subgraph_takes_the_columns_of_the_node_before_it() -> None:
    clipped = ["x", "y"] >> ops.Clip(min_value=0)
    inner = Subgraph("logs", ["x"] >> ops.LogOp() >> ops.Rename(postfix="_log"))
    assert chains(clipped >> inner) == {"x_log": Chain(("x",), (Clip(0.0, None), Log()))}


def test_subgraphs_may_be_nested_and_read_by_operators() -> None:
    inner = Subgraph("inner", ["x"] >> ops.Clip(min_value=0))
    outer = Subgraph("outer", inner + (["y"] >> ops.Clip(max_value=1)))
    found = chains((outer + "click")[["x", "y"]] >> ops.LogOp())
    assert found == {
        "x": Chain(("x",), (Clip(0.0, None), Log())),
        "y": Chain(("y",), (Clip(None, 1.0), Log())),
    }


def test_a_graph_function_may_return_subgraphs(tmp_path: Path) -> None:
    file = tmp_path / "stages.py"
    file.write_text(
        "from merlin.dag.ops.subgraph import Subgraph\n"
        "from nvtabular import ops\n"
        "def graph(kinds, *, second='item'):\n"
        "    user = Subgraph('user', ['s'] >> ops.Categorify())\n"
        "    return user + Subgraph(second, ['x'] >> ops.LogOp())\n"
        "def alone(kinds):\n"
        "    return Subgraph('user', ['x'] >> ops.LogOp())\n"
    )
    found = build(WorkflowSettings(graph=f"{file}:graph"), KINDS, 1).plan
    assert [column.name for column in found.outputs] == ["s", "x"]
    found = build(WorkflowSettings(graph=f"{file}:alone"), KINDS, 1).plan
    assert [column.name for column in found.outputs] == ["x"]
    with pytest.raises(Exception, match="Found two subgraphs called user"):
        build(WorkflowSettings(graph=f"{file}:graph", options={"second": "user"}), KINDS, 1)


def test_a_repeated_subgraph_is_refused() -> None:
    repeated = Subgraph("loop", ["x"] >> ops.LogOp(), loop_until=lambda frame: True)
    with pytest.raises(UnsupportedOperator, match=r"'loop' uses Subgraph\(loop_until"):
        chains(["x"] >> repeated)


def test_a_workflow_with_subgraphs_that_nvtabular_has_fitted(tmp_path: Path) -> None:
    frame = pd.DataFrame({"s": ["a", "b", "a"], "x": [1.0, 2.0, 6.0], "i": [1, 1, 2]})
    frame["click"] = [0, 1, 0]
    user = (["s"] >> ops.Categorify(out_path=str(tmp_path))) + (["x"] >> ops.Normalize())
    workflow = Workflow(Subgraph("user", user) + "click")
    with quiet(), Serial():
        workflow.fit(Dataset(frame, cpu=True))
    inputs, outputs = compile_fitted(workflow, KINDS, tmp_path / "plan")
    assert [column.name for column in inputs] == ["x", "s"]
    assert [column.name for column in outputs] == ["s", "x"]
    assert outputs[1].chain == Chain(("x",), (NormalizeStep(3.0, 7**0.5),))


def test_the_last_of_one_name_is_kept() -> None:
    low, high = ["x"] >> ops.Clip(min_value=0), ["x"] >> ops.Clip(max_value=9)
    assert chains(low + high) == {"x": Chain(("x",), (Clip(None, 9.0),))}
    assert chains(low + high + low) == {"x": Chain(("x",), (Clip(0.0, None),))}
    assert chains(low + "x") == {"x": Chain(("x",), ())}
    after = (low + high) >> ops.LogOp()
    assert chains(after) == {"x": Chain(("x",), (Clip(None, 9.0), Log()))}
    assert chains(low + (high + "y"))["x"] == Chain(("x",), (Clip(None, 9.0),))


def test_one_name_of_two_types_is_refused() -> None:
    ids, numbers = ["x"] >> ops.Bucketize([0.0]), ["x"] >> ops.LogOp()
    assert chains(ids) == {"x": Chain(("x",), (Bucketize((0.0,)),))}
    with pytest.raises(PlanError, match=r"of the types ids \(Bucketize\) and number \(LogOp\)"):
        chains(ids + numbers)
    with pytest.raises(PlanError, match=r"number \(LogOp\) and integer \(the raw column\)"):
        chains(ColumnSelector(["i"]) + (["i"] >> ops.LogOp()))


def test_an_operator_that_reads_one_name_twice_is_refused() -> None:
    ids = ["i"] >> ops.Categorify()
    with pytest.raises(PlanError, match="2 branches of the workflow that JoinGroupby reads: "):
        chains(ids >> ops.JoinGroupby(cont_cols=["i"], stats=["mean"]))
