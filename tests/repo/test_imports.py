"""Imports point one way, and each package keeps to the libraries that are its own."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MAY_IMPORT = {
    "features": set(),
    "rawlogs": {"features"},
    "workflows": {"features"},
    "dlrm": {"features"},
    "serving": {"features", "dlrm"},
    "pipelines": {"features", "rawlogs", "workflows", "dlrm", "serving"},
}
MAY_IMPORT_TOO = {"serving/score": {"rawlogs"}}
"""Folders inside a package: a file of rows is read by the code that read the log."""
ONLY_IN = {
    "nvtabular": {"workflows"},
    "merlin.core": {"workflows"},
    "merlin.io": {"workflows"},
    "merlin.schema": {"workflows"},
    "dask": {"workflows"},
    "distributed": {"workflows"},
    "dask_cuda": {"workflows"},
    "cudf": {"workflows"},
    "merlin.models": {"dlrm"},
    "merlin.dataloader": {"dlrm"},
    "torch": {"dlrm", "serving"},
    "onnx": {"dlrm"},
    "onnxruntime": {"serving"},
}
NO_ONE = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}


def imported(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def reaches(module: str, names: set[str]) -> bool:
    return any(name == module or name.startswith(module + ".") for name in names)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_import_only_what_the_design_allows(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for file in files:
        names = imported(file)
        folder = file.parent.relative_to(ROOT).as_posix()
        allowed = MAY_IMPORT[package] | MAY_IMPORT_TOO.get(folder, set())
        for other in MAY_IMPORT.keys() - allowed - {package}:
            assert not reaches(other, names), f"{file} imports {other}"
        for library, owners in ONLY_IN.items():
            if package not in owners:
                assert not reaches(library, names), f"{file} imports {library}"
        for library in NO_ONE:
            assert not reaches(library, names), f"{file} imports {library}"


def test_the_check_sees_an_import_inside_a_function(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text("def f():\n    from merlin import io\n    import dask.dataframe as dd\n")
    assert reaches("merlin.io", imported(file))
    assert reaches("dask", imported(file))


@pytest.mark.parametrize(
    "call", ["torch.load(", "torch.save(", "allow_pickle=True", "Workflow.load(", "read_pickle("]
)
def test_no_pickle_is_written_or_loaded(call: str) -> None:
    for package in MAY_IMPORT:
        for file in (ROOT / package).rglob("*.py"):
            assert call not in file.read_text(encoding="utf-8"), f"{file} has {call}"
