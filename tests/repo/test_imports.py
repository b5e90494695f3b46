"""Imports have one direction, and each package imports only its own libraries."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MAY_IMPORT = {
    "plumbline.base": set(),
    "plumbline.columns": {"base"},
    "plumbline.settings": {"base", "columns"},
    "plumbline.rawlogs": {"base", "columns", "settings"},
    "plumbline.features": {"base", "columns", "settings"},
    "plumbline.nvtabular": {"base", "columns", "settings", "features"},
    "plumbline.spark": {"base", "columns", "settings", "features"},
    "plumbline.dlrm": {"base", "columns", "settings", "features"},
    "plumbline.serving": {"base", "columns", "settings", "features", "dlrm"},
}
"""Package to the other packages that it may import; stages and commands import all of them."""
MAY_IMPORT_TOO = {"plumbline.serving.score": {"rawlogs"}}
"""A file of rows is read by the code that reads the log."""
ONLY_IN = {
    "nvtabular": {"nvtabular"},
    "merlin.core": {"nvtabular", "base"},
    "merlin.io": {"nvtabular"},
    "merlin.schema": {"nvtabular"},
    "dask": {"nvtabular", "base"},
    "distributed": {"nvtabular"},
    "dask_cuda": {"nvtabular"},
    "cudf": {"nvtabular"},
    "pyspark": {"spark"},
    "py4j": {"spark"},
    "merlin.models": {"dlrm"},
    "merlin.dataloader": {"dlrm"},
    "torch": {"dlrm", "serving"},
    "torchrec": {"dlrm"},
    "fbgemm_gpu": {"dlrm"},
    "onnx": {"dlrm"},
    "onnxruntime": {"serving"},
}
WITH_SETTINGS = {"dask", "distributed", "dask_cuda", "nvtabular", "merlin"}
"""Imported inside `with merlin_imports():`, so that Dask's settings are set first."""
NO_ONE = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}

SOURCES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
    for folder in ("plumbline", "pipelines", "serving", "workflows")
    for file in (ROOT / folder).rglob("*.py")
}


def imported(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{file}:{node.lineno}: a relative import"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            found |= {one.value for one in node.args[:1] if isinstance(one, ast.Constant)}
    return found


def imported_without_settings(file: Path) -> set[str]:
    """The libraries of `WITH_SETTINGS` that a file imports outside of `with merlin_imports():`."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.With)]
    inside = {
        id(node)
        for block in blocks
        if any(ast.unparse(item.context_expr) == "merlin_imports()" for item in block.items)
        for statement in block.body
        for node in ast.walk(statement)
    }
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and id(node) not in inside:
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and id(node) not in inside:
            found.add((node.module or "").partition(".")[0])
    return found & WITH_SETTINGS


IMPORTED = {module: imported(file) for module, file in SOURCES.items()}


def reaches(module: str, names: set[str]) -> bool:
    return any(name == module or name.startswith(module + ".") for name in names)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_the_design_allows(package: str) -> None:
    modules = [module for module in SOURCES if module.startswith(package + ".")]
    assert modules
    for module in modules:
        allowed = MAY_IMPORT[package] | MAY_IMPORT_TOO.get(module.rpartition(".")[0], set())
        others = {f"plumbline.{name}" for name in allowed} | {package}
        for name in (IMPORTED[module] & SOURCES.keys()) - {"plumbline"}:
            assert ".".join(name.split(".")[:2]) in others, f"{module} imports {name}"


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_only_in_its_package(library: str) -> None:
    for module, names in IMPORTED.items():
        package = module.split(".")[1] if module.startswith("plumbline.") else None
        if package is not None and package not in ONLY_IN[library]:
            assert not reaches(library, names), f"{module} imports {library}"


@pytest.mark.parametrize("folder", ["plumbline", "pipelines", "serving", "tests", "benchmarks"])
def test_dask_and_merlin_are_imported_with_their_settings(folder: str) -> None:
    """Graphs are not looked at: they are imported by `plumbline.nvtabular`."""
    settings = ROOT / "plumbline" / "base" / "merlin_imports.py"
    files = set((ROOT / folder).rglob("*.py"))
    assert files
    without = {str(file): imported_without_settings(file) for file in files - {settings}}
    assert {file: names for file, names in without.items() if names} == {}


def test_the_check_finds_an_import_without_settings(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        "with quiet(), merlin_imports():\n    import dask\n"
        "def f():\n    with quiet():\n        from merlin.io import Dataset\n"
        "import dask_cuda.utils\n"
    )
    assert imported_without_settings(file) == {"merlin", "dask_cuda"}


@pytest.mark.parametrize("library", sorted(NO_ONE))
def test_no_package_imports_a_pickling_library(library: str) -> None:
    for module, names in IMPORTED.items():
        assert not reaches(library, names), f"{module} imports {library}"


def edges_between_siblings() -> Mapping[str, Mapping[str, set[str]]]:
    """Package to its direct children, each with the siblings that it imports."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for module, names in IMPORTED.items():
        for name in names & SOURCES.keys():
            left, right = module.split("."), name.split(".")
            shared = next(
                (i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), None
            )
            if shared:
                found[".".join(left[:shared])][left[shared]].add(right[shared])
    return found


def cycle(edges: Mapping[str, set[str]]) -> list[str]:
    """The nodes of one cycle; empty if there is none."""
    done: set[str] = set()

    def follow(node: str, way: list[str]) -> list[str]:
        if node in way:
            return way[way.index(node) :]
        if node in done:
            return []
        for other in sorted(edges.get(node, ())):
            if found := follow(other, [*way, node]):
                return found
        done.add(node)
        return []

    return next((found for node in sorted(edges) if (found := follow(node, []))), [])


@pytest.mark.parametrize("package", sorted(edges_between_siblings()))
def test_nothing_in_a_package_imports_in_a_circle(package: str) -> None:
    """Its modules and packages, with imports for types and inside functions."""
    assert not cycle(edges_between_siblings()[package])


def test_no_modules_import_each_other() -> None:
    """Nor does a module import from its own package what the package imports from it."""
    others = SOURCES.keys() - {"plumbline"}  # which imports the library's names when they are used
    assert not cycle({module: IMPORTED[module] & others for module in others})


def test_the_check_finds_a_cycle() -> None:
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]
    assert not cycle({"a": {"b", "c"}, "b": {"c"}})


def test_the_check_finds_an_import_inside_a_function(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        "def f():\n    from merlin import io\n    import dask.dataframe as dd\n"
        "    importlib.import_module('torch.nn')\n"
    )
    assert reaches("merlin.io", imported(file))
    assert reaches("dask", imported(file))
    assert reaches("torch", imported(file))
    file.write_text("from . import other\n")
    with pytest.raises(AssertionError, match="a relative import"):
        imported(file)


@pytest.mark.parametrize(
    "call", ["torch.load(", "torch.save(", "allow_pickle=True", "Workflow.load(", "read_pickle("]
)
def test_no_pickle_is_written_or_loaded(call: str) -> None:
    for module, file in SOURCES.items():
        assert call not in file.read_text(encoding="utf-8"), f"{module} has {call}"
