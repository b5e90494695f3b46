"""Find a graph's function by name, and run it; errors of the user's code are reported in one line.

A file is executed at every call, with the modules beside it. It leaves no compiled copy on disk and
no entry in `sys.modules`, so that its functions are pickled by value for the workers of a cluster.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from plumbline.base.errors import ConfigError, PlumblineError, nearest
from plumbline.base.files import read_small
from plumbline.base.paths import ROOT
from plumbline.base.printable import one_line, sentence
from plumbline.nvtabular.quiet import quiet

SHIPPED = ROOT / "workflows"
FUNCTION = "graph"
"""The function of a file in `workflows/`, for which a configuration gives only the file's name."""

_SHOWN = 300

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GraphFunction:
    """A graph's function and its file; messages begin with `where`."""

    function: Callable[..., Any]
    file: Path | None
    where: str

    def run(self, body: Callable[[], T]) -> T:
        """The result of `body`, which runs the user's code.

        Raises
        ------
        ConfigError
            `body` raises an error that is not a PlumblineError. The message has the line of the
            user's file.
        """
        return _run(body, self.file, self.where)


@contextmanager
def graph_function(graph: str) -> Iterator[GraphFunction]:
    """Load the function named `graph`; it may be called inside the block.

    `graph` is `path/to/file.py:function`, `module:function`, or the name of a file in `workflows/`.
    Inside the block the file's folder is on `sys.path`, so that it can import modules beside it.

    Raises
    ------
    ConfigError
        The file, the module or the function does not exist, or cannot be imported.
    """
    where = f"workflow.graph {graph!r}"
    source, colon, name = graph.rpartition(":")
    if not colon:
        source, name = str(_shipped(graph, where)), FUNCTION
    if source.endswith(".py"):
        path = Path(source).absolute()
        with _executed(path, where) as module:
            yield GraphFunction(_function(module, name, where), path, where)
    else:
        module = _run(lambda: importlib.import_module(source), None, where)
        file = getattr(module, "__file__", None)
        yield GraphFunction(_function(module, name, where), file and Path(file), where)


def _shipped(graph: str, where: str) -> Path:
    known = sorted(file.stem for file in SHIPPED.glob("*.py") if file.stem != "__init__")
    if graph not in known:
        raise ConfigError(
            f"{where}: wanted path/to/file.py:function, module:function or a graph of ours; "
            + sentence(nearest(graph, known))
        )
    return SHIPPED / f"{graph}.py"


@contextmanager
def _executed(file: Path, where: str) -> Iterator[ModuleType]:
    """The module of an executed file."""
    try:
        source = read_small(file)
    except FileNotFoundError:
        raise ConfigError(f"{where}: there is no file {file}.") from None
    except OSError as error:
        raise ConfigError(f"{where}: {file} cannot be read ({error.strerror}).") from None
    name = file.stem.replace(".", "_")  # a dot would make it a module of a package
    module = ModuleType(f"plumbline_graph_{name}")
    module.__file__ = str(file)
    with _beside(file.parent):
        sys.modules[module.__name__] = module  # dataclasses look their module up there
        _run(lambda: exec(compile(source, str(file), "exec"), module.__dict__), file, where)
        yield module


@contextmanager
def _beside(folder: Path) -> Iterator[None]:
    """Put the folder on `sys.path`; modules imported from it are removed afterwards."""
    path, known, writes = list(sys.path), set(sys.modules), sys.dont_write_bytecode
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.path[:], sys.dont_write_bytecode = path, writes
        roots = {name.partition(".")[0] for name in set(sys.modules) - known} - known
        own = {root for root in roots if _lies_in(folder, sys.modules.get(root))}
        for name in set(sys.modules) - known:
            if name.partition(".")[0] in own:
                del sys.modules[name]


def _lies_in(folder: Path, module: ModuleType | None) -> bool:
    """Whether the module is a file or a package of the folder."""
    paths = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
    return any(path is not None and Path(path).parent == folder for path in paths)


def _function(module: ModuleType, name: str, where: str) -> Callable[..., Any]:
    own = [
        known
        for known, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__
    ]
    if not hasattr(module, name):
        hint = nearest(name, own) if own else "it has no function"
        raise ConfigError(sentence(f"{where}: there is no {name!r} in it; {hint}"))
    function = getattr(module, name)
    if not callable(function):
        raise ConfigError(
            f"{where}: wanted a function of the columns, but {name!r} is "
            f"{type(function).__name__} {_shown(repr(function))}."
        )
    result: Callable[..., Any] = function
    return result


def _run(body: Callable[[], T], file: Path | None, where: str) -> T:
    try:
        with quiet():
            return body()
    except PlumblineError as error:
        if error.__cause__ is None or not _frames_of(error.__cause__, file):
            raise
        raise ConfigError(f"{where}: {_raised(error.__cause__, file)}.") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 (the user's code)
        raise ConfigError(f"{where}: {_raised(error, file)}.") from None


def _raised(error: BaseException, file: Path | None) -> str:
    """The exception's type and message, and the line of the user's file if that is known."""
    text = _shown(str(error))
    message = type(error).__name__ + (f": {text.removesuffix('.')}" if text else "")
    if isinstance(error, SyntaxError) and error.filename is not None:
        text = _shown(error.msg)
        return f"{type(error).__name__}: {text} ({Path(error.filename).name}, line {error.lineno})"
    own = _frames_of(error, file)
    if not own:
        return message
    return f"{message} ({Path(own[-1].filename).name}, line {own[-1].lineno})"


def _frames_of(error: BaseException, file: Path | None) -> list[traceback.FrameSummary]:
    """The frames of the exception that lie in the user's file."""
    frames = traceback.extract_tb(error.__traceback__)
    return [frame for frame in frames if file is not None and frame.filename == str(file)]


def _shown(text: str) -> str:
    return one_line(text, _SHOWN)
