"""Generates docs/configuration.md from the settings: `python -m plumbline.settings.reference`.

The meaning of a key is the docstring under its field.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from plumbline.settings.base import Settings
from plumbline.settings.config import Config

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"

EXAMPLES: Mapping[str, Any] = {
    "name": "shop",
    "log.files": ["day_1.csv", "day_2.csv"],
    "log.separator": "::",
    "log.quote": '"',
    "log.missing": ["NA", "NULL", "\\N"],
    "log.thousands": ",",
    "log.list_separator": "|",
    "log.columns": {"user": "integer", "I1..I13": "continuous", "clicked": "label"},
    "log.time_formats": {"at": "%d/%m/%Y %H:%M"},
    "log.time_features": ["at"],
    "log.multi_hot": {"genres": ["comedy", "drama"]},
    "tables": {"users": {"file": "users.csv", "columns": {"user": "key", "age": "continuous"}}},
    "tables.NAME.file": "users.csv",
    "label.at_least": 4,
    "label.click": ["yes"],
    "click_model": {"rows": 1_000_000, "days": 3, "vocabulary": [40, 300, 5]},
    "click_model.rows": 1_000_000,
    "click_model.days": 7,
    "click_model.vocabulary": [40, 300, 5],
    "split.keep_negatives": 0.1,
    "split.train": 0.7,
    "split.column": "user",
    "split (by: time).column": "at",
    "split (by: file).train": [0, 1, 2, 3, 4],
    "split.valid": 0.1,
    "split.test": 0.2,
    "split (by: file).valid": [5],
    "split (by: file).test": [6],
    "workflow.graph": "standard",
    "workflow.options": {"frequency_threshold": 2},
    "model.bag_positions": 20,
    "training.clip_norm": 10,
    "serving.threads": 2,
    "append.keep_statistics": True,
}
"""Examples for keys without a default, or whose default does not show what they accept."""

_HEAD = """\
# Configuration

This page lists every key of a configuration. `python -m plumbline.settings.reference` generates it
from `plumbline/settings/`. `plumbline init FILE` writes a configuration for your own log;
`configs/` has examples. A file may begin with `extends: OTHER.yaml`, the name of a file beside it:
it then has all keys of that file, except those that it sets itself. If it names another graph, it
does not inherit the graph's options. The error for an unknown key names the nearest known one.
[kinds.md](kinds.md) describes the kinds of columns.
"""


def reference() -> str:
    """The page, in Markdown."""
    parts = [_HEAD, *_section("", Config)]
    return "\n".join(parts).rstrip() + "\n"


def keys() -> Iterator[tuple[str, FieldInfo]]:
    """Every key with its dotted path; `NAME` stands for names that the user chooses."""
    for path, model, _ in _sections("", Config):
        for name, info in model.model_fields.items():
            yield _dotted(path, name), info


def example(path: str, info: FieldInfo) -> Any:
    """An example value of a key: from `EXAMPLES`, or its default.

    Raises
    ------
    KeyError
        The default is empty, and `EXAMPLES` has no value.
    """
    shared = re.sub(r" \(.*?\)", "", path)
    for known in (path, shared, shared.replace("tables.NAME", "log")):
        if known in EXAMPLES:
            return EXAMPLES[known]
    if name := _discriminated(info):
        return name
    default = info.get_default(call_default_factory=True)
    if default is PydanticUndefined or default is None or default in ((), {}, []):
        raise KeyError(path)
    return default


def _section(path: str, model: type[Settings]) -> Iterator[str]:
    for section, settings, level in _sections(path, model):
        if section:
            yield f"\n{'#' * (level + 1)} `{section}`\n"
            yield _prose(settings.__doc__ or "")
            yield ""
        yield "| key | type | default | meaning | example |"
        yield "|---|---|---|---|---|"
        for name, info in settings.model_fields.items():
            yield _row(section, name, info)


def _row(section: str, name: str, info: FieldInfo) -> str:
    cells = [f"`{name}`", _type(info), _default(info), _prose(info.description or "")]
    models = list(_models(info))
    if models:
        cells.append(f"see [`{name}`](#{_anchor(_dotted(section, name), info)})")
    else:
        cells.append(f"`{name}: {_yaml(example(_dotted(section, name), info))}`")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _sections(path: str, model: type[Settings]) -> Iterator[tuple[str, type[Settings], int]]:
    """This table of keys and the tables below it, depth first, with their depths."""
    yield path, model, path.count(".") + 1
    for name, info in model.model_fields.items():
        for title, inner in _models(info):
            yield from _sections(_dotted(path, name) + title, inner)


def _models(info: FieldInfo) -> Iterator[tuple[str, type[Settings]]]:
    """The tables of keys of a field, each with the part of its title that distinguishes it."""
    models = [part for part in _parts(info.annotation) if _is_settings(part)]
    for model in models:
        if get_origin(info.annotation) is dict:
            yield ".NAME", model
        elif len(models) > 1:
            key = str(info.discriminator)
            values = " or ".join(map(str, get_args(model.model_fields[key].annotation)))
            yield f" ({key}: {values})", model
        else:
            yield "", model


def _parts(annotation: Any) -> list[Any]:
    if get_origin(annotation) in (Union, types.UnionType, Annotated, dict):
        return [part for inner in get_args(annotation) for part in _parts(inner)]
    return [annotation]


def _is_settings(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Settings)


def _type(info: FieldInfo) -> str:
    if any(True for _ in _models(info)):
        return "keys" if get_origin(info.annotation) is not dict else "names to keys"
    return _words(info.annotation, info.metadata)


def _words(annotation: Any, bounds: Sequence[Any] = ()) -> str:
    """A type in words, with the bounds of a number or of the length of text."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _words(inside[0], [*bounds, *inside[1:]])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inside)
    if origin in (Union, types.UnionType):
        kinds = [part for part in inside if part is not type(None)]
        return " or ".join(_words(part, bounds) for part in kinds)
    if origin is tuple:
        return f"list of {_words(inside[0])}".replace("integer", "integers", 1)
    if origin is dict and inside[1] is Any:
        return "names to values"
    if origin is dict:
        return f"names to {_words(inside[1])}" if "`" not in _words(inside[1]) else "names to kinds"
    plain = {str: "text", bool: "`true` or `false`", int: "integer", float: "number"}
    return " ".join([plain[annotation], *_bounds(annotation, bounds)])


def _bounds(annotation: Any, bounds: Sequence[Any]) -> Iterator[str]:
    for bound in _flat(bounds):
        for mark, sign in (("gt", "above"), ("ge", "from"), ("lt", "below"), ("le", "to")):
            value = getattr(bound, mark, None)
            if value is not None and annotation is not str:
                yield f"{sign} {value:g}"
        longest = getattr(bound, "max_length", None)
        if longest is not None:
            yield "of one character" if longest == 1 else f"of 1 to {longest} characters"


def _flat(bounds: Sequence[Any]) -> Iterator[Any]:
    for bound in bounds:
        yield from getattr(bound, "metadata", None) or [bound]


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    default = info.get_default(call_default_factory=True)
    if default is None or default in ((), {}):
        return "none"
    return "its defaults" if isinstance(default, Settings) else f"`{_yaml(default)}`"


def _yaml(value: Any) -> str:
    plain = list(value) if isinstance(value, tuple) else value
    written = yaml.safe_dump(
        plain, default_flow_style=True, sort_keys=False, allow_unicode=True, width=float("inf")
    )
    return written.removesuffix("\n").removesuffix("\n...")


def _discriminated(info: FieldInfo) -> str | None:
    """The first value of a required key that is a choice of words, or None."""
    annotation = info.annotation
    is_known = info.is_required() and get_origin(annotation) is Literal
    return str(get_args(annotation)[0]) if is_known else None


def _dotted(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _anchor(path: str, info: FieldInfo) -> str:
    """The anchor, on GitHub, of the heading of the first table below a key."""
    title, _ = next(_models(info))
    kept = [c for c in (path + title).lower() if c.isalnum() or c in " -_"]
    return "".join(kept).replace(" ", "-")


def _prose(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
