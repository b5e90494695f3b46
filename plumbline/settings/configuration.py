"""Read a configuration file into a `Config`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from plumbline.base.errors import ConfigError
from plumbline.settings import Config
from plumbline.settings.problems import problems
from plumbline.settings.yaml_file import YamlFile, read_yaml


def load_config(file: Path) -> Config:
    """Read and check a configuration.

    A file may begin with `extends: OTHER.yaml`, the name of a file beside it. Its keys then replace
    those of the other file, key by key inside mappings. If it names another graph, the other file's
    `workflow.options` are left out.

    Raises
    ------
    ConfigError
        The file cannot be read, a key is unknown (with the nearest known one), or a value does not
        fit.
    """
    read = _read(file, ())
    _find_graph(read)
    try:
        return Config.model_validate(read.content)
    except ValidationError as error:
        messages = problems([dict(e) for e in error.errors()], read.locations, file)
        raise ConfigError.invalid(str(file), messages) from None


def _read(file: Path, extending: tuple[Path, ...]) -> YamlFile:
    if file.resolve() in extending:
        raise ConfigError.unreadable(str(file), "it extends itself")
    own = read_yaml(file)
    base = own.content.pop("extends", None)
    if base is None:
        return own
    if not isinstance(base, str):
        raise ConfigError(f"{file}: extends: wanted the name of a file, got {base!r}.")
    other = _read(file.parent / base, (*extending, file.resolve()))
    content = _merged(_without_options(other.content, own.content), own.content)
    return YamlFile(content, {**other.locations, **own.locations})


def _without_options(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The base without the options of its graph if the changes name another graph."""
    of_base, changed = base.get("workflow"), changes.get("workflow")
    if not isinstance(of_base, dict) or not isinstance(changed, dict):
        return base
    if changed.get("graph", of_base.get("graph")) == of_base.get("graph"):
        return base
    return base | {"workflow": {k: v for k, v in of_base.items() if k != "options"}}


def _find_graph(read: YamlFile) -> None:
    """Make the path of a graph's file absolute if it starts from the configuration's folder."""
    workflow = read.content.get("workflow")
    if not isinstance(workflow, dict):
        return
    graph = workflow.get("graph")
    if not isinstance(graph, str) or ".py:" not in graph:
        return
    folder = read.locations["workflow", "graph"].file.parent.absolute()
    if (folder / graph.rpartition(":")[0]).is_file():
        read.content["workflow"] = workflow | {"graph": str(folder / graph)}


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        both_mappings = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both_mappings else value
    return merged
