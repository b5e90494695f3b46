"""Graphs in files and modules: finding them, their options, and one-line errors."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from plumbline.base.errors import ConfigError
from plumbline.nvtabular.graphs import Graph, build
from plumbline.settings import WorkflowSettings
from plumbline.settings.configuration import load_config

KINDS: dict[str, Any] = {"x": "continuous", "s": "string"}
START = "from nvtabular import ops, Workflow\n"
NODES = "(['s'] >> ops.Categorify())"


def built(name: str, **options: Any) -> Graph:
    return build(WorkflowSettings(graph=name, options=options), KINDS, 100)


def columns(graph: Graph) -> list[str]:
    return [column.name for column in graph.plan.outputs]


def of(folder: Path, code: str, name: str = "graph", **options: Any) -> Graph:
    file = folder / "mine.py"
    file.write_text(START + code)
    return built(f"{file}:{name}", **options)


@pytest.mark.parametrize(
    ("code", "outputs"),
    [
        (f"def graph(kinds): return {NODES}", ["s"]),
        (f"def graph(kinds): return {NODES} + 'click'", ["s"]),
        (f"def graph(kinds): return Workflow({NODES})", ["s"]),
        ("def graph(kinds): return [n for n in kinds if n == 'x'] >> ops.LogOp()", ["x"]),
        ("graph = lambda kinds: [kinds.popitem()[0]] >> ops.Categorify()", ["s"]),
        (
            "class Graph:\n    def __call__(self, kinds): return ['x'] >> ops.Normalize()\n"
            "graph = Graph()",
            ["x"],
        ),
        (
            "from dataclasses import dataclass, field\n@dataclass\nclass Mine:\n"
            "    names: 'list[str]' = field(default_factory=lambda: ['x'])\n"
            "def graph(kinds): return Mine().names >> ops.LogOp()",
            ["x"],
        ),
    ],
)
def test_accepted_functions_and_results(tmp_path: Path, code: str, outputs: list[str]) -> None:
    assert columns(of(tmp_path, code)) == outputs


def test_a_file_leaves_no_modules_and_is_executed_anew(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("NAME = 'x'\n")
    before, path = set(sys.modules), list(sys.path)
    code = "from beside import NAME\ndef graph(kinds): return [NAME] >> ops.LogOp()"
    assert columns(of(tmp_path, code)) == ["x"]
    assert sys.path == path
    assert set(sys.modules) <= before
    (tmp_path / "beside.py").write_text("NAME = 's'\n")
    with pytest.raises(Exception, match="LogOp on text"):
        of(tmp_path, code)


def test_a_file_whose_name_has_dots_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "shop.v2.py"
    file.write_text(f"{START}def graph(kinds): return {NODES}\n")
    before = set(sys.modules)
    assert columns(built(f"{file}:graph")) == ["s"]
    assert set(sys.modules) <= before


def test_a_function_of_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_graphs").mkdir()
    code = f"{START}def build(kinds):\n    return {NODES}\n"
    (tmp_path / "own_graphs/shop.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert columns(built("own_graphs.shop:build")) == ["s"]
    with pytest.raises(ConfigError, match="there is no 'built' in it; did you mean 'build'"):
        built("own_graphs.shop:built")
    monkeypatch.delitem(sys.modules, "own_graphs.shop")


OPTIONS = """
from typing import Literal
from pydantic import PositiveInt
def graph(kinds, *, least: PositiveInt, kind: Literal["a", "b"] = "a", names: list[str] = ["s"],
          other=None):
    assert isinstance(least, int) and isinstance(names, list)
    return names >> ops.Categorify(freq_threshold=least)
"""


def test_options_are_keyword_arguments(tmp_path: Path) -> None:
    graph = of(tmp_path, OPTIONS, least=3, kind="b", names=["s"], other={"any": [1]})
    (step,) = graph.plan.outputs[0].chain.steps
    assert step.frequency_threshold == 3
    code = f"def graph(kinds, **rest):\n    assert rest == {{'a': 1}}\n    return {NODES}"
    assert columns(of(tmp_path, code, a=1)) == ["s"]
    code = f"def graph(kinds, training_rows):\n    assert training_rows == 100\n    return {NODES}"
    assert columns(of(tmp_path, code)) == ["s"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "workflow.options.least: wanted, but it is missing."),
        ({"least": 0}, "workflow.options.least: wanted a number above 0, got 0."),
        ({"least": 1, "kin": 2}, "workflow.options: unknown option 'kin', did you mean 'kind'?"),
        ({"least": 1, "kind": "c"}, "workflow.options.kind: wanted one of a, b, got 'c'."),
        ({"least": 1, "names": ["s", 5]}, "workflow.options.names.1: wanted text, got 5."),
    ],
)
def test_options_that_do_not_fit(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"{re.escape(message)}[^.]*$"):
        of(tmp_path, OPTIONS, **options)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def grap(kinds): pass", "there is no 'graph' in it; did you mean 'grap'?"),
        ("x = 1", "there is no 'graph' in it; it has no function."),
        ("graph = 5", "wanted a function of the columns, but 'graph' is int 5."),
        ("def graph(): pass", "wanted a function whose first parameter takes the columns."),
        ("def graph(kinds): pass", "nvtabular.Workflow, got None."),
        ("def graph(kinds): return ['x']", "or an nvtabular.Workflow, got list ['x']."),
        ("def graph(kinds): return [] >> ops.LogOp()", "has no output besides the click."),
        (
            "import nothing_of_that_name",
            "ModuleNotFoundError: No module named 'nothing_of_that_nam",
        ),
        ("def graph(kinds) return 1", "SyntaxError: expected ':' (mine.py, line 2)."),
        ("1 / 0", "ZeroDivisionError: division by zero (mine.py, line 2)."),
        ("exit(3)", "SystemExit: 3 (mine.py, line 2)."),
        ("def graph(kinds):\n    return kinds['n']", "KeyError: 'n' (mine.py, line 3)."),
        ("def graph(kinds): raise ValueError('a\\nb')", "ValueError: a b (mine.py, line 2)."),
        ("def graph(kinds): return ops.LogOp()", "nvtabular.Workflow, got LogOp."),
        (
            "def graph(kinds): return ['xx'] >> ops.LogOp()",
            "there is no feature 'xx'; did you mean 'x'?",
        ),
        (
            "def graph(kinds): return ['s'] >> ops.TargetEncoding('target')",
            "there is no feature 'target'; known: click, s, x.",
        ),
        (
            "def graph(kinds): return (['x'] >> ops.LogOp())['n']",
            "there is no column to select named 'n'; known: x.",
        ),
        (
            "def graph(kinds):\n    return ['x'] >> ops.LogOp() >> ops.Rename(f=lambda n: {}[n])",
            "KeyError: 'x' (mine.py, line 3).",
        ),
        ("def graph(kinds, n: Missing = 1): pass", "an annotation cannot be evaluated"),
    ],
)
def test_errors_are_one_line(tmp_path: Path, code: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        of(tmp_path, code)
    text = str(error.value)
    assert not text.endswith("?.")
    assert text.startswith(f"workflow.graph '{tmp_path / 'mine.py'}:graph': ")
    assert message in text and "\n" not in text


def test_names_that_are_not_found(tmp_path: Path) -> None:
    for name, message in {
        "standart": "did you mean 'standard'?",
        "mine.py": "wanted path/to/file.py:function, module:function or a graph of ours",
        f"{tmp_path}/none.py:graph": f"there is no file {tmp_path}/none.py.",
        f"{tmp_path}.py:graph": "there is no file",
        "no_such_module:graph": "ModuleNotFoundError: No module named 'no_such_module'.",
    }.items():
        with pytest.raises(ConfigError, match=re.escape(message)):
            built(name)


CONFIG = """
name: shop
log: {columns: {click: label, x: continuous}}
split: {by: rows, valid: 0.2, test: 0.2}
workflow: {graph: "mine.py:graph", options: {a: 1}}
"""


def test_a_path_starts_from_the_folder_of_the_configuration(tmp_path: Path) -> None:
    folder = tmp_path / "settings"
    folder.mkdir()
    (folder / "base.yaml").write_text(CONFIG)
    assert load_config(folder / "base.yaml").workflow.graph == "mine.py:graph"
    (folder / "mine.py").write_text("")
    (tmp_path / "other.yaml").write_text("extends: settings/base.yaml\nseed: 2")
    for file in (folder / "base.yaml", tmp_path / "other.yaml"):
        assert load_config(file).workflow.graph == f"{folder / 'mine.py'}:graph"


def test_another_graph_inherits_no_options(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(CONFIG)
    for change, options in {
        "{graph: standard}": {},
        "{graph: standard, options: {b: 2}}": {"b": 2},
        "{options: {b: 2}}": {"a": 1, "b": 2},
    }.items():
        (tmp_path / "other.yaml").write_text(f"extends: base.yaml\nworkflow: {change}")
        assert load_config(tmp_path / "other.yaml").workflow.options == options
